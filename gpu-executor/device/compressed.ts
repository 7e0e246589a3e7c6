/**
 * Compressed rows on a device: which operands of a segment are, and the parts of their blocks.
 * Invariant: only host values are compressed; what a device computes is dense.
 */
import type { Segment } from '../../driver/backend/backend.js';
import { CsrMatrix, csrTransposed } from '../../driver/ir/csr.js';
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import { type CompressedMeta, type CompressedOf, lowerCompressed } from './kernels/csr.js';
import type { CompressedOperand } from './kernels/lowered.js';

/** Transposed once a matrix, for the loops that read it again and again. */
const transposed = new WeakMap<CsrMatrix, CsrMatrix>();

/** The compressed rows that an operand of a segment has as its value. */
export function compressedValue(
  { inputs }: Pick<Segment, 'inputs'>,
  expr: Expr,
): CsrMatrix | undefined {
  const value = inputs.get(expr) ?? expr.payload;
  return value instanceof CsrMatrix ? value : undefined;
}

export function compressedIn(segment: Pick<Segment, 'inputs'>): CompressedOf {
  return (expr) => metaOf(compressedValue(segment, expr));
}

export function metaOf(csr: CsrMatrix | undefined): CompressedMeta | undefined {
  if (csr === undefined) return undefined;
  const { rows, cols, dtype, nnz } = csr;
  return {
    ...{ rows, cols, dtype, nnz },
    get isFinite() {
      return csr.isFinite;
    },
  };
}

/** The matrix whose rows a kernel reads. */
export function compressedBy(csr: CsrMatrix, by: CompressedOperand['by']): CsrMatrix {
  if (by === 'rows') return csr.compact();
  let turned = transposed.get(csr);
  if (turned === undefined) {
    turned = csrTransposed(csr);
    transposed.set(csr, turned);
  }
  return turned;
}

/** In the order in which they lie in the block. */
export function blockParts({ values, rowStarts, columns }: CsrMatrix): readonly ArrayBufferView[] {
  return [values, rowStarts, columns];
}

/** Whether what a node reads can be on the device, as it is read there. */
export function operandsFit(expr: Expr, largestBytes: number): boolean {
  const compressedOf: CompressedOf = ({ payload }) =>
    payload instanceof CsrMatrix ? metaOf(payload) : undefined;
  const sparse = expr.inputs.filter((input) => compressedOf(input) !== undefined);
  if (sparse.length === 0) return true;
  const isRead = lowerCompressed(expr, compressedOf) !== undefined;
  return sparse.every((input) => {
    const bytes = isRead ? (input.payload as CsrMatrix).bytes : denseBytes(input);
    return bytes <= largestBytes;
  });
}
