/** How large the row blocks of a value are expected to be. */
import { denseBytes, type Expr } from '../../driver/ir/expr.js';

/** Columns a feature from which encoded rows stay compressed: `EncodedBlock.SparseWidth`. */
const SPARSE_WIDTH = 25;

/** What the row blocks of a value take: encoded ones are kept as they were read. @units bytes */
export function keptBytes(expr: Expr): number {
  const { op, rows, cols, nnz } = expr;
  const isSparse = op.source === 'scan' && nnz !== undefined && nnz * SPARSE_WIDTH <= rows * cols;
  return isSparse ? nnz * Float64Array.BYTES_PER_ELEMENT : denseBytes(expr);
}
