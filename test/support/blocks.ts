/** Evaluates an operator by row blocks through its reference, as the row rule says backends may. */

import type { Attrs } from '../../driver/ir/attrs.js';
import type { Meta } from '../../driver/ir/expr.js';
import type { OpDef } from '../../driver/ir/op-def.js';
import { type DenseMatrix, dense, type Float64Matrix } from '../../driver/ir/value.js';
import { ops } from '../../driver/operators/index.js';

/** Rows `[from, to)` of a matrix. */
export function rowsOf(m: Float64Matrix, from: number, to: number): Float64Matrix {
  return dense(to - from, m.cols, m.data.slice(from * m.cols, to * m.cols));
}

/** Rows of the blocked inputs (or a source's output); undefined if all inputs are whole. */
export function blockedRows(
  op: OpDef,
  inputs: readonly DenseMatrix[],
  attrs: Attrs,
): number | undefined {
  const rule = op.rowRule(inputs, attrs);
  if (rule.kind === 'whole') return undefined;
  if (rule.kind === 'source') return op.infer(inputs, attrs).rows;
  const first = rule.blocked.indexOf(true);
  return first < 0 ? undefined : inputs[first]!.rows;
}

/** The value from blocks that end at `cuts` (the last one is the number of rows). */
export function evaluateInBlocks(
  op: OpDef,
  inputs: readonly Float64Matrix[],
  attrs: Attrs,
  cuts: readonly number[],
): Float64Matrix {
  const rule = op.rowRule(inputs, attrs);
  const blocked = rule.kind === 'map' || rule.kind === 'reduce' ? rule.blocked : [];
  const out: Meta = op.infer(inputs, attrs);
  const parts: Float64Matrix[] = [];
  let from = 0;
  for (const to of cuts) {
    const block = inputs.map((input, i) => (blocked[i] ? rowsOf(input, from, to) : input));
    parts.push(op.reference(block, attrs, out, { rowOffset: from, rows: to - from }));
    from = to;
  }
  const [first, ...rest] = parts as [Float64Matrix, ...Float64Matrix[]];
  if (rest.length === 0) return first;
  if (rule.kind === 'reduce') {
    return rest.reduce((total, part) => op.combine!(total, part, attrs), first);
  }
  return ops.rbind.reference(parts, {}, out);
}
