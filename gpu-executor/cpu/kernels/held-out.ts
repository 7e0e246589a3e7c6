/**
 * `heldOut` by products of row pieces with the models of one group. Long runs of a group are used
 * where they lie; scattered rows are gathered by group, multiplied, and put back. On the thread
 * pool, lanes of batches run beside each other: one gathers while the others multiply.
 */

import { dense, type Float64Matrix } from '../../../driver/ir/value.js';
import { heldOut } from '../../../driver/operators/held-out.js';
import { type Routines, routinesOf } from '../native/blas.js';
import { addCodedByRow } from './coded-products.js';
import { CODED_PRODUCTS, CodedRows } from './coded-rows.js';
import { copyRows, gather, longRuns, type Piece } from './grouping.js';
import type { Kernel, KernelCall, KernelContext } from './kernel.js';

/** Cells of a lane's gathered rows, and of their decision values. @units 8 bytes */
const GATHERED_CELLS = 1 << 17;
const PIECE_ROWS = 8192;
/** Smaller products take less time than sending them to another thread. */
const SMALL_STEPS = 1e6;

/** The product of one piece: rows of `x` into rows of `out`, which hold the intercepts. */
interface Product {
  readonly piece: Piece;
  readonly x: Float64Array;
  readonly out: Float64Array;
}

class HeldOut {
  readonly #g: Float64Matrix;
  readonly #x: Float64Matrix;
  readonly #w: Float64Matrix;
  readonly #groups: number;
  readonly #cols: number;
  readonly #out: Float64Array;
  readonly #runs: readonly Piece[] | undefined;
  readonly #gemm: Routines['gemm'];
  readonly #here: Routines['gemm'];
  readonly #batchRows: number;

