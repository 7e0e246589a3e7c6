/**
 * Results by file: reductions over data of many files that are kept file by file as well, so that a
 * run over more, fewer or other files finds those of the files that stayed. The pass over the data
 * is the same one: it only sets its sums down where a part ends. Invariant: nothing is read,
 * computed or placed otherwise than without this pass.
 */
import { type Expr, topological } from '../ir/expr.js';
import { FileParts } from './file-parts.js';
import type { Pass } from './pass.js';
import { isTarget } from './plan.js';

/** Parts whose results are made sooner are not worth keeping apart. @units seconds */
const PART_SECONDS = 1e-3;

export const fileResults: Pass = {
  name: 'file results',
  summary: 'which results over many files are kept file by file too',
  run: (state, { partial, maker, local }) => {
    const { plan } = state;
    if (plan === undefined || partial === undefined) return state;
    const files = new FileParts(maker);
    let isMarked = false;
    for (const node of plan.nodes) {
      if (!isTarget(node) || node.stays.at !== 'host' || !node.expr.readsFiles) continue;
      const parts = files.of(node.expr);
      if (parts === undefined) continue;
      const seconds = readingSeconds(node.expr, (expr) => local.estimate(expr).seconds);
      if (seconds < PART_SECONDS * parts.length) continue;
      node.stays = { ...node.stays, parts };
      isMarked = true;
    }
    return isMarked ? { ...state } : state;
  },
};

/** What it takes to make a result from its files. @units seconds */
function readingSeconds(expr: Expr, estimate: (expr: Expr) => number): number {
  return topological([expr], (node) => !node.readsFiles)
    .filter((node) => node.readsFiles && node.op.source !== 'files')
    .reduce((seconds, node) => seconds + estimate(node), 0);
}
