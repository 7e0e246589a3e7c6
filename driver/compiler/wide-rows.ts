/**
 * Layers of networks: wide values over rows that only other maps over the same rows read. They are
 * made block by block, each row through all layers at once, on all threads and never whole; what is
 * read otherwise, or asked for, is written on the way. Invariants: a layer that was asked for again
 * is made whole from then on; maps of one pass read nothing that follows from that pass.
 */
import { denseBytes, type Expr } from '../ir/expr.js';
import { mayBeLetGo } from './host-rows.js';
import type { PassContext } from './pass.js';
import { NOWHERE, type Plan, type PlanNode, ROWS, readersOf } from './plan.js';
import { takesByRows } from './row-blocks.js';

/** Layers together; smaller ones stay in the cache of the machine. @units bytes */
const MIN_BYTES = 4 * 1024 * 1024;
/** Products of shorter rows are faster over many rows at once. @units bytes */
const MIN_ROW_BYTES = 8 * 1024;
/** Less work is done before threads have begun. @units flops */
const MIN_FLOPS = 2e7;

export function walkWideRows(plan: Plan, context: PassContext): void {
  if (context.local.capabilities.blocks !== 'stream') return;
  const candidates = new Set(plan.nodes.filter((node) => isLayer(node, context)));
  if (![...candidates].some(({ expr }) => isProduct(expr))) return;
  const readers = readersOf(plan);
  const roots = new Set(plan.roots);
  for (const members of together(plan, candidates, context)) {
    if (!isWorth(members)) continue;
    const inside = new Set(members);
    for (const node of members) {
      const reading = readers.get(node.expr) ?? [];
      const isOnlyWalked = reading.every(
        (reader) => inside.has(reader) && takesByRows(reader.expr, node.expr, context.local),
      );
      node.how = ROWS;
      if (isOnlyWalked && !roots.has(node.expr)) node.stays = NOWHERE;
    }
  }
}

function isLayer({ expr, backend, how }: PlanNode, { local, transients }: PassContext): boolean {
  if (how.kind !== 'whole' || backend !== local || expr.rows < 2) return false;
  const rule = expr.op.rowRule(expr.inputs, expr.attrs);
  return rule.kind === 'map' && rule.blocked.includes(true) && mayBeLetGo(expr, transients);
}

function isProduct({ op }: Expr): boolean {
  return op.work === 'product';
}

/** Maps over equally many rows that can be one pass. */
function together(
  plan: Plan,
  candidates: ReadonlySet<PlanNode>,
  { local }: PassContext,
): readonly PlanNode[][] {
  /** By node: how often its value goes from a pass into something else, at most. */
  const depths = new Map<Expr, number>();
  const passes = new Map<string, PlanNode[]>();
  for (const node of plan.nodes) {
    const { expr } = node;
    const isCandidate = candidates.has(node);
    let depth = 0;
    for (const input of expr.inputs) {
      const below = plan.nodeOf.get(input);
      if (below === undefined) continue;
      const isWalked = isCandidate && input.rows === expr.rows && takesByRows(expr, input, local);
      const goesOn = !candidates.has(below) || isWalked;
      depth = Math.max(depth, depths.get(input)! + (goesOn ? 0 : 1));
    }
    depths.set(expr, depth);
    if (!isCandidate) continue;
    const key = `${expr.rows},${depth}`;
    const pass = passes.get(key);
    if (pass === undefined) passes.set(key, [node]);
    else pass.push(node);
  }
  return [...passes.values()];
}

/** Several layers of images or the like: wide rows, and products of them. */
function isWorth(members: readonly PlanNode[]): boolean {
  let [bytes, flops, products] = [0, 0, 0];
  for (const { expr } of members) {
    bytes += denseBytes(expr);
    if (!isProduct(expr) || denseBytes(expr) < MIN_ROW_BYTES * expr.rows) continue;
    flops += expr.op.flops(expr.inputs, expr.attrs, expr);
    products++;
  }
  return products > 1 && bytes >= MIN_BYTES && flops >= MIN_FLOPS;
}
