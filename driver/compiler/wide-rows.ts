/**
 * Layers of networks: wide values over rows that only other maps over the same rows read. They are
 * made block by block, each row through all layers at once, on all threads and never whole; what is
 * read otherwise, or asked for, is written on the way. Long sums over those rows (gradients of
 * filters) are made in the same pass, of the rows while they are in the cache. Invariants: a layer
 * that was asked for again is made whole from then on; maps and sums of one pass read nothing that
 * follows from that pass.
 */
import { denseBytes, type Expr } from '../ir/expr.js';
import { mayBeLetGo } from './host-rows.js';
import type { PassContext } from './pass.js';
import { NOWHERE, type Plan, type PlanNode, REDUCE, ROWS, readersOf } from './plan.js';
import { takesByRows } from './row-blocks.js';

/** Layers together; smaller ones stay in the cache of the machine. @units bytes */
const MIN_BYTES = 4 * 1024 * 1024;
/** Products of shorter rows are faster over many rows at once. @units bytes */
const MIN_ROW_BYTES = 8 * 1024;
/** Less work is done before threads have begun. @units flops */
const MIN_FLOPS = 2e7;
/** Sums are smaller than the rows they are of by this, as several are made and added up. */
const MIN_SUMMED = 64;

export function walkWideRows(plan: Plan, context: PassContext): void {
  if (context.local.capabilities.blocks !== 'stream') return;
  const candidates = new Set(plan.nodes.filter((node) => isLayer(node, context)));
  if (![...candidates].some(({ expr }) => isProduct(expr))) return;
  const readers = readersOf(plan);
  const roots = new Set(plan.roots);
  const depths = new Map<Expr, number>();
  for (const members of together(plan, candidates, depths, context)) {
    if (!isWorth(members)) continue;
    const inside = new Set(members);
    for (const node of sumsOver(members, readers, plan, candidates, depths)) {
      node.how = REDUCE;
      inside.add(node);
    }
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

/**
 * Maps over equally many rows that can be one pass.
 * @param depths is told, by node, how often its value goes from a pass into something else, at most
 */
function together(
  plan: Plan,
  candidates: ReadonlySet<PlanNode>,
  depths: Map<Expr, number>,
  { local }: PassContext,
): readonly PlanNode[][] {
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

/** Long products summed over rows of a pass, and over others that are there before it. */
function sumsOver(
  members: readonly PlanNode[],
  readers: ReadonlyMap<Expr, readonly PlanNode[]>,
  plan: Plan,
  candidates: ReadonlySet<PlanNode>,
  depths: ReadonlyMap<Expr, number>,
): readonly PlanNode[] {
  const own = new Set(members.map(({ expr }) => expr));
  const depth = depths.get(members[0]!.expr)!;
  const isThere = (input: Expr): boolean => {
    const node = plan.nodeOf.get(input);
    if (node === undefined) return true;
    const below = depths.get(input)!;
    return below < depth || (below === depth && !candidates.has(node));
  };
  const reading = new Set(members.flatMap(({ expr }) => readers.get(expr) ?? []));
  return [...reading].filter(({ expr, how, backend }) => {
    const { inputs, attrs, op } = expr;
    const rule = op.rowRule(inputs, attrs);
    if (how.kind !== 'whole' || backend !== members[0]!.backend) return false;
    if (rule.kind !== 'reduce' || !rule.blocked.every(Boolean) || op.work !== 'product')
      return false;
    const wide = inputs.filter((input) => denseBytes(input) >= MIN_ROW_BYTES * input.rows);
    const isSmall = wide.some((input) => denseBytes(input) >= MIN_SUMMED * denseBytes(expr));
    return isSmall && inputs.every((input) => own.has(input) || isThere(input));
  });
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
