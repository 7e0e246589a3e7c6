/**
 * What a plan has to compute: the nodes below the roots that have no value yet. Walked once and
 * shared by the passes that ask, since looking a node up in the cache is much of what planning
 * small work costs.
 */
import { type Expr, topological } from '../ir/expr.js';
import type { Value } from '../ir/value.js';
import type { PassContext, PassState } from './pass.js';

export interface CollectResult {
  /** Without a value, inputs before consumers. */
  readonly missing: readonly Expr[];
  readonly available: ReadonlyMap<Expr, Value>;
  /** Computed by another execution right now. */
  readonly pending: ReadonlySet<Expr>;
}

export function collect(state: PassState, { find }: PassContext): CollectResult {
  if (state.collected !== undefined) return state.collected;
  const available = new Map<Expr, Value>();
  const pending = new Set<Expr>();
  const order = topological(state.roots, (expr) => {
    const found = find(expr);
    if (found === undefined) return false;
    if (found === 'pending') pending.add(expr);
    else available.set(expr, found);
    return true;
  });
  const missing = order.filter(
    (expr) => expr.op.source !== 'files' && !available.has(expr) && !pending.has(expr),
  );
  return { missing, available, pending };
}
