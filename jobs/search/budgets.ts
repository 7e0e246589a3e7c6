/**
 * What a rung's budget makes of a search: by rows, splits that train on a sample, whose rows are
 * taken out once for fits that read rows; by iterations, candidates with another limit. Invariant:
 * sums over groups are those of all rungs, so that what is fitted from them costs no pass of a rung's
 * own.
 */
import type { Matrix } from '../../driver/index.js';
import type { Fit } from '../estimators/estimator.js';
import type { Candidate } from './candidates.js';
import { fitShape } from './choose-fit.js';
import type { Search } from './prepare.js';
import type { Partition } from './splits/partition.js';
import { onSample, type RowSamples, sampleOf } from './splits/samples.js';
import type { RungBudget, Strategy } from './strategies/strategy.js';

/** What candidates of a rung may take, and what is known of the other rungs. */
export interface RungFacts {
  readonly budget: RungBudget;
  /** Of all rungs, where rows are the budget. */
  readonly samples: RowSamples | undefined;
  /** Candidates of the largest rung: choices by numbers of models are the same in every rung. */
  readonly largest: number;
  /** Fits of the rung before, by trial of this one and split; undefined for those that failed. */
  readonly before?: ReadonlyMap<number, readonly (Fit | undefined)[]>;
}

/** The rows of a sample. */
export interface SampledRows extends Pick<Search, 'X' | 'y' | 'weight'> {
  readonly groupOf: Matrix;
}

/** What is known of a rung before it begins; undefined where it has no budget. */
export function rungFacts(
  { outline, seed = 0 }: Pick<Strategy, 'outline' | 'seed'>,
  budget: RungBudget | undefined,
): RungFacts | undefined {
  if (budget === undefined) return undefined;
  const sizes = [...new Set(outline.flatMap((rung) => rung.budget?.rows ?? []))];
  return {
    budget,
    samples: budget.rows === undefined ? undefined : { sizes: sizes.sort((a, b) => a - b), seed },
    largest: Math.max(...outline.map(({ candidates }) => candidates)),
  };
}

/** The search on the rows of a rung. */
export function onBudget(search: Search, rung: RungFacts | undefined): Search {
  const { budget, samples } = rung ?? {};
  if (budget?.rows === undefined || samples === undefined) return search;
  const partitions = onSample(search.X.session, search.partitions, samples, budget.rows);
  return { ...search, partitions, splits: partitions.slice(0, search.splits.length) };
}

/** The candidate with the iterations of a rung. */
export function limited(candidate: Candidate, rung: RungFacts | undefined): Candidate {
  const { iterations } = rung?.budget ?? {};
  if (iterations === undefined) return candidate;
  return { ...candidate, all: { ...candidate.all, max_iter: iterations } };
}

/**
 * What fits by rows of a part read; undefined where that is all rows. Rows that are mostly zeros are
 * kept in a form of their own, out of which rows can't be taken: there, others weigh nothing.
 */
export function sampledRows(
  { y, weight }: Search,
  { X, partition }: { readonly X: Matrix; readonly partition: Partition },
  rung: RungFacts | undefined,
): SampledRows | undefined {
  const { budget, samples } = rung ?? {};
  if (budget?.rows === undefined || samples === undefined || budget.rows >= X.rows)
    return undefined;
  if (fitShape(X, [partition], 1).nonZeros !== undefined) return undefined;
  const of = sampleOf(X.session, samples, budget.rows);
  return {
    ...{ X: of(X), y: of(y), groupOf: of(partition.groupOf) },
    ...(weight ? { weight: of(weight) } : {}),
  };
}
