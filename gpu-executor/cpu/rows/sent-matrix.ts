/**
 * Matrices handed to other threads by address: nothing is copied but what is small. Invariant: who
 * hands one over keeps it, and writes nothing to it, until the other thread says it is done.
 */
import { CsrMatrix } from '../../../driver/ir/csr.js';
import { cellBytes } from '../../../driver/ir/dtype.js';
import { type Cells, cellsOf, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import { CodedRows } from '../kernels/coded-rows.js';
import type { Blas } from '../native/blas.js';
import type { Form } from './row-program.js';

const MAX_VIEWS = 256;

/** A matrix as another thread finds it. */
export type SentMatrix = Form &
  (
    | { readonly cells: Cells }
    | { readonly address: bigint }
    | { readonly coded: SentCodedRows }
    | { readonly csr: SentCsr }
  );

/** Compressed rows as another thread finds them, with how many cells of their arrays to read. */
export interface SentCsr {
  readonly rowStarts: bigint;
  readonly columns: bigint;
  readonly values: bigint;
  readonly count: number;
}

/** Coded rows as another thread finds them. */
export interface SentCodedRows {
  readonly numbers: readonly { readonly column: number; readonly address: bigint }[];
  readonly codes: bigint;
  readonly indicators: number;
}

type Address3 = [bigint, bigint, bigint];

/** @param copied cells of at most so many bytes are sent themselves */
export function sentMatrix(
  value: DenseMatrix,
  addressOf: NonNullable<Blas['addressOf']>,
  copied = -1,
): SentMatrix {
  const { rows, cols, dtype } = value;
  if (value instanceof CodedRows) {
    const { codes, indicators } = value;
    const numbers = value.numbers.map(({ column, cells }) => ({
      column,
      address: addressOf(cells),
    }));
    return { rows, cols, dtype, coded: { numbers, codes: addressOf(codes), indicators } };
  }
  if (value instanceof CsrMatrix) {
    const { rowStarts, columns, values } = value;
    const [starts, places, cells] = [rowStarts, columns, values].map(addressOf) as Address3;
    const count = rowStarts[rows]!;
    const csr = { rowStarts: starts, columns: places, values: cells, count };
    return { rows, cols, dtype, csr };
  }
  const { data } = value;
  const isCopied = data.byteLength <= copied;
  const cells = isCopied ? { cells: data.slice() } : { address: addressOf(data) };
  return { rows, cols, dtype, ...cells };
}

/** Makes matrices of what is sent, by views of the sender's memory. */
export class MatrixReader {
  readonly #memoryAt: NonNullable<Blas['viewOf']>;
  /** By address and size. */
  readonly #views = new Map<string, ArrayBuffer>();

  constructor(memoryAt: NonNullable<Blas['viewOf']>) {
    this.#memoryAt = memoryAt;
  }

  matrix(sent: SentMatrix): DenseMatrix {
    const { rows, cols, dtype } = sent;
    if ('cells' in sent) return dense(rows, cols, sent.cells);
    if ('coded' in sent) return this.#coded(sent, sent.coded);
    if ('csr' in sent) return this.#csr(sent, sent.csr);
    const memory = this.#view(sent.address, rows * cols * cellBytes({ dtype }));
    return dense(rows, cols, cellsOf(dtype, rows * cols, memory));
  }

  #csr({ rows, cols, dtype }: SentMatrix, sent: SentCsr): CsrMatrix {
    const { count } = sent;
    const starts = new Int32Array(this.#view(sent.rowStarts, 4 * (rows + 1)), 0, rows + 1);
    if (count === 0) return new CsrMatrix(rows, cols, starts, new Int32Array(0), cellsOf(dtype, 0));
    const columns = new Int32Array(this.#view(sent.columns, 4 * count), 0, count);
    const values = cellsOf(dtype, count, this.#view(sent.values, count * cellBytes({ dtype })));
    return new CsrMatrix(rows, cols, starts, columns, values);
  }

  #coded({ rows, cols }: SentMatrix, sent: SentCodedRows): CodedRows {
    const numbers = sent.numbers.map(({ column, address }) => ({
      column,
      cells: new Float64Array(this.#view(address, rows * Float64Array.BYTES_PER_ELEMENT), 0, rows),
    }));
    const count = rows * sent.indicators;
    const memory = this.#view(sent.codes, count * Int32Array.BYTES_PER_ELEMENT);
    return new CodedRows(rows, cols, numbers, new Int32Array(memory, 0, count), sent.indicators);
  }

  #view(address: bigint, bytes: number): ArrayBuffer {
    const key = `${address},${bytes}`;
    let view = this.#views.get(key);
    if (view === undefined) {
      view = this.#memoryAt(address, bytes);
      this.#views.set(key, view);
      forgetOldest(this.#views, MAX_VIEWS);
    }
    return view;
  }
}
