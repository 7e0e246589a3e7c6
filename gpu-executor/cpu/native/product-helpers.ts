/**
 * Helper threads for products that the asking thread waits for: in a compiled loop a product takes a
 * fraction of a millisecond, less than the thread pool and the event loop need to hand it over and
 * to tell of its end. Calls stand in memory that all threads see, operands as addresses, and each
 * thread takes the next until none is left; helpers sleep in between, and waking one takes 5 us.
 * Invariants: no helper reads an operand once `run` has returned; what no helper takes in time, or
 * can't compute, is computed here.
 */
import { Worker } from 'node:worker_threads';
import type { NativeBlas, NativePrecision } from './bindings.js';
import type { BlasCandidate } from './find-blas.js';

/** Work after which helpers are started: it takes about as long as starting one. @units flops */
const START_FLOPS = 2e9;
/** Looks at a word before this thread sleeps: some 20 us. */
const SPINS = 2000;
/** After a run that waited twice as long as it computed, so many go without helpers. */
const ALONE = 8;
/** Calls of a run at most; of more, several runs are made. */
const MAX_CALLS = 64;

/** Where the words lie that threads share. */
export const WORD = {
  /** Changes with each run; helpers sleep on it. */
  run: 0,
  /** Calls nobody has taken, less looks that found none. */
  left: 1,
  /** Helpers that may be computing. */
  busy: 2,
  /** Calls that helpers computed since they were started. */
  helped: 3,
  /** By call, 1 where the helper that took it failed. */
  failed: 4,
} as const;

/** Arguments of the native routine; operands are typed arrays here, addresses for helpers. */
export type NativeGemm = Parameters<NativePrecision['gemm']>;
/** Numbers of a call: 1 for float64, then the arguments. */
export const CALL_NUMBERS = 15;

export interface SharedCalls {
  readonly words: Int32Array;
  /** Of call i from `CALL_NUMBERS * i` on. */
  readonly numbers: Float64Array;
}

/** What a helper is started with. */
export interface HelperData {
  readonly candidate: BlasCandidate;
  readonly calls: SharedCalls;
}

export class ProductHelpers {
  readonly #native: NativeBlas;
  readonly #candidate: BlasCandidate;
  readonly #calls: SharedCalls;
  readonly #startFlops: number;
  #helpers = 0;
  #flops = 0;
  /** Other work has the processors: so many more runs are made here. */
  #alone = 0;

  /** @param startFlops work after which helpers are started */
  constructor(native: NativeBlas, candidate: BlasCandidate, startFlops = START_FLOPS) {
    this.#native = native;
    this.#candidate = candidate;
    this.#startFlops = startFlops;
    const words = new Int32Array(new SharedArrayBuffer(4 * (WORD.failed + MAX_CALLS)));
    const numbers = new Float64Array(new SharedArrayBuffer(8 * CALL_NUMBERS * MAX_CALLS));
    this.#calls = { words, numbers };
  }

  /** Calls that helpers computed. */
  get helped(): number {
    return Atomics.load(this.#calls.words, WORD.helped);
  }

  /**
   * Computes all of them, of one dtype; they read nothing that another writes.
   * @param threads how many are to compute, this one among them
   */
  run(
    gemm: NativePrecision['gemm'],
    calls: readonly NativeGemm[],
    isWide: boolean,
    threads: number,
  ): void {
    for (const [, , , m, n, k] of calls) this.#flops += 2 * m * n * k;
    if (this.#flops >= this.#startFlops) this.#start(Math.min(threads, calls.length) - 1);
    if (this.#alone > 0 || this.#helpers === 0 || threads === 1) {
      for (const args of calls) gemm(...args);
      if (this.#alone > 0) this.#alone--;
      return;
    }
    for (let from = 0; from < calls.length; from += MAX_CALLS) {
      this.#share(gemm, calls.slice(from, from + MAX_CALLS), isWide);
    }
  }

  #share(gemm: NativePrecision['gemm'], calls: readonly NativeGemm[], isWide: boolean): void {
    const { words } = this.#calls;
    for (const [i, args] of calls.entries()) this.#write(i, args, isWide);
    words.fill(0, WORD.failed);
    // From here on they may be taken, also by who comes late from the last run.
    Atomics.store(words, WORD.left, calls.length);
    Atomics.add(words, WORD.run, 1);
    Atomics.notify(words, WORD.run);
    const begun = performance.now();
    for (let i = takeCall(words); i >= 0; i = takeCall(words)) gemm(...calls[i]!);
    const own = performance.now();
    const busyNow = (): number => Atomics.load(words, WORD.busy);
    for (let looks = 0; looks < SPINS && busyNow() > 0; ) looks++;
    for (let busy = busyNow(); busy > 0; busy = busyNow()) Atomics.wait(words, WORD.busy, busy);
    if (performance.now() - own > 2 * (own - begun)) this.#alone = ALONE;
    for (const [i, args] of calls.entries()) if (words[WORD.failed + i] === 1) gemm(...args);
  }

  #write(call: number, args: NativeGemm, isWide: boolean): void {
    const { numbers } = this.#calls;
    const at = CALL_NUMBERS * call;
    numbers[at] = isWide ? 1 : 0;
    for (const [i, one] of args.entries()) {
      numbers[at + 1 + i] = typeof one === 'number' ? one : Number(this.#native.addressOf(one));
    }
  }

  #start(count: number): void {
    for (; this.#helpers < count; this.#helpers++) {
      const workerData: HelperData = { candidate: this.#candidate, calls: this.#calls };
      const worker = new Worker(new URL('./product-worker.js', import.meta.url), { workerData });
      // Whatever it can't do is done without it.
      worker.on('error', () => undefined).unref();
    }
  }
}

/** @returns the number of a call that nobody else has; less than 0 where none is left */
export function takeCall(words: Int32Array): number {
  return Atomics.sub(words, WORD.left, 1) - 1;
}
