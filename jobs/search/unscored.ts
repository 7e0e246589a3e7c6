/**
 * What to say of scores that are no numbers: which scorer needs what, and why no candidate is the
 * best. Ranks stay what scikit-learn makes of such scores (NaN last, all 1 when all are NaN); but
 * where it names and refits the first candidate when nothing was scored, no candidate is named
 * here.
 */
import type { ClassValue } from '../../driver/index.js';
import type { TrialResult } from './result.js';
import type { Scorer } from './scoring/scorers.js';

export interface ScoreTable {
  readonly trials: readonly TrialResult[];
  readonly scoring: readonly Scorer[];
  /** The metric the best is chosen by. */
  readonly metric: string;
  /** Rows of each test fold. */
  readonly foldRows: readonly number[];
  readonly classes: readonly ClassValue[];
  /** Rows of each class on each test fold. */
  readonly foldClasses: readonly (readonly number[])[];
}

/**
 * Index of the best trial: of those that may be it, the first of the greatest score. Null if that one
 * has no finite score or all its fits failed.
 */
export function findBest(
  { trials, metric }: Pick<ScoreTable, 'trials' | 'metric'>,
  isFinal?: readonly boolean[],
): number | null {
  let index = -1;
  for (const [t, { rank }] of trials.entries()) {
    const isBetter = index < 0 || rank[metric]! < trials[index]!.rank[metric]!;
    if (isBetter && (isFinal?.[t] ?? true)) index = t;
  }
  const best = trials[index];
  if (best === undefined || !Number.isFinite(best.meanScore[metric])) return null;
  return failedFolds(best) === best.splitScores[metric]!.length ? null : index;
}

/** A warning per metric with a mean that is not finite, and one if no candidate is the best. */
export function scoreWarnings(scored: ScoreTable, best: number | null): string[] {
  const { trials, scoring, metric } = scored;
  const counts = scoring.map(({ name }) => trials.filter((trial) => !isScored(trial, name)).length);
  const warnings = scoring.flatMap((scorer, m) =>
    counts[m] === 0 ? [] : [nonFinite(scored, scorer, counts[m]!)],
  );
  if (best !== null) return warnings;
  const isNone = counts[scoring.findIndex(({ name }) => name === metric)] === trials.length;
  const why = isNone
    ? `none has a finite ${metric} to be chosen by`
    : 'the one that ranks first is no better than its error_score: all its fits failed';
  const other = scoring.find(({ name }, m) => name !== metric && counts[m] === 0)?.name;
  const remedy = other === undefined || !isNone ? '' : `; say refit: ${other}, which has scores`;
  return [
    ...warnings,
    `no candidate is named the best and none is fitted on all rows, as ${why}${remedy}`,
  ];
}

function nonFinite(scored: ScoreTable, scorer: Scorer, count: number): string {
  const { trials } = scored;
  const { name } = scorer;
  const share =
    count === trials.length ? 'of every candidate' : `of ${count} of ${trials.length} candidates`;
  return `one or more of the test scores are non-finite: the mean ${name} ${share}; ${reason(scored, scorer)}`;
}

function reason({ trials, foldRows, foldClasses, classes }: ScoreTable, scorer: Scorer): string {
  const { name, minRows = 1, allClasses, range } = scorer;
  const short = foldRows.flatMap((rows, fold) => (rows < minRows ? [fold] : []));
  if (short.length > 0) {
    const [first = 0] = short;
    const others = short.length === 1 ? '' : ` (and ${short.length - 1} more folds have too few)`;
    return `${name} needs at least ${minRows} rows in each test fold, fold ${first} has ${foldRows[first]}${others}; take fewer folds or another metric`;
  }
  const lacking = allClasses
    ? foldClasses.flatMap((rows, fold) => (rows.includes(0) ? [fold] : []))
    : [];
  if (lacking.length > 0) {
    const [first = 0] = lacking;
    const more = lacking.length - 1;
    const others =
      more === 0 ? '' : ` (and ${more} more ${more === 1 ? 'fold lacks' : 'folds lack'} one)`;
    const missing = foldClasses[first]!.indexOf(0);
    const rows = foldClasses.reduce((sum, counts) => sum + counts[missing]!, 0);
    // With fewer rows than folds no split gives each fold one.
    const remedy =
      rows >= foldClasses.length
        ? 'take cv type stratified'
        : `${rows > 1 ? `it has ${rows} rows: take at most ${rows} folds, ` : 'it has one row: '}merge it with another class, leave it out, or choose by another metric (refit)`;
    return `${name} needs rows of every class in each test fold, fold ${first} has none of ${classes[missing]}${others}; ${remedy}`;
  }
  const unscored = trials.filter((trial) => !isScored(trial, name));
  if (unscored.every((trial) => failedFolds(trial) > 0)) return 'their fits failed';
  if (range !== undefined) return `${name} is of ${range}`;
  return 'the losses are beyond the range of double precision; scale the target and the features';
}

function isScored(trial: TrialResult, name: string): boolean {
  return Number.isFinite(trial.meanScore[name]);
}

function failedFolds(trial: TrialResult): number {
  return Object.keys(trial.errors ?? {}).length;
}
