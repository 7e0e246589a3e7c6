/**
 * Turns what an execution measured into what the cost model learns from: the terms a time is the sum of. Short times say
 * nothing and cost nothing here.
 */
import { denseBytes, type Expr } from '../ir/expr.js';
import type { Backend } from '../runtime/backend.js';
import type { Handle, Value } from '../runtime/value.js';
import { type CostModel, type CostPart, MIN_MEASURED_SECONDS } from './cost-model.js';

/** One operator run alone over values in its backend's reach. */
export function observeOperator(
  costs: CostModel,
  backend: Backend,
  expr: Expr,
  seconds: number,
): void {
  if (seconds < MIN_MEASURED_SECONDS) return;
  // Chosen by what was expected: short operators that met a pause would be the only ones of theirs that are seen.
  if (backend.estimate(expr).seconds < MIN_MEASURED_SECONDS) return;
  costs.observe([costs.work(backend, expr)], seconds);
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
  if (seconds < MIN_MEASURED_SECONDS) return;
  const parts: CostPart[] = nodes.map((expr) => costs.work(backend, expr));
  parts.push(costs.start(backend));
  if (backend.costs !== undefined) {
    parts.push(costs.upload(backend, hostBytes(inputs.values())));
    parts.push(costs.download(backend, hostBytes(values.values())));
  }
  costs.observe(parts, seconds);
}

/** A value brought to the host by itself. */
export function observeCollect(
  costs: CostModel,
  backend: Backend,
  handle: Handle,
  seconds: number,
): void {
  if (seconds < MIN_MEASURED_SECONDS || backend.costs === undefined) return;
  costs.observe([costs.start(backend), costs.download(backend, denseBytes(handle))], seconds);
}

function hostBytes(values: Iterable<Value>): number {
  let bytes = 0;
  for (const value of values) if (value.kind === 'dense') bytes += value.data.byteLength;
  return bytes;
}
