/**
 * Nested cross-validation: how well a search does on rows it has never seen. For each outer split
 * the whole search is done on its training rows, and its best candidate is scored on the others.
 * All candidates are fitted and scored on all inner and outer splits together, so this only picks.
 * Source: scikit-learn, "Nested versus non-nested cross-validation".
 */
import type { Params } from '../estimators/estimator.js';
import type { TrialResult } from './result.js';
import type { NestedSplits } from './splits/nested-splits.js';
import { splitCount } from './splits/partition.js';
import { deviation, mean, tabulate } from './table.js';
import { findBest } from './unscored.js';

/** Scores of the inner searches' best candidates. */
export interface NestedResult {
  readonly splits: readonly OuterScore[];
  /** By metric, over the outer splits that have a best candidate. */
  readonly meanScore: Readonly<Record<string, number>>;
  readonly stdScore: Readonly<Record<string, number>>;
}

export interface OuterScore {
  /** Its model, where there are several. */
  readonly model?: string;
  /** Of the candidate that ranks first in the inner search; null when none has a score. */
  readonly params: Params | null;
  /** Its mean score in the inner search, by metric. */
  readonly innerScore: Readonly<Record<string, number>>;
  /** On the outer test rows, by metric; NaN without a candidate. */
  readonly score: Readonly<Record<string, number>>;
}

/** A trial before its scores are summed up, on all splits there are. */
export type RawTrial = Pick<TrialResult, 'model' | 'params' | 'splitScores' | 'errors'>;

/** The part of a trial that is about some splits, numbered from 0. */
export function sliceTrial(
  { splitScores, errors = {}, ...candidate }: RawTrial,
  from: number,
  to: number,
): RawTrial {
  const own = Object.entries(errors).flatMap(([fold, message]) => {
    const number = Number(fold);
    return number >= from && number < to ? [[number - from, message] as const] : [];
  });
  return {
    ...candidate,
    splitScores: Object.fromEntries(
      Object.entries(splitScores).map(([name, scores]) => [name, scores.slice(from, to)]),
    ),
    ...(own.length > 0 ? { errors: Object.fromEntries(own) } : {}),
  };
}

/**
 * @param first the number of the first inner split; inner splits of each outer one follow, then the
 *   outer splits
 */
export function nestedScores(
  trials: readonly RawTrial[],
  { outer, inner }: NestedSplits,
  first: number,
  { scoring, metric }: { readonly scoring: readonly string[]; readonly metric: string },
): NestedResult {
  const outerFirst = first + inner.reduce((sum, splits) => sum + splitCount(splits), 0);
  let from = first;
  const splits = Array.from({ length: splitCount(outer) }, (_, o): OuterScore => {
    const to = from + splitCount(inner[o]!);
    const searched = tabulate(trials.map((trial) => sliceTrial(trial, from, to)), scoring); // biome-ignore format: a call
    const best = findBest({ trials: searched, metric });
    from = to;
    const pick = (score: (name: string) => number) =>
      Object.fromEntries(scoring.map((name) => [name, best === null ? Number.NaN : score(name)]));
    const model = best === null ? undefined : searched[best]!.model;
    return {
      ...(model ? { model } : {}),
      params: best === null ? null : searched[best]!.params,
      innerScore: pick((name) => searched[best!]!.meanScore[name]!),
      score: pick((name) => trials[best!]!.splitScores[name]![outerFirst + o]!),
    };
  });
  const scores = (name: string) =>
    splits.flatMap(({ params, score }) => (params ? [score[name]!] : []));
  return {
    splits,
    meanScore: Object.fromEntries(scoring.map((name) => [name, mean(scores(name))])),
    stdScore: Object.fromEntries(scoring.map((name) => [name, deviation(scores(name))])),
  };
}
