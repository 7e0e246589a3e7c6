/**
 * How a search goes on: rungs of candidates, each tried on all splits with the same budget, one
 * rung after the other. Invariant: the next rung follows from the results so far and the seed
 * alone, so that a search that is taken up again tries what it would have tried.
 */
import type { z } from 'zod';
import type { Candidate, SearchModel } from '../candidates.js';
import type { SubSpace } from '../space.js';

/** What a fit of a rung may take. Absent: all there is. */
export interface RungBudget {
  /** Rows of the data that may be seen: fits train on those of them that are training rows. */
  readonly rows?: number;
  /** In place of the estimator's limit. */
  readonly iterations?: number;
}

/** Candidates that are tried together. */
export interface Rung {
  readonly candidates: readonly Candidate[];
  readonly budget?: RungBudget;
  /** Of several rounds of rungs that go on side by side, the first that each candidate is in. */
  readonly brackets?: readonly number[];
}

/** A rung that is done. */
export interface RungDone extends Rung {
  /**
   * Mean scores over the search's own splits, by the metric that the best is chosen by, in the order
   * of the candidates: NaN where a candidate has none, or all its fits failed.
   */
  readonly scores: readonly number[];
}

/** What is known of a rung before it begins, for plans and progress. */
export interface RungOutline {
  readonly candidates: number;
  readonly budget?: RungBudget;
}

export interface Strategy {
  /** Every rung there will be, in order; upper bounds where that depends on results. */
  readonly outline: readonly RungOutline[];
  /** The rung after those that are done; undefined at the end. */
  readonly next: (done: readonly RungDone[]) => Rung | undefined;
  /** All that may be tried. Default: those of the first rung. */
  readonly candidates?: readonly Candidate[];
  /** By which the rows of budgets are drawn. Default 0. */
  readonly seed?: number;
  /** Rungs whose trials may be the best. Default: the last. */
  readonly finals?: (done: readonly RungDone[]) => readonly number[];
  /** What people should know of the candidates, and of those that were not tried. */
  readonly notes?: (done: readonly RungDone[]) => readonly string[];
}

/** What a strategy begins with. */
export interface SearchFacts {
  readonly models: readonly SearchModel[];
  /** Of the data, in all. */
  readonly rows: number;
  /** Names of the features, or of the columns where nobody says which feature they are of. */
  readonly features: readonly string[];
  /** Of the search itself. */
  readonly splits: number;
  /** 0 without classes. */
  readonly classes: number;
}

/** A `search.type`. */
export interface SearchType {
  readonly type: string;
  /** Says in one sentence what is tried. */
  readonly description: string;
  /** Which keys say the candidates: values, every combination of them, or distributions. */
  readonly spaces: readonly ('grid' | 'distributions')[];
  /** Its other keys, each with a description and its default. */
  readonly keys: z.ZodRawShape;
  /** Whether results decide what is tried next. @param settings as `begin` is told them */
  readonly isAdaptive: (settings: Readonly<Record<string, unknown>>) => boolean;
  /**
   * @param settings what `keys` were read to
   * @throws ConfigError for what does not go together
   */
  readonly begin: (
    space: readonly SubSpace[],
    settings: Readonly<Record<string, unknown>>,
    facts: SearchFacts,
  ) => Strategy;
}

/** All candidates in one rung that takes all there is. */
export function oneRung(candidates: readonly Candidate[], notes: readonly string[] = []): Strategy {
  return {
    outline: [{ candidates: candidates.length }],
    next: (done) => (done.length === 0 ? { candidates } : undefined),
    notes: () => notes,
  };
}