  constructor({ inputs, attrs, out }: KernelCall, context: KernelContext, parallel: boolean) {
    [this.#g, this.#x, this.#w] = inputs as [Float64Matrix, Float64Matrix, Float64Matrix];
    this.#groups = attrs.groups as number;
    this.#cols = out.cols;
    this.#out = context.allocate(this.#x.rows * out.cols);
    this.#here = routinesOf(context.blas, false).gemm;
    this.#gemm = routinesOf(context.blas, parallel).gemm;
    this.#runs = longRuns(this.#g.data, this.#groups, PIECE_ROWS);
    const widest = Math.max(this.#x.cols, this.#cols);
    this.#batchRows = Math.max(64, Math.floor(GATHERED_CELLS / widest));
  }

  get #value(): Float64Matrix {
    return dense(this.#x.rows, this.#cols, this.#out);
  }

  run(): Float64Matrix {
    if (this.#x instanceof CodedRows) return this.#ofCoded(this.#x);
    if (this.#runs !== undefined) {
      for (const product of this.#inPlace(this.#runs)) void this.#multiply(product);
    } else {
      const space = spaces.pop() ?? new Space();
      for (const batch of this.#gathered(space)) {
        for (const product of batch.products) void this.#multiply(product);
        batch.putBack();
      }
      spaces.push(space);
    }
    return this.#value;
  }

  async runAsync(lanes: number): Promise<Float64Matrix> {
    if (this.#x instanceof CodedRows) return this.#ofCoded(this.#x);
    // The lanes take turns at one list of work, which is made as they ask for it.
    const products = this.#runs && this.#inPlace(this.#runs);
    const rows = { next: 0 };
    const lane = async (): Promise<void> => {
      if (products !== undefined) {
        for (const product of products) await this.#multiply(product);
        return;
      }
      const space = spaces.pop() ?? new Space();
      for (const batch of this.#gathered(space, rows)) {
        await Promise.all(batch.products.map((product) => this.#multiply(product)));
        batch.putBack();
      }
      spaces.push(space);
    };
    await Promise.all(Array.from({ length: lanes + 1 }, lane));
    return this.#value;
  }

  #ofCoded(x: CodedRows): Float64Matrix {
    const [out, cols] = [this.#out, this.#cols];
    const intercepts = this.#w.data.subarray(x.cols * this.#w.cols);
    const offsets = Int32Array.from(this.#g.data, (label) =>
      label >= 0 && label < this.#groups ? (label | 0) * cols : -1,
    );
    for (const [i, offset] of offsets.entries()) {
      if (offset < 0) out.fill(0, i * cols, (i + 1) * cols);
      else out.set(intercepts.subarray(offset, offset + cols), i * cols);
    }
    addCodedByRow(x, this.#w, cols, offsets, out);
    return this.#value;
  }

  *#inPlace(runs: readonly Piece[]): Generator<Product> {
    let end = 0;
    for (const piece of runs) {
      this.#leaveOut(end, piece.start);
      end = piece.start + piece.rows;
      const out = this.#out.subarray(piece.start * this.#cols, end * this.#cols);
      this.#putIntercepts(out, piece);
      yield { piece, x: this.#x.data.subarray(piece.start * this.#x.cols), out };
    }
    this.#leaveOut(end, this.#x.rows);
  }

  #leaveOut(from: number, to: number): void {
    this.#out.fill(0, from * this.#cols, to * this.#cols);
  }

  *#gathered(space: Space, rows = { next: 0 }): Generator<Batch> {
    const width = this.#x.cols;
    const cols = this.#cols;
    while (rows.next < this.#x.rows) {
      const from = rows.next;
      const to = Math.min(from + this.#batchRows, this.#x.rows);
      rows.next = to;
      const { order, pieces } = gather(this.#g.data.subarray(from, to), this.#groups, 0, to - from);
      const x = space.x(order.length * width);
      const decisions = space.decisions(order.length * cols);
      copyRows(this.#x.data.subarray(from * width, to * width), order, x, undefined, width);
      const products = pieces.map((piece) => {
        const end = piece.start + piece.rows;
        const out = decisions.subarray(piece.start * cols, end * cols);
        this.#putIntercepts(out, piece);
        return { piece, x: x.subarray(piece.start * width), out };
      });
      const putBack = (): void => {
        if (order.length < to - from) this.#leaveOut(from, to);
        const out = this.#out.subarray(from * cols, to * cols);
        copyRows(decisions, undefined, out, order, cols);
      };
      yield { products, putBack };
    }
  }

  /** Each row the intercepts of the group's models, to which the product is added. */
  #putIntercepts(out: Float64Array, { group, rows }: Piece): void {
    const cols = this.#cols;
    const at = this.#x.cols * this.#w.cols + group * cols;
    out.set(this.#w.data.subarray(at, at + cols));
    for (let done = 1; done < rows; done *= 2) {
      out.copyWithin(done * cols, 0, Math.min(done, rows - done) * cols);
    }
  }

  #multiply({ piece, x, out }: Product): void | Promise<void> {
    const width = this.#x.cols;
    const weights = this.#w.data.subarray(piece.group * this.#cols);
    const isSmall = piece.rows * width * this.#cols < SMALL_STEPS;
    return (isSmall ? this.#here : this.#gemm)(
      ...([false, false, piece.rows, this.#cols, width, 1, x, width] as const),
      ...([weights, this.#w.cols, 1, out, this.#cols] as const),
    );
  }
}

/** Rows gathered together. */
interface Batch {
  readonly products: readonly Product[];
  /** Puts the decision values where their rows lie. */
  readonly putBack: () => void;
}

/** The buffers of one lane, used by a batch at a time. */
class Space {
  #x = new Float64Array(0);
  #decisions = new Float64Array(0);

  x(cells: number): Float64Array {
    if (this.#x.length < cells) this.#x = new Float64Array(cells);
    return this.#x;
  }

  decisions(cells: number): Float64Array {
    if (this.#decisions.length < cells) this.#decisions = new Float64Array(cells);
    return this.#decisions;
  }
}

/** Left by calls for the next: a pass makes one a block. */
const spaces: Space[] = [];

export const heldOutKernel: Kernel = {
  op: heldOut,
  coded: { from: CODED_PRODUCTS, operand: 1 },
  run: (call, context) => new HeldOut(call, context, false).run(),
  runAsync: (call, context) => new HeldOut(call, context, true).runAsync(context.blas.lanes),
};
