/**
 * Row programs on all cores: this thread and helpers take chunks one after another, and results are
 * added up in the order of the chunks. Helpers are started once enough work has gone by, join when
 * they are there, and never keep the process alive. They read the operands where they lie, by
 * address. Invariants: the result is the same whoever computed which chunk; no helper reads an
 * operand after the pass has ended.
 */
import { Worker } from 'node:worker_threads';
import type { DenseMatrix } from '../../../driver/ir/value.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import type { Blas } from '../native/blas.js';
import type { BlasOptions } from '../native/load-blas.js';
import type { KernelProvider } from '../providers/provider.js';
import { type ChunkReport, ChunkResults } from './chunk-results.js';
import type { RowProgram } from './row-program.js';
import { RowRunner } from './row-runner.js';
import { type SentMatrix, sentMatrix } from './sent-matrix.js';

/** Work after which helpers are started: that of a tenth of a second. @units flops */
const START_FLOPS = 2e9;
/** Less work is done before helpers have heard of it. @units flops */
const SHARE_FLOPS = 2e7;
/** Operands up to this size are sent; larger ones are read where they lie. @units bytes */
const SENT_BYTES = 4096;
/** Programs that helpers keep. */
export const KEPT_PROGRAMS = 128;
/** Longest work between two turns of the event loop. @units ms */
const TURN_MS = 10;

export interface RowTask {
  readonly id: number;
  /** By number; helpers keep the last ones they were sent. */
  readonly program: number;
  readonly made: RowProgram | undefined;
  readonly operands: readonly SentMatrix[];
  readonly kept: readonly SentMatrix[];
  /** The next chunk to take. */
  readonly next: Int32Array;
}

export interface RowSettings {
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (fraction: number) => void;
  /** Whose kernels the program may have. */
  readonly provider?: KernelProvider | undefined;
}

export class RowThreads {
  readonly #blas: Blas;
  /** What a helper opens its BLAS with. */
  readonly #options: BlasOptions;
  readonly #helpers: Worker[] = [];
  readonly #tasks = new Map<number, ChunkResults>();
  readonly #startFlops: number;
  readonly #programs = new WeakMap<RowProgram, number>();
  /** Those that helpers have, in the order in which they were sent. */
  readonly #sent = new Map<number, true>();
  #isBroken = false;
  #flops = 0;
  #nextId = 0;
  #nextProgram = 0;

  /** @param startFlops work after which helpers are started */
  constructor(blas: Blas, options: BlasOptions, startFlops = START_FLOPS) {
    this.#blas = blas;
    this.#options = options;
    this.#startFlops = startFlops;
  }

  /** The sinks' results. @throws AbortError, ExecutionError */
  async run(
    program: RowProgram,
    operands: readonly DenseMatrix[],
    kept: readonly DenseMatrix[],
    flops: number,
    { signal, onProgress, provider }: RowSettings,
  ): Promise<DenseMatrix[]> {
    const task = new ChunkResults(this.#nextId++, program);
    this.#flops += flops;
    const isShared = flops >= SHARE_FLOPS && task.count > 1 && this.#startHelpers();
    if (isShared) this.#send(task, operands, kept);
    const runner = new RowRunner(program, operands, kept, this.#blas, provider);
    let turn = performance.now();
    const breathe = async (): Promise<void> => {
      if (performance.now() - turn < TURN_MS) return;
      await new Promise<void>((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
      turn = performance.now();
    };
    const runChunk = async (chunk: number): Promise<void> => {
      const steps = runner.chunk(chunk);
      let step = steps.next();
      for (; !step.done; step = steps.next()) await breathe();
      task.add(chunk, step.value);
    };
    try {
      for (let chunk = task.take(); chunk !== undefined; chunk = task.take()) {
        await runChunk(chunk);
        onProgress((chunk + 1) / task.count);
      }
      await task.reported;
      for (const chunk of task.failed) await runChunk(chunk);
      return task.total(this.#blas);
    } finally {
      task.stop();
      await task.reported;
      this.#tasks.delete(task.id);
      if (this.#tasks.size === 0) for (const helper of this.#helpers) helper.unref();
    }
  }

  close(): void {
    for (const helper of this.#helpers.splice(0)) {
      void helper.terminate().then(() => this.#loseChunks());
    }
  }

  /** Whether there are helpers, or will be soon. */
  #startHelpers(): boolean {
    const { addressOf, lanes } = this.#blas;
    if (addressOf === undefined || this.#isBroken || this.#flops < this.#startFlops) return false;
    while (this.#helpers.length < lanes - 1) {
      const worker = new Worker(new URL('./row-worker.js', import.meta.url), {
        workerData: this.#options,
      });
      worker.unref();
      worker.on('message', (report: ChunkReport) => this.#tasks.get(report.id)?.report(report));
      worker.on('error', () => this.#lose(worker)).on('exit', () => this.#lose(worker));
      this.#helpers.push(worker);
    }
    return this.#helpers.length > 0;
  }

  /** What one helper can't do the next can't either: the work is done without. */
  #lose(helper: Worker): void {
    const at = this.#helpers.indexOf(helper);
    if (at < 0) return;
    this.#helpers.splice(at, 1);
    this.#isBroken = true;
    this.#loseChunks();
  }

  #loseChunks(): void {
    for (const task of this.#tasks.values()) task.lose();
  }

  #asSent(made: RowProgram): Pick<RowTask, 'program' | 'made'> {
    const program = this.#programs.get(made) ?? this.#nextProgram++;
    this.#programs.set(made, program);
    if (this.#sent.has(program)) return { program, made: undefined };
    this.#sent.set(program, true);
    forgetOldest(this.#sent, KEPT_PROGRAMS);
    return { program, made };
  }

  #send(task: ChunkResults, operands: readonly DenseMatrix[], kept: readonly DenseMatrix[]): void {
    const { id, next } = task;
    const addressOf = this.#blas.addressOf!;
    const message: RowTask = {
      ...{ id, next, ...this.#asSent(task.program) },
      operands: operands.map((one) => sentMatrix(one, addressOf, SENT_BYTES)),
      kept: kept.map((one) => sentMatrix(one, addressOf)),
    };
    this.#tasks.set(id, task);
    for (const helper of this.#helpers) {
      // Only while somebody waits for it.
      helper.ref();
      helper.postMessage(message);
    }
  }
}
