/**
 * Results over parts of the data that a pass leaves beside the result over all: taken into the
 * cache and the durable store under the nodes that stand for the parts alone. Invariant: nothing
 * waits for them and a backend may leave them out; what one plan makes twice is kept once.
 */
import type { FilePart } from '../compiler/file-parts.js';
import type { PlanNode } from '../compiler/plan.js';
import type { Expr } from '../ir/expr.js';
import { type DenseMatrix, rowsView, type Value } from '../ir/value.js';
import type { ExecutionContext } from './execution-context.js';

/** The parts a backend is asked for: those of reductions. Rows of a result need no asking. */
export function askedParts(targets: readonly PlanNode[]): ReadonlyMap<Expr, readonly FilePart[]> {
  const asked = new Map<Expr, readonly FilePart[]>();
  for (const { expr, how, stays } of targets) {
    if (how.kind === 'reduce' && stays.at === 'host' && stays.parts) asked.set(expr, stays.parts);
  }
  return asked;
}

/** @param seconds what the result over all parts took; parts are worth their share of the rows */
export function keepParts(
  targets: readonly PlanNode[],
  values: ReadonlyMap<Expr, Value>,
  seconds: number,
  backend: string,
  { cache, reuse, onComputed }: ExecutionContext,
): void {
  if (!reuse) return;
  for (const { expr, how, stays } of targets) {
    const parts = stays.at === 'host' ? (stays.parts ?? []) : [];
    const rows = parts.at(-1)?.to ?? 0;
    for (const part of parts) {
      const value = how.kind === 'reduce' ? values.get(part.expr) : rowsOf(values.get(expr), part);
      if (value === undefined || cache.claim(part.expr) === undefined) continue;
      const share = (seconds * (part.to - part.from)) / rows;
      cache.put(part.expr, value, share, backend);
      onComputed?.(part.expr, value, share);
    }
  }
}

function rowsOf(value: Value | undefined, { from, to }: FilePart): DenseMatrix | undefined {
  return value?.kind === 'dense' ? rowsView(value, from, to) : undefined;
}
