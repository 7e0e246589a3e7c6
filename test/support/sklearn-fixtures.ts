/**
 * Reads scikit-learn's reference results (`test/fixtures/sklearn/scenarios.json`, written by
 * `generate.py` there). A scenario is the part of a job that matters and what GridSearchCV gave for
 * it.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Params } from '../../jobs/estimators/estimator.js';
import type { Grid } from '../../jobs/search/candidates.js';

export interface SklearnFeature {
  readonly name: string;
  readonly sql?: string;
  readonly encode?: 'onehot';
  readonly top?: number;
  readonly impute?: 'mean';
}

export type SklearnFolds =
  | {
      readonly kind: 'kfold';
      readonly folds: number;
      readonly shuffle: boolean;
      readonly seed: number;
    }
  | { readonly kind: 'group'; readonly folds: number; readonly column: string }
  | { readonly kind: 'predefined'; readonly column: string };

export type SklearnMetric =
  | 'neg_mean_squared_error'
  | 'neg_root_mean_squared_error'
  | 'neg_mean_absolute_error'
  | 'r2';

export interface SklearnScores {
  /** Trials by folds. */
  readonly split: readonly (readonly number[])[];
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly rank: readonly number[];
}

export interface SklearnScenario {
  readonly name: string;
  /** A CSV file in the fixtures' folder. */
  readonly data: string;
  readonly target: string;
  readonly features: readonly SklearnFeature[];
  readonly standardize: boolean;
  /** As a job file says it. */
  readonly estimator: string;
  readonly params: Params;
  readonly grid: Grid;
  readonly impute: boolean;
  readonly cv: SklearnFolds;
  readonly scoring: readonly SklearnMetric[];
  readonly folds: number;
  /** Width of the design matrix. */
  readonly columns: number;
  readonly expected: {
    readonly scores: Readonly<Record<SklearnMetric, SklearnScores>>;
    /** By the first metric. */
    readonly bestIndex: number;
    /** Refitted on all rows, in the units of the design columns. */
    readonly model: {
      readonly coefficients: readonly number[];
      readonly intercept: number;
      readonly imputed: readonly number[] | null;
    };
  };
}

/** Folder of the fixtures in the source tree (data files are not copied to dist). */
export const sklearnFolder: string = join(packageRoot(), 'test', 'fixtures', 'sklearn');

/** All scenarios, in the order they were generated. */
export function sklearnScenarios(): readonly SklearnScenario[] {
  const text = readFileSync(join(sklearnFolder, 'scenarios.json'), 'utf8');
  return (JSON.parse(text) as { scenarios: SklearnScenario[] }).scenarios;
}

/** Columns of a fixture's CSV that hold numbers only, by name; empty cells are NaN. */
export function numericColumns(file: string): ReadonlyMap<string, Float64Array> {
  const lines = readFileSync(join(sklearnFolder, file), 'utf8').trimEnd().split('\n');
  const names = lines[0]!.split(',');
  const columns = names.map(() => new Float64Array(lines.length - 1));
  for (let i = 1; i < lines.length; i++) {
    const cells = lines[i]!.split(',');
    cells.forEach((cell, j) => {
      columns[j]![i - 1] = cell === '' ? Number.NaN : Number(cell);
    });
  }
  return new Map(names.map((name, j) => [name, columns[j]!]));
}

function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    try {
      readFileSync(join(folder, 'package.json'));
      return folder;
    } catch {
      const parent = dirname(folder);
      if (parent === folder)
        throw new Error('sklearn fixtures: expected a package.json above this file');
      folder = parent;
    }
  }
}
