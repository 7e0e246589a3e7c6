/** How large the row blocks of a value are expected to be. */
import { csrBytes } from '../../driver/ir/csr.js';
import { denseBytes, type Expr } from '../../driver/ir/expr.js';

/** Share of cells up to which the shim keeps blocks as compressed rows: `BlockForm.MaxDensity`. */
const MAX_DENSITY = 0.15;

/**
 * What the row blocks of a value take: encoded ones are kept as they were read, those that are
 * mostly zero as compressed rows. @units bytes
 */
export function keptBytes(expr: Expr): number {
  const { op, nnz, rows, cols } = expr;
  const all = denseBytes(expr);
  if (nnz === undefined) return all;
  if (op.source === 'scan') return Math.min(all, nnz * Float64Array.BYTES_PER_ELEMENT);
  // Values of either dtype are float64 there.
  const isSparse = cols >= 4 && nnz <= MAX_DENSITY * rows * cols;
  return isSparse ? Math.min(all, csrBytes(rows, Math.ceil(nnz), 'float64')) : all;
}
