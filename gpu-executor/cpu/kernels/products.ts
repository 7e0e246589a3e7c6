/**
 * Matrix products by BLAS. Small ones are one synchronous call. Large ones are cut by us, because
 * calls side by side with one thread each beat the library's threads: a product by rows (or
 * columns) of its output, a sum over rows by rows with an accumulator a lane.
 */

import type { DType } from '../../../driver/ir/dtype.js';
import {
  type Cells,
  cellsOf,
  converted,
  type DenseMatrix,
  dense,
} from '../../../driver/ir/value.js';
import { matmul } from '../../../driver/operators/matmul.js';
import { mmchain } from '../../../driver/operators/mmchain.js';
import { tsmm } from '../../../driver/operators/tsmm.js';
import { type GemmArgs, type Routines, routinesOf } from '../native/blas.js';
import { onesSums, ownSums } from './coded-lanes.js';
import { addTransposedCoded, multiplyCoded } from './coded-products.js';
import { CODED_PRODUCTS, CodedRows } from './coded-rows.js';
import type {
  Allocate,
  Kernel,
  KernelCall,
  KernelContext,
  Reducer,
  ReducerCall,
} from './kernel.js';

/** Rows of one call in sums over rows: a few megabytes, so that X is still cached for the next. */
const PIECE_ROWS = 8192;
/** Cells of intermediate products kept a lane. */
const CHAIN_CELLS = 1 << 17;

interface Product {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

function productOf({ inputs, attrs }: KernelCall<Cells>): Product {
  const [a, b] = inputs as [DenseMatrix, DenseMatrix];
  const transA = attrs.transposeA === true;
  const transB = attrs.transposeB === true;
  const [m, k] = transA ? [a.cols, a.rows] : [a.rows, a.cols];
  return { transA, transB, m, k, n: transB ? b.rows : b.cols };
}

/** A view takes some microseconds, as long as a small product. */
function cellsFrom(cells: Cells, from: number): Cells {
  return from === 0 ? cells : cells.subarray(from);
}

/** In so many parts, by rows of the output or its columns, whichever are more. */
function partsOf(
  { transA, transB, m, n, k }: Product,
  [a, b]: readonly DenseMatrix[],
  out: Cells,
  lanes: number,
): GemmArgs[] {
  const byRows = m >= n;
  const length = byRows ? m : n;
  const parts = Math.min(lanes, length);
  return Array.from({ length: parts }, (_, p): GemmArgs => {
    const from = Math.floor((length * p) / parts);
    const count = Math.floor((length * (p + 1)) / parts) - from;
    const [row, rows, col, cols] = byRows ? [from, count, 0, n] : [0, m, from, count];
    const left = cellsFrom(a!.data, transA ? row : row * a!.cols);
    const right = cellsFrom(b!.data, transB ? col * b!.cols : col);
    const target = cellsFrom(out, row * n + col);
    return [transA, transB, rows, cols, k, 1, left, a!.cols, right, b!.cols, 0, target, n];
  });
}

/** X W of coded rows X; undefined for every other product. */
function codedProduct(call: KernelCall<Cells>, context: KernelContext): DenseMatrix | undefined {
  const [a, b] = call.inputs as [DenseMatrix, DenseMatrix];
  const { transposeA, transposeB } = call.attrs;
  if (!(a instanceof CodedRows) || transposeA || transposeB) return undefined;
  const out = context.allocate(a.rows * b.cols, call.out.dtype);
  multiplyCoded(a, b, out, routinesOf(context.blas, false));
  return dense(a.rows, b.cols, out);
}

const coded = { from: CODED_PRODUCTS, operand: 0 } as const;

const matmulKernel: Kernel<Cells> = {
  op: matmul,
  coded,
  run: (call, context) => {
    const known = codedProduct(call, context);
    if (known !== undefined) return known;
    const product = productOf(call);
    const { m, n } = product;
    const out = context.allocate(m * n, call.out.dtype);
    context.blas.gemm(...partsOf(product, call.inputs, out, 1)[0]!);
    return dense(m, n, out);
  },
  runAsync: async (call, context) => {
    const known = codedProduct(call, context);
    if (known !== undefined) return known;
    const product = productOf(call);
    const { m, n } = product;
    const out = context.allocate(m * n, call.out.dtype);
    await context.blas.gemmsAsync(partsOf(product, call.inputs, out, context.blas.lanes));
    return dense(m, n, out);
  },
  reducer: (call, context) =>
    new RowSumReducer(call, context, ([a, b], start, rows, sums, { gemm }) =>
      a instanceof CodedRows
        ? addTransposedCoded(a, b!, start, rows, sums, routinesOf(context.blas, false))
        : gemm(
            ...([true, false, a!.cols, b!.cols, rows, 1] as const),
            ...([a!.data.subarray(start * a!.cols), a!.cols] as const),
            ...([b!.data.subarray(start * b!.cols), b!.cols, 1, sums, b!.cols] as const),
          ),
    ),
};

const tsmmKernel: Kernel<Cells> = {
  op: tsmm,
  reducer: (call, context) =>
    new RowSumReducer(
      call,
      context,
      ([x], start, rows, sums, { syrk }) =>
        syrk(x!.cols, rows, x!.data.subarray(start * x!.cols), x!.cols, 1, sums, x!.cols),
      mirrorUpper,
    ),
};

const mmchainKernel: Kernel<Cells> = {
  op: mmchain,
  coded,
  reducer: (call, context) => {
    const width = call.inputs[1]!.cols;
    const pieceRows = Math.max(64, Math.min(PIECE_ROWS, Math.floor(CHAIN_CELLS / width)));
    const chains = new Map<Cells, Cells>();
    return new RowSumReducer(
      call,
      context,
      (inputs, start, rows, sums, routines) => {
        let product = chains.get(sums);
        if (product === undefined) {
          product = cellsOf(call.inputs[0]!.dtype, pieceRows * width);
          chains.set(sums, product);
        }
        if (!(inputs[0] instanceof CodedRows)) {
          return chain(inputs, start, rows, product, sums, routines, call.parallel);
        }
        return codedChain(inputs, start, rows, product, sums, routinesOf(context.blas, false));
      },
      undefined,
      pieceRows,
    );
  },
};

function codedChain(
  [x, v, w]: readonly DenseMatrix[],
  start: number,
  rows: number,
  product: Cells,
  sums: Cells,
  routines: Routines,
): void {
  const X = (x as CodedRows).rowsView(start, start + rows);
  multiplyCoded(X, v!, product, routines);
  weigh(product, w, start, rows, v!.cols);
  const inner = dense(rows, v!.cols, product.subarray(0, rows * v!.cols));
  addTransposedCoded(X, inner, 0, rows, sums, routines);
}

/** The product of rows from `start` on, row by row times their weights. */
function weigh(
  product: Cells,
  w: DenseMatrix | undefined,
  start: number,
  rows: number,
  k: number,
): void {
  if (w === undefined) return;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < k; j++) {
      product[i * k + j]! *= w.data[(start + i) * w.cols + (w.cols === 1 ? 0 : j)]!;
    }
  }
}

