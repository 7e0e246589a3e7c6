/**
 * The beginning of a plan's run, as the tiers of its backends see it: what it reads there is pinned
 * until it has ended, and each tier says which row blocks the plan is to leave behind for later
 * ones. Invariant: a tier adds to what the plan keeps, and takes away only what the plan would keep
 * for later plans alone.
 */
import { type CacheTier, pinValues } from '../backend/cache-tier.js';
import type { Expr } from '../ir/expr.js';
import { writeLifetimes } from './lifetimes.js';
import { isInside, KEPT_THERE, NOWHERE, type Plan, type PlanNode, readersOf } from './plan.js';

/**
 * The answer is to be called when the plan has ended.
 * @param isChoosing false: tiers keep nothing beyond the plan that nobody asked for
 */
export function beginPlan(plan: Plan, tiers: Iterable<CacheTier>, isChoosing: boolean): () => void {
  const all = [...tiers];
  if (isChoosing) for (const tier of all) askTier(plan, tier);
  return pinValues(all, [...plan.available.values()]);
}

/** Keeps there what the tier chooses. */
export function askTier(plan: Plan, tier: Pick<CacheTier, 'name' | 'choose'>): void {
  if (tier.choose === undefined) return;
  const nodes = plan.nodes.filter(
    ({ how, backend }) => how.kind === 'rows' && backend.name === tier.name,
  );
  if (nodes.length === 0) return;
  const readers = readersOf(plan);
  const before = nodes.map(({ stays }) => stays);
  for (const node of nodes) {
    if (isForLaterPlans(node, readers.get(node.expr) ?? [], plan.roots)) node.stays = NOWHERE;
  }
  const rows = nodes.map(({ expr, stays }) => ({
    expr,
    at: stays.at,
    readers: (readers.get(expr) ?? []).map((reader) => reader.expr),
  }));
  for (const expr of tier.choose(rows, (one) => plan.nodeOf.has(one))) {
    plan.nodeOf.get(expr)!.stays = KEPT_THERE;
  }
  if (nodes.some(({ stays }, i) => stays !== before[i])) writeLifetimes(plan);
}

/** Kept only for later plans, which its tier judges better. Files are certain to be read again. */
function isForLaterPlans(
  node: PlanNode,
  readers: readonly PlanNode[],
  roots: readonly Expr[],
): boolean {
  const { expr, how, stays } = node;
  if (how.kind !== 'rows' || how.checkpoint?.reason !== 'repeated') return false;
  if (stays.at !== 'there' || roots.includes(expr)) return false;
  return (
    !expr.inputs.some(({ op }) => op.source === 'files') &&
    readers.every((one) => isInside(one, node))
  );
}
