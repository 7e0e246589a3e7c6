/**
 * Results by file: reductions over data of many files that are kept file by file as well, so that a
 * run over more, fewer or other files finds those of the files that stayed. The pass over the data
 * is the same one: it only sets its sums down where a part ends. Invariant: nothing is read,
 * computed or placed otherwise than without this pass.
 */
import type { Expr } from '../ir/expr.js';
import { FileParts } from './file-parts.js';
import type { Pass, PassContext } from './pass.js';
import { isTarget, type Plan } from './plan.js';

/** Parts whose results are made sooner are not worth keeping apart. @units seconds */
const PART_SECONDS = 1e-3;

export const fileResults: Pass = {
  name: 'file results',
  summary: 'which results over many files are kept file by file too',
  run: (state, context) => {
    const { plan } = state;
    if (plan === undefined || context.partial === undefined) return state;
    return mark(plan, context) ? { ...state } : state;
  },
};

/** True when a node was marked. */
function mark(plan: Plan, { maker, local }: PassContext): boolean {
  let files: FileParts | undefined;
  let isMarked = false;
  for (const node of plan.nodes) {
    if (!isTarget(node) || node.stays.at !== 'host' || !node.expr.readsFiles) continue;
    files ??= new FileParts(maker);
    const parts = files.of(node.expr);
    if (parts === undefined) continue;
    const seconds = readingSeconds(node.expr, (expr) => local.estimate(expr).seconds);
    if (seconds < PART_SECONDS * parts.length) continue;
    node.stays = { ...node.stays, parts };
    isMarked = true;
  }
  return isMarked;
}

/** What it takes to make a result from its files. @units seconds */
function readingSeconds(expr: Expr, estimate: (expr: Expr) => number): number {
  const seen = new Set<Expr>();
  const stack = [expr];
  let seconds = 0;
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node) || !node.readsFiles || node.op.source === 'files') continue;
    seen.add(node);
    seconds += estimate(node);
    stack.push(...node.inputs);
  }
  return seconds;
}
