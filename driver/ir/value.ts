/**
 * Values a node can have at run time. A dense matrix is row-major float64 with no padding; a handle
 * names a value that lives in a backend (an RDD, a GPU pointer) and is released through that
 * backend only.
 */

/** Dense, row-major, float64; `data.length === rows * cols`. Treated as immutable once it is a value. */
export interface DenseMatrix {
  readonly kind: 'dense';
  readonly rows: number;
  readonly cols: number;
  readonly data: Float64Array;
}

/** A value held by a backend. */
export interface Handle {
  readonly kind: 'handle';
  readonly backend: string;
  readonly id: string;
  readonly rows: number;
  readonly cols: number;
  /** Estimated bytes held there. */
  readonly bytes: number;
}

export type Value = DenseMatrix | Handle;

/** A dense matrix over `data`, which is not copied. @throws RangeError if the length does not fit */
export function dense(
  rows: number,
  cols: number,
  data: Float64Array = new Float64Array(rows * cols),
): DenseMatrix {
  if (data.length !== rows * cols) {
    throw new RangeError(
      `dense: expected ${rows * cols} cells for ${rows}x${cols}, got ${data.length}`,
    );
  }
  return { kind: 'dense', rows, cols, data };
}

/** Rows [from, to) of a matrix, which are not copied. */
export function rowsView({ cols, data }: DenseMatrix, from: number, to: number): DenseMatrix {
  return dense(to - from, cols, data.subarray(from * cols, to * cols));
}
