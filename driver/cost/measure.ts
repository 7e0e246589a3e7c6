/**
 * Turns what an execution measured into what the cost model learns from: the terms a time is the
 * sum of. Invariant: what is taken in is chosen by what was expected, never by what was measured,
 * which would keep the slow and drop the fast.
 */

import type { Backend } from '../backend/backend.js';
import { denseBytes, type Expr } from '../ir/expr.js';
import { bytesOf, type Handle, type Value } from '../ir/value.js';
import type { CostModel, CostPart } from './cost-model.js';

/** Quicker operators are skipped: there are thousands, and placing them is free. @units seconds */
const MIN_OPERATOR_SECONDS = 1e-3;
/** A first measurement shorter than this was mostly compiling and loading code. @units seconds */
const WARM_SECONDS = 0.25;

/** One operator run alone over values in its backend's reach. */
export function observeOperator(
  costs: CostModel,
  backend: Backend,
  expr: Expr,
  seconds: number,
): void {
  // Saves the estimate for the many that are short by any measure.
  if (seconds < MIN_OPERATOR_SECONDS / 8) return;
  if (backend.estimate(expr).seconds < MIN_OPERATOR_SECONDS) return;
  observe(costs, [costs.work(backend, expr)], seconds);
}

/** A segment: its start, its operators, the host values sent with it and those that came back. */
export function observeSegment(
  costs: CostModel,
  backend: Backend,
  nodes: readonly Expr[],
  inputs: ReadonlyMap<Expr, Value>,
  values: ReadonlyMap<Expr, Value>,
  seconds: number,
): void {
  const parts: CostPart[] = nodes.map((expr) => costs.work(backend, expr));
  parts.push(costs.start(backend));
  if (backend.costs !== undefined) {
    parts.push(costs.upload(backend, hostBytes(inputs.values())));
    parts.push(costs.download(backend, hostBytes(values.values())));
  }
  observe(costs, parts, seconds);
}

/** A value brought to the host by itself. */
export function observeCollect(
  costs: CostModel,
  backend: Backend,
  handle: Handle,
  seconds: number,
): void {
  if (backend.costs === undefined) return;
  observe(costs, [costs.start(backend), costs.download(backend, denseBytes(handle))], seconds);
}

function observe(costs: CostModel, parts: readonly CostPart[], seconds: number): void {
  const isWarm = costs.isWarm(parts);
  if (isWarm || seconds >= WARM_SECONDS) costs.observe(parts, seconds);
}

function hostBytes(values: Iterable<Value>): number {
  let bytes = 0;
  for (const value of values) if (value.kind === 'dense') bytes += bytesOf(value);
  return bytes;
}
