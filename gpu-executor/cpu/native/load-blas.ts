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

export interface BlasOptions {
  /** `auto`, `none` or the path of a library; defaults to REPRISE_BLAS, then `auto`. */
  readonly blas?: string;
  /** Defaults to REPRISE_THREADS, then the number of cores. */
  readonly threads?: number;
}

const bound = new Map<string, NativeBlas>();

/** @throws ConfigError if a library can't be used or the thread count is not a positive integer */
export function loadBlas(options: BlasOptions = {}): Blas {
  const threads = threadCount(options.threads);
  const search = findBlas(options.blas);
  if (search.kind === 'none') return new JavaScriptRoutines(search.reason);
  const problems: string[] = [];
  for (const candidate of search.candidates) {
    try {
      return new NativeRoutines(bindOnce(candidate), threads, Math.min(threads, poolSize()));
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

function bindOnce(candidate: BlasCandidate): NativeBlas {
  let native = bound.get(candidate.path);
  if (native === undefined) {
    native = bindBlas(candidate);
    bound.set(candidate.path, native);
  }
  return native;
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
