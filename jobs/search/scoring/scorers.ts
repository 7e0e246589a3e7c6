/** What a search scores by: metrics by name, or with settings of their own. */
import type { SqlText } from '../../../driver/ir/frame-engine.js';
import type { Task } from '../../estimators/estimator.js';
import { METRICS, type Metric, type MetricDef } from './metrics.js';

/** Silhouette coefficients compare each row with every other: of how many, and of which. */
export interface SilhouetteScoring {
  readonly name: 'silhouette';
  /** Most rows of a test set to compare, drawn by `seed`. Default: all, up to `MOST_COMPARED`. */
  readonly sampleSize?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Of the test set, or of all rows under each split's model. Default `held-out`. */
  readonly rows?: 'held-out' | 'all';
}

/** An aggregate in SQL over the predictions of each test set; see `formulas.ts`. */
export interface SqlScoring extends SqlText {
  readonly name: string;
  /** False: the score is the value with its sign changed. Default true. */
  readonly greaterIsBetter?: boolean;
}

export type Scoring = Metric | SilhouetteScoring | SqlScoring;

export interface Scorer extends Omit<MetricDef, 'task'> {
  readonly name: string;
  /** Absent: models of any task are scored by it. */
  readonly task?: Task;
  readonly silhouette?: SilhouetteScoring;
  readonly formula?: SqlText;
}

/** Of a metric by name or with settings, here or in a job file. */
export function nameOf(scoring: string | { readonly name: string }): string {
  return typeof scoring === 'string' ? scoring : scoring.name;
}

export function scorerOf(scoring: Scoring): Scorer {
  if (typeof scoring === 'string') return { ...METRICS[scoring], ...settingsOf({ name: scoring }) };
  if (!('sql' in scoring)) return { ...METRICS[scoring.name], ...settingsOf(scoring) };
  const { name, sql, dialect, greaterIsBetter = true } = scoring;
  return {
    name,
    needs: [],
    formula: { sql, ...(dialect ? { dialect } : {}) },
    range: 'test sets on which its SQL gives a finite number',
    score: ({ formulas }) => (greaterIsBetter ? 1 : -1) * (formulas[name] ?? Number.NaN),
  };
}

function settingsOf(scoring: { readonly name: string }): Pick<Scorer, 'name' | 'silhouette'> {
  const { name } = scoring;
  return name === 'silhouette' ? { name, silhouette: scoring as SilhouetteScoring } : { name };
}
