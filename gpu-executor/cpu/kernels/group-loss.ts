/**
 * `groupLoss` by products of row blocks with the models of one group: P[models, rows] = W' X', then
 * one loop over P for the losses. Long runs of a group are used where they lie; scattered rows are
 * gathered first. Products of one batch run beside each other while the losses of the batch before
 * are summed, always in row order, so results do not depend on timing.
 */

import { dense, type Float64Matrix } from '../../../driver/ir/value.js';
import { groupLoss, type Loss } from '../../../driver/operators/group-loss.js';
import { type Routines, routinesOf } from '../native/blas.js';
import { copyRows, gather, longRuns, type Piece } from './grouping.js';
import type { Kernel, KernelContext, Reducer, ReducerCall } from './kernel.js';

/** Cells of a gathered buffer. @units 8 bytes */
const GATHERED_CELLS = 1 << 20;
/** Cells of predictions in one batch. */
const PREDICTED_CELLS = 1 << 18;
const PIECE_ROWS = 8192;

/** Pieces whose predictions are made together. */
interface Batch {
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly pieces: readonly Piece[];
  readonly predictions: Float64Array;
}

class LossReducer implements Reducer {
  readonly #groups: number;
  readonly #width: number;
  readonly #losses: readonly Loss[];
  readonly #parallel: boolean;
  readonly #blas: Routines;
  readonly #out: Float64Array;
  readonly #columns: number;
  readonly #batchRows: number;
  readonly #predictions: Float64Array[] = [];
  readonly #gatheredX: Float64Array[] = [];
  readonly #gatheredY: Float64Array[] = [];
  /** W transposed without its intercepts, and the intercepts; made at the first block. */
  #weights: Float64Array | undefined;
  #intercepts = new Float64Array(0);
  #turn = 0;
  #running: Promise<unknown> | undefined;
  #unsummed: Batch | undefined;

  constructor(call: ReducerCall, context: KernelContext) {
    this.#groups = call.attrs.groups as number;
    this.#losses = call.attrs.losses as readonly Loss[];
    this.#width = call.inputs[1]!.cols;
    this.#columns = call.out.cols;
    this.#parallel = call.parallel;
    this.#blas = routinesOf(context.blas, call.parallel);
    this.#out = new Float64Array(this.#losses.length * this.#columns);
    this.#batchRows = Math.max(
      64,
      Math.min(
        Math.floor(PREDICTED_CELLS / this.#models),
        Math.floor(GATHERED_CELLS / this.#width),
        PIECE_ROWS * 4,
      ),
    );
  }

  get #models(): number {
    return this.#columns / this.#groups;
  }