/** sums += t(X) %*% (w * (X %*% v)) over some rows. */
function chain(
  [x, v, w]: readonly DenseMatrix[],
  start: number,
  rows: number,
  product: Cells,
  sums: Cells,
  { gemm }: Routines,
  parallel: boolean,
): void | Promise<void> {
  const d = x!.cols;
  const k = v!.cols;
  const cells = x!.data.subarray(start * d);
  const first = (): void | Promise<void> =>
    gemm(false, false, rows, k, d, 1, cells, d, v!.data, k, 0, product, k);
  const second = (): void | Promise<void> =>
    gemm(true, false, d, k, rows, 1, cells, d, product, k, 1, sums, k);
  if (!parallel) {
    void first();
    weigh(product, w, start, rows, k);
    void second();
    return undefined;
  }
  return Promise.resolve(first()).then(() => {
    weigh(product, w, start, rows, k);
    return second();
  });
}

export type RowSum = (
  inputs: readonly DenseMatrix[],
  start: number,
  rows: number,
  sums: Cells,
  routines: Routines,
) => void | Promise<void>;

/**
 * Sums a product over rows: pieces of rows go round the lanes, each lane into sums of its own. Sums
 * are float64; those of float32 rows, a piece of them, are added to them before the lane's next
 * piece, so that a lane of one piece has no others, and one of none has nothing.
 */
