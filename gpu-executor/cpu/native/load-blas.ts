/**
 * Loads the best `Blas` this machine has. Invariant: a library is bound once a process; with none
 * that loads, the JavaScript routines answer, and the description says why.
 */
import { availableParallelism } from 'node:os';
import { ConfigError } from '../../../driver/errors.js';
import { env } from '../../../driver/support/env.js';
import { bindBlas, type NativeBlas } from './bindings.js';
import type { Blas } from './blas.js';
import { type BlasCandidate, findBlas } from './find-blas.js';
import { JavaScriptRoutines } from './js-blas.js';
import { NativeRoutines } from './native-blas.js';
import { ProductHelpers } from './product-helpers.js';

export interface BlasOptions {
  /** `auto`, `none` or the path of a library; defaults to REPRISE_BLAS, then `auto`. */
  readonly blas?: string;
  /** Defaults to REPRISE_THREADS, then the number of cores. */
  readonly threads?: number;
}

interface Bound {
  readonly native: NativeBlas;
  readonly helpers: ProductHelpers;
}

const bound = new Map<string, Bound>();

/** @throws ConfigError if a library can't be used or the thread count is not a positive integer */
export function loadBlas(options: BlasOptions = {}): Blas {
  const threads = threadCount(options.threads);
  const search = findBlas(options.blas);
  if (search.kind === 'none') return new JavaScriptRoutines(search.reason);
  const problems: string[] = [];
  for (const candidate of search.candidates) {
    try {
      const { native, helpers } = bindOnce(candidate);
      return new NativeRoutines(native, threads, Math.min(threads, poolSize()), helpers);
    } catch (error) {
      if (candidate.origin === 'setting') throw error;
      problems.push((error as Error).message);
    }
  }
  return new JavaScriptRoutines(problems.join('; '));
}

/** Which BLAS would be used, and why: one line for `doctor`. Never throws. */
export function describeBlas(options: BlasOptions = {}): {
  readonly native: boolean;
  readonly text: string;
} {
  try {
    const blas = loadBlas(options);
    return { native: blas.kind === 'native', text: blas.description };
  } catch (error) {
    return { native: false, text: error instanceof Error ? error.message : String(error) };
  }
}

function bindOnce(candidate: BlasCandidate): Bound {
  let known = bound.get(candidate.path);
  if (known === undefined) {
    const native = bindBlas(candidate);
    known = { native, helpers: new ProductHelpers(native, candidate) };
    bound.set(candidate.path, known);
  }
  return known;
}

function threadCount(option: number | undefined): number {
  const setting = option ?? env.threads();
  if (setting === undefined) return availableParallelism();
  const threads = Number(setting);
  if (!Number.isSafeInteger(threads) || threads < 1) {
    throw new ConfigError(`threads: expected a whole number of at least 1, got ${setting}`, {
      key: 'REPRISE_THREADS',
      value: setting,
    });
  }
  return threads;
}

/** Threads of libuv's pool, on which asynchronous calls run. */
function poolSize(): number {
  const size = Number(process.env.UV_THREADPOOL_SIZE);
  return Number.isSafeInteger(size) && size > 0 ? size : 4;
}
