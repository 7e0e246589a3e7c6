/**
 * Scores from summed losses, and the table scikit-learn calls `cv_results_`. Greater is better for
 * every metric.
 */
import type { Loss } from '../../driver/index.js';
import type { Task } from '../estimators/estimator.js';
import type { TrialResult } from './result.js';
import type { TestScatter } from './splits/partition.js';

/** What a metric is computed from, for one model on one test set. */
export interface FoldLosses extends TestScatter {
  readonly squared: number;
  readonly absolute: number;
}

export interface MetricDef {
  readonly task: Task;
  readonly loss: Loss;
  /** Fewest rows of a test fold it is defined on. Default 1. */
  readonly minRows?: number;
  readonly score: (losses: FoldLosses) => number;
}

/** scikit-learn's scorers by name: the one table of metrics. */
export const METRICS = {
  r2: { task: 'regression', loss: 'squared', minRows: 2, score: r2 },
  neg_mean_squared_error: {
    task: 'regression',
    loss: 'squared',
    score: ({ squared, count }) => -squared / count,
  },
  neg_root_mean_squared_error: {
    task: 'regression',
    loss: 'squared',
    score: ({ squared, count }) => -Math.sqrt(squared / count),
  },
  neg_mean_absolute_error: {
    task: 'regression',
    loss: 'absolute',
    score: ({ absolute, count }) => -absolute / count,
  },
} as const satisfies Readonly<Record<string, MetricDef>>;

export type Metric = keyof typeof METRICS;

/** What models are scored by when nothing is said, as their `score` in scikit-learn. */
export function defaultMetric(task: Task): Metric {
  return metricsOf([task])[0]!;
}

/** The metrics of models that do one of these tasks. */
export function metricsOf(tasks: readonly Task[]): Metric[] {
  return (Object.keys(METRICS) as Metric[]).filter((name) => tasks.includes(METRICS[name].task));
}

/** As scikit-learn's `r2_score`: a constant target gives 1 if exact, else 0; NaN below two rows. */
function r2({ count, squared, targetScatter }: FoldLosses): number {
  if (count < 2) return Number.NaN;
  if (targetScatter === 0) return squared === 0 ? 1 : 0;
  return 1 - squared / targetScatter;
}

export function lossesOf(scoring: readonly Metric[]): Loss[] {
  return [...new Set(scoring.map((metric) => METRICS[metric].loss))].sort().reverse();
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Population standard deviation, as `cv_results_` has it. */
export function deviation(values: readonly number[]): number {
  const center = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - center) ** 2)));
}

/** Ranks as `cv_results_`: 1 is best, ties share the lowest, NaN is worst; all 1 if all are NaN. */
export function rank(scores: readonly number[]): number[] {
  const finite = scores.filter((score) => !Number.isNaN(score));
  const worst = Math.min(...finite) - 1;
  const filled = scores.map((score) => (Number.isNaN(score) ? worst : score));
  if (finite.length === 0) return scores.map(() => 1);
  const sorted = [...filled].sort((a, b) => b - a);
  const position = new Map<number, number>();
  sorted.forEach((score, i) => {
    if (!position.has(score)) position.set(score, i + 1);
  });
  return filled.map((score) => position.get(score)!);
}

/** Completes trials with mean, deviation and rank of every metric. */
export function tabulate(
  trials: readonly Pick<TrialResult, 'params' | 'splitScores' | 'errors'>[],
  scoring: readonly Metric[],
): TrialResult[] {
  const means = scoring.map((metric) => trials.map((trial) => mean(trial.splitScores[metric]!)));
  const ranks = means.map(rank);
  return trials.map((trial, t) => ({
    ...trial,
    meanScore: Object.fromEntries(scoring.map((metric, m) => [metric, means[m]![t]!])),
    stdScore: Object.fromEntries(
      scoring.map((metric) => [metric, deviation(trial.splitScores[metric]!)]),
    ),
    rank: Object.fromEntries(scoring.map((metric, m) => [metric, ranks[m]![t]!])),
  }));
}
