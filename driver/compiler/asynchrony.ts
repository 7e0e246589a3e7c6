/**
 * Asynchrony: which values travel before they are asked for. A value that a backend holds and host
 * operators read is brought from the start on (`prefetch`), so that the first of them does not
 * wait for an exchange; a host value that remote programs read whole is sent as soon as it is there
 * (`broadcast`), once for all of them. Nothing else of the plan changes. Source: MEMPHIS (EDBT
 * 2025) 5.3.
 */
import { denseBytes, type Expr } from '../ir/expr.js';
import type { Pass, PassContext } from './pass.js';
import { type Plan, type PlanNode, readersOf } from './plan.js';
import { takesByRows } from './row-blocks.js';

/** Smaller operands travel inside the program that reads them. @units bytes */
const MIN_BROADCAST_BYTES = 16 * 1024;

export const asynchrony: Pass = {
  name: 'asynchrony',
  summary: 'lets values travel while other work runs',
  run: (state, context) => {
    const { plan } = state;
    if (plan === undefined || !isDistributed(plan, context)) return state;
    const readers = readersOf(plan);
    const sent = plan.nodes.filter((node) =>
      isSentAhead(node, readers.get(node.expr) ?? [], context),
    );
    const broadcast = new Set(sent.map(({ expr }) => expr));
    const prefetch = handlesForHost(plan, readers, context);
    if (broadcast.size + prefetch.length === 0) return state;
    return { ...state, plan: { ...plan, prefetch, broadcast } };
  },
};

/** Whether anything of the plan is anywhere but on the local backend. */
export function isDistributed(plan: Plan, { local }: PassContext): boolean {
  if (plan.nodes.some((node) => node.backend !== local)) return true;
  for (const value of plan.available.values()) if (value.kind === 'handle') return true;
  return false;
}

/** Whether a remote program takes the whole of a host value beside its row blocks. */
function isSentAhead(
  node: PlanNode,
  readers: readonly PlanNode[],
  { local }: PassContext,
): boolean {
  const { expr, backend, how } = node;
  if (backend !== local || how.kind === 'rows' || denseBytes(expr) < MIN_BROADCAST_BYTES) {
    return false;
  }
  return readers.some(
    (reader) => reader.backend !== local && !takesByRows(reader.expr, expr, reader.backend),
  );
}

/** Values in a backend that the host will read whole, most readers first. */
function handlesForHost(
  plan: Plan,
  readers: ReadonlyMap<Expr, readonly PlanNode[]>,
  { local }: PassContext,
): Expr[] {
  const found: { readonly expr: Expr; readonly uses: number }[] = [];
  for (const [expr, value] of plan.available) {
    if (value.kind !== 'handle') continue;
    const uses = (readers.get(expr) ?? []).filter((reader) => reader.backend === local).length;
    if (uses > 0) found.push({ expr, uses });
  }
  return found.sort((a, b) => b.uses - a.uses).map(({ expr }) => expr);
}