export class RowSumReducer implements Reducer<Cells> {
  readonly #rows: number;
  readonly #cols: number;
  readonly #parallel: boolean;
  readonly #dtype: DType;
  readonly #lanes: number;
  /** By lane, once they are needed. */
  readonly #sums: (Float64Array | undefined)[] = [];
  /** Of float32: by lane, the sums of its last rows, and how many these are. */
  readonly #pieces: { readonly sums: Float32Array; rows: number }[] = [];
  readonly #routines: Routines;
  readonly #step: RowSum;
  readonly #finish: ((sums: Cells, order: number) => void) | undefined;
  readonly #pieceRows: number;
  readonly #allocate: Allocate;

  constructor(
    call: ReducerCall,
    context: KernelContext,
    step: RowSum,
    finish?: (sums: Cells, order: number) => void,
    pieceRows: number = PIECE_ROWS,
  ) {
    this.#rows = call.out.rows;
    this.#cols = call.out.cols;
    this.#parallel = call.parallel;
    const lanes = call.parallel ? context.blas.lanes : 1;
    this.#dtype = call.out.dtype;
    this.#lanes = lanes;
    this.#routines = routinesOf(context.blas, call.parallel);
    this.#allocate = context.allocate;
    this.#step = step;
    this.#finish = finish;
    this.#pieceRows = pieceRows;
  }

  add(inputs: readonly DenseMatrix[]): void | Promise<void> {
    const { rows } = inputs[0]!;
    if (this.#parallel) return this.#addParallel(inputs, rows);
    for (let start = 0; start < rows; start += this.#pieceRows) {
      const count = Math.min(this.#pieceRows, rows - start);
      void this.#addPiece(inputs, start, count, 0);
    }
    return undefined;
  }

  async #addParallel(inputs: readonly DenseMatrix[], rows: number): Promise<void> {
    const lanes = this.#lanes;
    // Few rows are shared out evenly rather than given to one lane.
    const pieceRows = Math.min(this.#pieceRows, Math.max(256, Math.ceil(rows / lanes)));
    await Promise.all(
      Array.from({ length: lanes }, async (_, lane) => {
        for (let start = lane * pieceRows; start < rows; start += lanes * pieceRows) {
          await this.#addPiece(inputs, start, Math.min(pieceRows, rows - start), lane);
        }
      }),
    );
  }

  #addPiece(inputs: readonly DenseMatrix[], start: number, rows: number, lane: number) {
    if (this.#dtype !== 'float32') {
      this.#sums[lane] ??= this.#newSums(inputs[0]!);
      return this.#step(inputs, start, rows, this.#sums[lane], this.#routines);
    }
    this.#pieces[lane] ??= { sums: this.#zeros('float32') as Float32Array, rows: 0 };
    const piece = this.#pieces[lane];
    // Few rows a call are added up with others: that takes as long as many rows of products.
    if (piece.rows + rows > Math.max(rows, PIECE_ROWS)) {
      this.#sums[lane] ??= new Float64Array(piece.sums.length);
      addTo(this.#sums[lane], piece.sums);
      piece.sums.fill(0);
      piece.rows = 0;
    }
    piece.rows += rows;
    return this.#step(inputs, start, rows, piece.sums, this.#routines);
  }

  #newSums(first: DenseMatrix): Float64Array {
    const isCoded = first instanceof CodedRows && first.cols === this.#rows;
    if (isCoded) return onesSums(first, this.#cols);
    return this.#zeros('float64') as Float64Array;
  }

  #zeros(dtype: DType): Cells {
    return this.#allocate(this.#rows * this.#cols, dtype).fill(0);
  }

  result(): DenseMatrix {
    const known: Cells[] = this.#sums.filter((sums) => sums !== undefined).map(ownSums);
    const all = [...known, ...Object.values(this.#pieces).map(({ sums }) => sums)];
    const [out = new Float64Array(this.#rows * this.#cols), ...others] = all;
    for (const other of others) addTo(out, other);
    this.#finish?.(out, this.#cols);
    return converted(dense(this.#rows, this.#cols, out), this.#dtype);
  }
}

function addTo(sums: Cells, more: Cells): void {
  for (let i = 0; i < sums.length; i++) sums[i]! += more[i]!;
}

function mirrorUpper(cells: Cells, order: number): void {
  for (let i = 0; i < order; i++) {
    for (let j = i + 1; j < order; j++) cells[j * order + i] = cells[i * order + j]!;
  }
}

export const productKernels: readonly Kernel<Cells>[] = [matmulKernel, tsmmKernel, mmchainKernel];
