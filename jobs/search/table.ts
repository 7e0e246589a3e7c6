/** The table of trials that scikit-learn calls `cv_results_`. Greater is better for every metric. */
import type { TrialResult } from './result.js';

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
  trials: readonly Omit<TrialResult, 'meanScore' | 'stdScore' | 'rank'>[],
  scoring: readonly string[],
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
