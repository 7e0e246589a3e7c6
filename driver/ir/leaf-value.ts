/** Leaves that are values already: their cells are payload, or a number among their attributes. */
import type { Expr } from './expr.js';
import type { DenseMatrix } from './value.js';

export function isLeafValue({ op }: Expr): boolean {
  return op.source === 'cells' || op.source === 'number';
}

/** The value of a leaf that is one; undefined for one that only stands for a key. */
export function leafValue(expr: Expr): DenseMatrix | undefined {
  const { op, attrs, rows, payload } = expr;
  return op.reference([], attrs, expr, { rowOffset: 0, rows, payload }) as DenseMatrix | undefined;
}
