/**
 * Columns that rows are split by, as `map` features: groups and classes by number, or folds that
 * are given. Those are scikit-learn's `PredefinedSplit`: the distinct values in order are the folds
 * and -1 is in no test fold.
 */
import { DataError } from '../errors.js';
import type { ColumnProfile, SqlText } from '../ir/frame-engine.js';
import type { EncodedFeature } from '../operators/encode-block.js';
import { compareNumbers } from './number-text.js';
import { MAX_CATEGORIES } from './resolve-feature.js';
import { byCodePoint } from './target.js';

export interface ResolvedFolds {
  /** Test folds; their numbers are 0 .. count-1. Rows that always train have the number `count`. */
  readonly count: number;
  readonly feature: EncodedFeature;
  /** Rows of each test fold. */
  readonly sizes: readonly number[];
  /** Rows that are in no test fold. */
  readonly alwaysTraining: number;
}

/** A column of groups or classes, numbered from 0 in the order of `numpy.unique`. */
export interface ResolvedCategories {
  readonly role: CategoryRole;
  readonly column: string;
  readonly feature: Extract<EncodedFeature, { readonly kind: 'map' }>;
  /** Rows by number. */
  readonly counts: readonly number[];
}

/** What a column is asked for: groups stay together, classes are balanced. */
export type CategoryRole = 'group' | 'stratify';

/** @throws DataError for missing values, too many values, or classes that are no whole numbers */
export function resolveCategories(
  { role, column }: { readonly role: CategoryRole; readonly column: string },
  text: SqlText,
  profile: ColumnProfile,
): ResolvedCategories {
  checkFoldColumn(role, column, profile);
  const isNumber = profile.type === 'number';
  const broken = profile.top.find(({ value }) => !Number.isInteger(Number(value)));
  if (role === 'stratify' && isNumber && broken !== undefined) {
    throw new DataError(
      `stratify ${column}: expected classes (whole numbers, text or booleans), got the number ${broken.value}; say stratify: a column of classes, or split another way`,
      { column },
    );
  }
  const order = isNumber ? compareNumbers : byCodePoint;
  const groups = [...profile.top].sort((a, b) => order(a.value, b.value));
  return {
    role,
    column,
    feature: {
      kind: 'map',
      name: column,
      ...text,
      categories: groups.map(({ value }) => value),
      values: groups.map((_, number) => number),
      fallback: -1,
    },
    counts: groups.map(({ count }) => count),
  };
}

/** @throws DataError for missing values, numbers not whole or below -1, or one fold of all rows */
export function predefinedFolds(
  column: string,
  sql: string,
  profile: ColumnProfile,
): ResolvedFolds {
  checkFoldColumn('predefined', column, profile);
  const listed = profile.top.map((entry) => ({ ...entry, fold: Number(entry.value) }));
  // Written one way only, so that different values are different folds.
  const odd = listed.find(
    ({ value, fold }) => !/^(-1|0|[1-9]\d*)$/.test(value) || !Number.isSafeInteger(fold),
  );
  if (odd !== undefined) {
    throw new DataError(
      `predefined ${column}: expected whole numbers from 0 to 2^53 as folds, or -1 for rows that always train, got ${JSON.stringify(odd.value)} in ${odd.count} rows`,
      { column, value: odd.value },
    );
  }
  const tested = listed.filter(({ fold }) => fold >= 0).sort((a, b) => a.fold - b.fold);
  const always = listed.filter(({ fold }) => fold === -1);
  const alwaysTraining = always.reduce((sum, entry) => sum + entry.count, 0);
  if (tested.length === 0 || (tested.length === 1 && alwaysTraining === 0)) {
    throw new DataError(
      `predefined ${column}: expected two folds, or one and rows with -1 to train on, got ${tested.length === 0 ? 'only -1' : `only ${tested[0]?.value}`}`,
      { column },
    );
  }
  const count = tested.length;
  return {
    count,
    feature: {
      kind: 'map',
      name: column,
      sql,
      categories: [...tested, ...always].map((entry) => entry.value),
      values: [...tested.map((_, fold) => fold), ...always.map(() => count)],
      fallback: count,
    },
    sizes: tested.map((entry) => entry.count),
    alwaysTraining,
  };
}

function checkFoldColumn(role: string, column: string, profile: ColumnProfile): void {
  if (profile.missing > 0) {
    throw new DataError(
      `${role} ${column}: expected no missing values, got ${profile.missing} in ${profile.rows} rows`,
      { column, missing: profile.missing },
    );
  }
  if (profile.infinite > 0) {
    throw new DataError(
      `${role} ${column}: expected finite values, got ${profile.infinite} infinite`,
      {
        column,
        infinite: profile.infinite,
      },
    );
  }
  if (profile.distinct > MAX_CATEGORIES) {
    throw new DataError(
      `${role} ${column}: expected at most ${MAX_CATEGORIES} values, got ${profile.distinct}; use a coarser column`,
      { column, distinct: profile.distinct },
    );
  }
}
