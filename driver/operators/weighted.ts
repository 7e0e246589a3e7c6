/**
 * What the weighted products of factorisation share: X ~ U V' is asked about in few cells only,
 * those where W is not zero or, without weights, where X is not zero. Source: the fused operators
 * of SystemDS (Boehm et al., VLDB 2018).
 */
import type { Attrs } from '../ir/attrs.js';
import type { Meta } from '../ir/expr.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { finiteAttr, shapeError } from './shape-check.js';

/** Checks X n x m, U n x r, V m x r and, if given, W n x m. @throws ShapeError */
export function checkFactors(op: string, inputs: readonly Meta[]): void {
  const [x, u, v, w] = inputs;
  const fits =
    u!.rows === x!.rows &&
    v!.rows === x!.cols &&
    u!.cols === v!.cols &&
    (w === undefined || (w.rows === x!.rows && w.cols === x!.cols));
  if (!fits) throw shapeError(op, 'X n x m, U n x r, V m x r and weights n x m', inputs);
}

/** What stands for u v' where it divides or its logarithm is taken. */
export interface Guard {
  /** Added to it; default 0. */
  readonly plus: number;
  /** Put in its place where it is less; default none. */
  readonly least: number;
}

/** `max(u v' + plus, least)`, of attributes that may be absent. @throws DTypeError, PlanError */
export function guardOf(op: string, attrs: Attrs): Guard {
  const { plus, least } = attrs;
  return {
    plus: plus === undefined ? 0 : finiteAttr(op, attrs, 'plus'),
    least: least === undefined ? Number.NEGATIVE_INFINITY : finiteAttr(op, attrs, 'least'),
  };
}

/** NaN stays. */
export function guarded(product: number, { plus, least }: Guard): number {
  const shifted = product + plus;
  return shifted < least ? least : shifted;
}

/** Rows of X, U and W come by blocks; V is taken whole. */
export function factorBlocks(inputs: readonly Meta[]): readonly boolean[] {
  return inputs.length === 4 ? [true, true, false, true] : [true, true, false];
}

/** Calls `visit` for every cell asked about: row, column, weight (default 1), x, and U V' there. */
export function forEachAsked(
  [x, u, v, w]: readonly Float64Matrix[],
  visit: (row: number, col: number, weight: number, cell: number, product: number) => void,
): void {
  const rank = u!.cols;
  const asked = w ?? x!;
  for (let i = 0; i < asked.rows; i++) {
    for (let j = 0; j < asked.cols; j++) {
      const at = i * asked.cols + j;
      if (asked.data[at] === 0) continue;
      let product = 0;
      for (let k = 0; k < rank; k++) product += u!.data[i * rank + k]! * v!.data[j * rank + k]!;
      visit(i, j, w === undefined ? 1 : w.data[at]!, x!.data[at]!, product);
    }
  }
}

/** Expected number of cells asked about. */
export function askedCells([x, , , w]: readonly Meta[]): number {
  const asked = w ?? x!;
  return asked.nnz ?? asked.rows * asked.cols;
}

/** Cells of which about a third are not zero, for conformance cases. */
export function sparseSample(rows: number, cols: number, step = 1): Float64Matrix {
  return dense(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, (_, i) =>
      (i * 7 + step) % 3 === 0 ? 1 + Math.sin(i + step) / 2 : 0,
    ),
  );
}
