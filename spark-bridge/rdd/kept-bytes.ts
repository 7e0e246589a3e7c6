/** How large the row blocks of a value are expected to be. */
import { denseBytes, type Expr } from '../../driver/ir/expr.js';

/** What the row blocks of a value take: encoded ones are kept as they were read. @units bytes */
export function keptBytes(expr: Expr): number {
  const { op, nnz } = expr;
  const cells = denseBytes(expr);
  const isEncoded = op.source === 'scan' && nnz !== undefined;
  return isEncoded ? Math.min(cells, nnz * Float64Array.BYTES_PER_ELEMENT) : cells;
}
