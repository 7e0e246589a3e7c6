/** Builds and runs segments on a backend without a session: for tests of the local CPU backend. */

import type { Backend, RunContext, SegmentResult } from '../../driver/backend/backend.js';
import { type Attrs, noAttrs } from '../../driver/ir/attrs.js';
import type { Expr } from '../../driver/ir/expr.js';
import { Interner } from '../../driver/ir/intern.js';
import type { OpDef } from '../../driver/ir/op-def.js';
import { type DenseMatrix, dense, type Float64Matrix } from '../../driver/ir/value.js';
import { ops } from '../../driver/operators/index.js';

const interner = new Interner();
let nextKey = 0;

export function node(
  op: OpDef,
  inputs: readonly Expr[],
  attrs: Attrs = noAttrs,
  payload?: unknown,
): Expr {
  return interner.intern(op, inputs, attrs, payload);
}

/** A host value as a node. */
export function leaf(value: DenseMatrix): Expr {
  const attrs = { rows: value.rows, cols: value.cols, key: `cpu-test:${nextKey++}` };
  return node(ops.literal, [], attrs, value);
}

/** Reproducible cells: uniform in [0, 1) from a seed, by position. */
export function uniform(rows: number, cols: number, seed: number): Float64Matrix {
  const attrs = { rows, cols, seed, distribution: 'uniform', min: 0, max: 1 };
  return ops.rand.reference([], attrs, { rows, cols });
}

/** Runs nodes as one segment; `blocked` are streamed, literals among the inputs are host values. */
export function runNodes(
  backend: Backend,
  nodes: readonly Expr[],
  outputs: readonly Expr[],
  blocked: readonly Expr[] = [],
  context: RunContext = {},
): Promise<SegmentResult> {
  const inputs = new Map<Expr, DenseMatrix>();
  for (const expr of nodes) {
    for (const input of expr.inputs) {
      if (input.op === ops.literal) inputs.set(input, input.payload as DenseMatrix);
    }
  }
  return backend.run({ nodes, inputs, outputs, persist: [], blocked: new Set(blocked) }, context);
}

/** One node's value over host values, through the asynchronous path. */
export async function evaluated(
  backend: Backend,
  expr: Expr,
  blocked: readonly Expr[] = [],
): Promise<DenseMatrix> {
  const result = await runNodes(backend, [...blocked, expr], [expr], blocked);
  return hostValue(result, expr);
}

export function hostValue(result: SegmentResult, expr: Expr): DenseMatrix {
  const value = result.values.get(expr);
  if (value?.kind !== 'dense') throw new Error(`no host value of ${expr.op.name}`);
  return value;
}

/** What the operator's reference gives for the node's host operands. */
export function referenceOf(expr: Expr): Float64Matrix {
  const inputs = expr.inputs.map((input) =>
    input.op === ops.literal
      ? (input.payload as Float64Matrix)
      : input.op.reference([], input.attrs, input),
  );
  return expr.op.reference(inputs, expr.attrs, expr);
}

/** A column of group numbers. */
export function groupColumn(rows: number, groupOf: (row: number) => number): Float64Matrix {
  return dense(
    rows,
    1,
    Float64Array.from({ length: rows }, (_, i) => groupOf(i)),
  );
}
