/**
 * Asynchrony: which values travel before they are asked for. A remote value that only host
 * operators read is brought as soon as it is there (`prefetch`), so that the first of them does not
 * wait for an exchange; a host value that remote programs read whole is sent as soon as it is there
 * (`broadcast`), once for all of them. Marks only; nothing else of the plan changes. Source:
 * MEMPHIS (EDBT 2025) 5.3.
 */
import { denseBytes, type Expr } from '../ir/expr.js';
import type { Pass, PassContext } from './pass.js';
import type { Plan, PlanNode } from './plan.js';
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
    let marked = false;
    for (const node of plan.nodes) {
      const transfer = transferOf(node, readers.get(node.expr) ?? [], context);
      if (transfer === undefined) continue;
      node.transfer = transfer;
      marked = true;
    }
    const prefetch = handlesForHost(plan, readers, context);
    if (!marked && prefetch.length === 0) return state;
    return prefetch.length > 0 ? { ...state, plan: { ...plan, prefetch } } : { ...state };
  },
};

/** Whether anything of the plan is anywhere but on the local backend. */
export function isDistributed(plan: Plan, { local }: PassContext): boolean {
  if (plan.nodes.some((node) => node.backend !== local)) return true;
  for (const value of plan.available.values()) if (value.kind === 'handle') return true;
  return false;
}

function readersOf(plan: Plan): Map<Expr, PlanNode[]> {
  const readers = new Map<Expr, PlanNode[]>();
  for (const node of plan.nodes) {
    for (const input of new Set(node.expr.inputs)) {
      const known = readers.get(input);
      if (known === undefined) readers.set(input, [node]);
      else known.push(node);
    }
  }
  return readers;
}

function transferOf(
  node: PlanNode,
  readers: readonly PlanNode[],
  { local }: PassContext,
): PlanNode['transfer'] {
  if (readers.length === 0) return undefined;
  if (node.backend !== local) {
    // What a program answers comes with its answer.
    if (node.sink || (node.blocked && !node.materialise)) return undefined;
    return readers.every((reader) => reader.backend === local) ? 'prefetch' : undefined;
  }
  if (node.blocked || denseBytes(node.expr) < MIN_BROADCAST_BYTES) return undefined;
  return readers.some((reader) => readsWhole(reader, node, local)) ? 'broadcast' : undefined;
}

/** Whether a remote program takes the whole of it beside its row blocks. */
function readsWhole(reader: PlanNode, node: PlanNode, local: PassContext['local']): boolean {
  return reader.backend !== local && !takesByRows(reader.expr, node.expr, reader.backend);
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
