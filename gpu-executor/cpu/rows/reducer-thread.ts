/**
 * Reductions that take as long as reading their rows, in a thread of their own: while it takes one
 * block in, this thread reads and encodes the next. The thread reads blocks where they lie, by
 * address. It is started by the first reduction of enough work, and never keeps the process alive.
 * Invariant: blocks are taken in in their order by the same code as here, so results are the same
 * bits.
 */
import { Worker } from 'node:worker_threads';
import { ExecutionError } from '../../../driver/errors.js';
import type { Attrs } from '../../../driver/ir/attrs.js';
import type { Meta } from '../../../driver/ir/expr.js';
import type { BlockContext } from '../../../driver/ir/op-def.js';
import type { Cells, DenseMatrix } from '../../../driver/ir/value.js';
import { CodedRows } from '../kernels/coded-rows.js';
import type { Reducer } from '../kernels/kernel.js';
import type { Blas } from '../native/blas.js';
import { type SentMatrix, sentMatrix } from './sent-matrix.js';

/** Work from which a reduction goes beside: some 0.1 s, twice what the start costs. @units products */
const START_WORK = 2e7;

/** What the thread is asked: to take a block in, or for the reduced value. */
export interface ReducerTask {
  readonly id: number;
  /** Which reduction; told with its first block. */
  readonly reducer: number;
  readonly made?: { readonly op: string; readonly attrs: Attrs; readonly out: Meta };
  readonly inputs?: readonly SentMatrix[];
  readonly block?: BlockContext;
}

export interface ReducerReport {
  readonly id: number;
  readonly value?: DenseMatrix;
  readonly error?: unknown;
}

interface Waiting {
  readonly resolve: (value: DenseMatrix | undefined) => void;
  readonly reject: (reason: unknown) => void;
}

export class ReducerThread {
  readonly #addressOf: Blas['addressOf'];
  readonly #startWork: number;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #isBroken = false;
  #nextId = 0;
  #taken = 0;

  /** @param startWork work from which a reduction goes beside */
  constructor({ addressOf, lanes }: Blas, startWork = START_WORK) {
    this.#addressOf = lanes > 1 ? addressOf : undefined;
    this.#startWork = startWork;
  }

  /**
   * The reduction beside this thread, where that is worth it.
   * @param work of all rows @units products
   * @param make the reduction here
   */
  reducer(
    made: NonNullable<ReducerTask['made']>,
    work: number,
    make: () => Reducer<Cells>,
  ): Reducer<Cells> {
    const addressOf = this.#addressOf;
    if (addressOf === undefined || work < this.#startWork || !this.#isThere()) return make();
    return new RemoteReducer(this, made, addressOf, make);
  }

  /** The answer of the thread. @throws ExecutionError when it ended; what the reduction throws */
  async ask(task: Omit<ReducerTask, 'id'>): Promise<DenseMatrix | undefined> {
    const worker = this.#worker;
    if (worker === undefined) throw lost();
    const id = this.#nextId++;
    // Only while somebody waits for it.
    worker.ref();
    try {
      const value = await new Promise<DenseMatrix | undefined>((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        worker.postMessage({ id, ...task } satisfies ReducerTask);
      });
      if (task.inputs !== undefined) this.#taken++;
      return value;
    } finally {
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) worker.unref();
    }
  }

  /** Blocks that the thread took in. */
  get taken(): number {
    return this.#taken;
  }

  close(): void {
    void this.#worker?.terminate();
  }

  #isThere(): boolean {
    if (this.#isBroken) return false;
    if (this.#worker !== undefined) return true;
    const worker = new Worker(new URL('./reducer-worker.js', import.meta.url));
    worker.unref();
    worker.on('message', ({ id, value, error }: ReducerReport) => {
      const waiting = this.#waiting.get(id);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(error);
    });
    worker.on('error', () => this.#lose()).on('exit', () => this.#lose());
    this.#worker = worker;
    return true;
  }

  #lose(): void {
    this.#isBroken = true;
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(lost());
  }
}

function lost(): ExecutionError {
  return new ExecutionError(
    'groupGram: expected its thread to go on, got its end; run again with REPRISE_THREADS=1',
    { op: 'groupGram', backend: 'cpu' },
  );
}

/** What is done by the thread, as a reducer. */
class RemoteReducer implements Reducer<Cells> {
  static #next = 0;
  readonly #thread: ReducerThread;
  readonly #made: NonNullable<ReducerTask['made']>;
  readonly #addressOf: NonNullable<Blas['addressOf']>;
  readonly #make: () => Reducer<Cells>;
  readonly #number = RemoteReducer.#next++;
  /** Here instead, as the first block decides. */
  #own: Reducer<Cells> | undefined;
  #blocks = 0;

  constructor(
    thread: ReducerThread,
    made: NonNullable<ReducerTask['made']>,
    addressOf: NonNullable<Blas['addressOf']>,
    make: () => Reducer<Cells>,
  ) {
    this.#thread = thread;
    this.#made = made;
    this.#addressOf = addressOf;
    this.#make = make;
  }

  async add(inputs: readonly DenseMatrix[], block: BlockContext): Promise<void> {
    const isFirst = this.#blocks++ === 0;
    if (isFirst && !isForThread(inputs)) this.#own = this.#make();
    if (this.#own !== undefined) return this.#own.add(inputs, block);
    const sent = inputs.map((input) => sentMatrix(input, this.#addressOf));
    const task = { reducer: this.#number, inputs: sent, block };
    try {
      await this.#thread.ask(isFirst ? { ...task, made: this.#made } : task);
    } catch (error) {
      // What a thread can't begin is done here.
      if (!isFirst) throw error;
      this.#own = this.#make();
      await this.#own.add(inputs, block);
    }
  }

  async result(): Promise<DenseMatrix> {
    // Of no rows at all, too.
    this.#own ??= this.#blocks === 0 ? this.#make() : undefined;
    if (this.#own !== undefined) return this.#own.result();
    return (await this.#thread.ask({ reducer: this.#number }))!;
  }
}

/** Whether cells are what the thread's kernels are written for, some of them coded. */
function isForThread(inputs: readonly DenseMatrix[]): boolean {
  return (
    inputs.some((input) => input instanceof CodedRows) &&
    inputs.every(
      (input) =>
        input.dtype === 'float64' && (input.sparse === undefined || input instanceof CodedRows),
    )
  );
}
