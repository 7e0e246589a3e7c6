/** Leaves that are values already: their cells are payload, or a number among their attributes. */
import type { Expr } from './expr.js';
import { converted, type DenseMatrix } from './value.js';

export function isLeafValue({ op }: Expr): boolean {
  return op.source === 'cells' || op.source === 'number';
}

/** The value of a leaf that is one; undefined for one that only stands for a key. */
export function leafValue(expr: Expr): DenseMatrix | undefined {
  if (expr.op.source === 'cells') return expr.payload as DenseMatrix | undefined;
  return converted(expr.op.reference([], expr.attrs, expr), expr.dtype);
}
