/**
 * The chunks of one pass: which are taken, and what came of them. Chunks are taken by counting up a
 * number that all threads share.
 */
import { ExecutionError } from '../../../driver/errors.js';
import { noAttrs } from '../../../driver/ir/attrs.js';
import {
  cellsOf,
  converted,
  type DenseMatrix,
  type Float64Matrix,
} from '../../../driver/ir/value.js';
import { ops } from '../../../driver/operators/index.js';
import { kernelOf } from '../kernels/index.js';
import { allocateBy } from '../kernels/kernel.js';
import type { Blas } from '../native/blas.js';
import type { RowProgram, Sink } from './row-program.js';

/** What became of a chunk that a helper took; without results the asker computes it itself. */
export interface ChunkReport {
  readonly id: number;
  readonly chunk: number;
  readonly results: readonly DenseMatrix[] | undefined;
}

export class ChunkResults {
  readonly id: number;
  readonly program: RowProgram;
  readonly next = new Int32Array(new SharedArrayBuffer(4));
  /** Chunks that helpers could not do. */
  readonly failed: number[] = [];
  /** Settles once every chunk that a helper took is reported. */
  readonly reported: Promise<void>;
  readonly #done = new Map<number, readonly DenseMatrix[]>();
  #settle: () => void = () => {};
  #fail: (error: Error) => void = () => {};
  /** Chunks that are taken in the end. */
  #limit: number;
  #own = 0;
  #others = 0;

  constructor(id: number, program: RowProgram) {
    this.id = id;
    this.program = program;
    this.#limit = this.count;
    this.reported = new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#fail = reject;
    });
    this.reported.catch(() => undefined);
  }

  get count(): number {
    return Math.ceil(this.program.rows / this.program.chunkRows);
  }

  /** A chunk for this thread; undefined when all are taken. */
  take(): number | undefined {
    const chunk = Atomics.add(this.next, 0, 1);
    if (chunk < this.count) {
      this.#own++;
      return chunk;
    }
    this.#check();
    return undefined;
  }

  add(chunk: number, results: readonly DenseMatrix[]): void {
    this.#done.set(chunk, results);
  }

  report({ chunk, results }: ChunkReport): void {
    if (results === undefined) this.failed.push(chunk);
    else this.add(chunk, results);
    this.#others++;
    this.#check();
  }

  /** From now on no chunk is taken. */
  stop(): void {
    this.#limit = Math.min(this.#limit, Atomics.exchange(this.next, 0, this.count));
    this.#check();
  }

  /** A helper has ended, and with it the chunk it had taken. */
  lose(): void {
    const taken = Math.min(this.count, Atomics.load(this.next, 0));
    if (taken === this.#own + this.#others) return;
    this.#fail(
      new ExecutionError('rows: expected a thread to go on, but it ended; run again', {
        backend: 'cpu',
      }),
    );
  }

  /** The sinks' results over all rows: those of the chunks in order. */
  total(blas: Blas): DenseMatrix[] {
    return this.program.sinks.map((sink, i) => {
      let total = converted(this.#done.get(0)![i]!, 'float64');
      for (let chunk = 1; chunk < this.count; chunk++) {
        total = combined(sink, total, converted(this.#done.get(chunk)![i]!, 'float64'), blas);
      }
      return converted(total, sink.out.dtype);
    });
  }

  #check(): void {
    const isOver = Atomics.load(this.next, 0) >= this.count;
    if (isOver && this.#own + this.#others >= this.#limit) this.#settle();
  }
}

/** By the kernel of the operator that merges, where there is one: cells into those of `a`. */
function combined({ op, attrs }: Sink, a: Float64Matrix, b: Float64Matrix, blas: Blas) {
  const { merge, combine } = ops[op as keyof typeof ops];
  const run = typeof merge === 'object' ? kernelOf.get(merge.name)?.run : undefined;
  if (run === undefined) return combine!(a, b, attrs);
  const allocate = allocateBy((cells, dtype) =>
    cells === a.data.length ? a.data : cellsOf(dtype, cells),
  );
  return run({ inputs: [a, b], attrs: noAttrs, out: a }, { blas, allocate }) as Float64Matrix;
}