  add(inputs: readonly Float64Matrix[]): void | Promise<void> {
    const [g, x, y, w] = inputs as [Float64Matrix, Float64Matrix, Float64Matrix, Float64Matrix];
    if (this.#weights === undefined) this.#splitWeights(w);
    const pieceRows = Math.min(PIECE_ROWS, Math.max(64, this.#batchRows >> 2));
    const runs = longRuns(g.data, this.#groups, pieceRows);
    const batches = runs === undefined ? this.#gathered(g, x, y) : this.#inPlace(runs, x, y);
    if (this.#parallel) return this.#addParallel(batches, runs !== undefined);
    for (const batch of batches) {
      for (const piece of batch.pieces) void this.#predict(batch, piece);
      this.#sum(batch);
    }
    return undefined;
  }

  async #addParallel(batches: Iterable<Batch>, usesInputs: boolean): Promise<void> {
    for (const batch of batches) {
      await this.#running;
      this.#running = Promise.all(batch.pieces.map((piece) => this.#predict(batch, piece)));
      this.#running.catch(() => undefined);
      const before = this.#unsummed;
      this.#unsummed = batch;
      if (before !== undefined) this.#sum(before);
    }
    if (usesInputs) await this.#drain();
  }

  async #drain(): Promise<void> {
    await this.#running;
    if (this.#unsummed !== undefined) this.#sum(this.#unsummed);
    this.#unsummed = undefined;
    this.#running = undefined;
  }

  #splitWeights(w: Float64Matrix): void {
    const width = this.#width;
    const weights = new Float64Array(width * w.cols);
    for (let j = 0; j < width; j++) {
      for (let c = 0; c < w.cols; c++) weights[c * width + j] = w.data[j * w.cols + c]!;
    }
    this.#weights = weights;
    this.#intercepts = w.data.slice(width * w.cols);
  }

  *#inPlace(runs: readonly Piece[], x: Float64Matrix, y: Float64Matrix): Generator<Batch> {
    let pieces: Piece[] = [];
    let rows = 0;
    for (const piece of runs) {
      if (rows + piece.rows > this.#batchRows && rows > 0) {
        yield this.#batch(x.data, y.data, pieces, rows);
        pieces = [];
        rows = 0;
      }
      pieces.push(piece);
      rows += piece.rows;
    }
    if (rows > 0) yield this.#batch(x.data, y.data, pieces, rows);
  }

  *#gathered(g: Float64Matrix, x: Float64Matrix, y: Float64Matrix): Generator<Batch> {
    const width = this.#width;
    for (let from = 0; from < g.rows; from += this.#batchRows) {
      const to = Math.min(from + this.#batchRows, g.rows);
      const { order, pieces } = gather(g.data.subarray(from, to), this.#groups, 0, to - from);
      if (order.length === 0) continue;
      // The other buffer of each pair may still be in use by the batch before.
      const batch = this.#batch(
        reserve(this.#gatheredX, 1 - this.#turn, order.length * width),
        reserve(this.#gatheredY, 1 - this.#turn, order.length),
        pieces,
        order.length,
      );
      copyRows(x.data.subarray(from * width, to * width), order, batch.x, undefined, width);
      copyRows(y.data.subarray(from, to), order, batch.y, undefined, 1);
      yield batch;
    }
  }

  #batch(x: Float64Array, y: Float64Array, pieces: readonly Piece[], rows: number): Batch {
    this.#turn = 1 - this.#turn;
    const predictions = reserve(this.#predictions, this.#turn, rows * this.#models);
    return { x, y, pieces, predictions };
  }

  #predict(batch: Batch, piece: Piece): void | Promise<void> {
    const width = this.#width;
    const models = this.#models;
    const weights = this.#weights!.subarray(piece.group * models * width);
    const x = batch.x.subarray(piece.start * width);
    const out = batch.predictions.subarray(predictionStart(batch, piece) * models);
    return this.#blas.gemm(
      ...([false, true, models, piece.rows, width, 1, weights, width] as const),
      ...([x, width, 0, out, piece.rows] as const),
    );
  }

  #sum(batch: Batch): void {
    const models = this.#models;
    for (const piece of batch.pieces) {
      const at = predictionStart(batch, piece) * models;
      for (let m = 0; m < models; m++) {
        const column = piece.group * models + m;
        const from = at + m * piece.rows;
        const intercept = this.#intercepts[column]!;
        for (let l = 0; l < this.#losses.length; l++) {
          const total = this.#losses[l] === 'squared' ? sumSquared : sumAbsolute;
          this.#out[l * this.#columns + column]! += total(
            batch.predictions,
            from,
            batch.y,
            piece.start,
            piece.rows,
            intercept,
          );
        }
      }
    }
  }

  result(): Float64Matrix | Promise<Float64Matrix> {
    const finish = (): Float64Matrix => dense(this.#losses.length, this.#columns, this.#out);
    return this.#parallel ? this.#drain().then(finish) : finish();
  }
}

/** Predictions of a batch lie piece after piece: rows of the pieces before. */
function predictionStart(batch: Batch, piece: Piece): number {
  let rows = 0;
  for (const other of batch.pieces) {
    if (other === piece) break;
    rows += other.rows;
  }
  return rows;
}

function reserve(pair: Float64Array[], turn: number, cells: number): Float64Array {
  const kept = pair[turn];
  if (kept !== undefined && kept.length >= cells) return kept;
  const fresh = new Float64Array(cells);
  pair[turn] = fresh;
  return fresh;
}

// Two loops rather than one with a choice inside: each stays monomorphic and branch-free.
function sumSquared(
  p: Float64Array,
  from: number,
  y: Float64Array,
  start: number,
  rows: number,
  intercept: number,
): number {
  let even = 0;
  let odd = 0;
  let i = 0;
  for (; i + 1 < rows; i += 2) {
    const a = y[start + i]! - intercept - p[from + i]!;
    const b = y[start + i + 1]! - intercept - p[from + i + 1]!;
    even += a * a;
    odd += b * b;
  }
  if (i < rows) {
    const a = y[start + i]! - intercept - p[from + i]!;
    even += a * a;
  }
  return even + odd;
}

function sumAbsolute(
  p: Float64Array,
  from: number,
  y: Float64Array,
  start: number,
  rows: number,
  intercept: number,
): number {
  let sum = 0;
  for (let i = 0; i < rows; i++) sum += Math.abs(y[start + i]! - intercept - p[from + i]!);
  return sum;
}

export const groupLossKernel: Kernel = {
  op: groupLoss,
  reducer: (call, context) => new LossReducer(call, context),
};
