/**
 * What a search keeps of a wave, a set of candidates that train and are scored together. Invariant:
 * plain JSON, from which a search ends with the same bits as if it had just trained the wave: so
 * scores that JSON has no word for are text, and weights are their bytes.
 */
import type { Cells, DenseMatrix } from '../../driver/ir/value.js';
import type { Params } from '../estimators/estimator.js';
import type { RawTrial } from './nested.js';
import { mean } from './table.js';

/** NaN, infinities and -0 as text. */
export type JournaledNumber = number | string;

export interface WaveTrial {
  /** Its name; absent in waves of earlier versions. */
  readonly model?: string;
  /** Those that are searched. */
  readonly params: Params;
  /** By metric, on every split there is. */
  readonly scores: Readonly<Record<string, readonly JournaledNumber[]>>;
  /** Why a fit failed, by number of the split; absent when none did. */
  readonly errors?: Readonly<Record<number, string>>;
  /** Fits that say how they ended, and what there is to say of some, by number of the split. */
  readonly ended?: number;
  readonly said?: Readonly<Record<number, string>>;
}

export interface WaveResult {
  /** In the order of the wave's candidates. */
  readonly trials: readonly WaveTrial[];
  /** Rows of each class that each of the search's own splits tests. */
  readonly classRows: readonly (readonly number[])[];
  /** What is to be said of scores, and of how many (see `scoring/notes.ts`). */
  readonly notes?: Readonly<Record<string, number>>;
  /** Weights of the wave's best candidate by partition, where a class report needs them. */
  readonly weights?: readonly KeptMatrix[];
}

/** Cells by row, as bytes of their dtype in base64. */
export interface KeptMatrix {
  readonly rows: number;
  readonly cols: number;
  readonly dtype: 'float64' | 'float32';
  readonly cells: string;
}

export function journaled(value: number): JournaledNumber {
  if (Object.is(value, -0)) return '-0';
  return Number.isFinite(value) ? value : String(value);
}

export function restoredTrial({ model, params, scores, errors = {} }: WaveTrial): RawTrial {
  const split = Object.entries(scores).map(([name, own]) => [name, own.map(Number)]);
  return { ...(model ? { model } : {}), params, splitScores: Object.fromEntries(split), errors };
}

export function keptMatrix({ rows, cols, dtype, data }: DenseMatrix): KeptMatrix {
  const { buffer, byteOffset, byteLength } = data;
  const cells = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength).toString('base64');
  return { rows, cols, dtype, cells };
}

export function restoredCells({ dtype, cells }: KeptMatrix): Cells {
  const { buffer } = new Uint8Array(Buffer.from(cells, 'base64'));
  return dtype === 'float32' ? new Float32Array(buffer) : new Float64Array(buffer);
}

export interface BestSoFar {
  /** Its name, where there are several. */
  readonly model?: string;
  /** Those that are searched. */
  readonly params: Params;
  readonly score: number;
}

/**
 * The first trial of the greatest mean score, of waves that are done.
 * @param folds the search's own splits
 */
export function bestOf(
  waves: readonly (readonly number[])[],
  results: ReadonlyMap<number, WaveResult>,
  metric: string,
  folds: number,
): BestSoFar | null {
  let best = null as (BestSoFar & { readonly trial: number }) | null;
  for (const [w, { trials }] of results) {
    for (const [i, kept] of trials.entries()) {
      const score = scoreOf(kept, metric, folds);
      if (!Number.isFinite(score)) continue;
      const { model, params } = kept;
      const trial = waves[w]![i]!;
      const isBetter = best === null || score > best.score;
      if (isBetter || (score === best?.score && trial < best.trial))
        best = { trial, ...(model ? { model } : {}), params, score };
    }
  }
  if (best === null) return null;
  const { trial: _, ...found } = best;
  return found;
}

/** The mean of a trial's own scores; NaN where it has none, or all its fits failed. */
export function scoreOf({ scores, errors = {} }: WaveTrial, metric: string, folds: number): number {
  const own = (scores[metric] ?? []).slice(0, folds).map(Number);
  const isFailed = own.every((_, f) => errors[f] !== undefined);
  return isFailed ? Number.NaN : mean(own);
}
