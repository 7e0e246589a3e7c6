/**
 * Fold assignment by a column of the data, as a `map` feature: its value is the fold of the row. By
 * group: scikit-learn's `GroupKFold`, the largest group first, each to the lightest fold so far;
 * equal sizes from the last group in sorted order to the first (it reverses a stable sort), the
 * first of equally light folds. Predefined: scikit-learn's `PredefinedSplit`, the distinct values
 * in order are the folds and -1 is in no test fold.
 */
import { ConfigError, DataError } from '../errors.js';
import type { ColumnProfile } from '../ir/frame-engine.js';
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

/** @throws DataError for missing values, too many groups or fewer groups than folds */
export function groupFolds(
  column: string,
  sql: string,
  folds: number,
  profile: ColumnProfile,
): ResolvedFolds {
  if (!(Number.isInteger(folds) && folds >= 2)) {
    throw new ConfigError(`folds: expected a whole number from 2, got ${folds}`, {
      key: 'cv.folds',
    });
  }
  checkFoldColumn('group', column, profile);
  if (profile.distinct < folds) {
    throw new DataError(
      `group ${column}: expected at least ${folds} groups for ${folds} folds, got ${profile.distinct}; ask for fewer folds`,
      { column, groups: profile.distinct, folds },
    );
  }
  const numeric = profile.type === 'number';
  const groups = [...profile.top].sort((a, b) =>
    numeric ? compareNumbers(a.value, b.value) : byCodePoint(a.value, b.value),
  );
  const bySize = groups.map((group, i) => ({ i, size: group.count }));
  bySize.sort((a, b) => b.size - a.size || b.i - a.i);
  const sizes = new Array<number>(folds).fill(0);
  const values = new Array<number>(groups.length).fill(0);
  for (const { i, size } of bySize) {
    const lightest = sizes.indexOf(Math.min(...sizes));
    sizes[lightest]! += size;
    values[i] = lightest;
  }
  const categories = groups.map((group) => group.value);
  return {
    count: folds,
    feature: { kind: 'map', name: column, sql, categories, values, fallback: folds },
    sizes,
    alwaysTraining: 0,
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
