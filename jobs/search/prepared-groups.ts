/**
 * The columns of candidates with cleaning steps: one part a split, as the steps are fitted on its
 * training rows. Invariant: candidates with equal steps are one group, and steps that begin alike are
 * done once for all groups of a search.
 */
import type { Estimator, Params } from '../estimators/estimator.js';
import { chosenStep } from '../prepare/chosen-steps.js';
import type { Columns, StepSplit } from '../prepare/columns.js';
import { type ChosenStep, Preparation } from '../prepare/preparation.js';
import { type PreparedDesign, preparedDesign } from '../prepare/prepared-design.js';
import { cellRows, encodedRows } from '../prepare/rows.js';
import { invalid } from '../prepare/step.js';
import type { Search } from './prepare.js';
import type { Partition } from './splits/partition.js';

/** Columns of one split, ready for fits and scores. */
export interface PreparedPart extends PreparedDesign {
  /** The split alone; of all rows one that tests none. */
  readonly partition: Partition;
  /** The number of the split among those of all partitions. */
  readonly first: number;
}

export interface PreparedParts {
  readonly parts: readonly PreparedPart[];
  /** All rows of the search's first partition. */
  readonly whole: PreparedPart;
  /** The columns of `whole`, for the model that is kept. */
  readonly columns: Columns;
}

interface Preparations {
  readonly ofSplits: Preparation;
  readonly ofAll: Preparation;
}

/** By the partitions that a search, or a rung of it, has. */
const known = new WeakMap<Search['partitions'], Preparations>();

/** @throws ConfigError for steps that the columns or the estimator do not allow */
export function preparedParts(
  search: Search,
  steps: readonly ChosenStep[],
  estimator: Estimator,
  candidates: readonly Params[],
): PreparedParts {
  const isSolved = estimator.task === 'regression' || estimator.task === 'classification';
  const { weight, standardize, partitions } = search;
  const y = search.y.cast('float64');
  const { ofSplits, ofAll } = preparationsOf(search);
  const all = [...meansOf(search), ...steps];
  const shared = { y, ...(weight ? { weight } : {}), standardize, isSolved };
  const tests = partitions.flatMap(({ splits }) => splits.map(({ test }) => test));
  const parts = ofSplits.after(all).map((columns, first): PreparedPart => {
    const design = preparedDesign(columns, { ...shared, test: tests[first]! });
    return { ...design, first, partition: partitionOf(design, [1]) };
  });
  const [columns] = ofAll.after(all);
  const counts = candidates.some((params) => estimator.countsColumns?.(params));
  if (counts && columns!.map.leftOut !== null) {
    const got = 'impute, or select of method variance';
    throw invalid('steps', `steps that leave no column out for ${estimator.name}`, got);
  }
  const rows = preparedDesign(columns!, { ...shared, test: [] });
  const whole = { ...rows, first: 0, partition: partitionOf(rows, []) };
  return { parts, whole, columns: columns! };
}

/** Features that say `impute: mean` have their means before any step. */
function meansOf({ imputations, names }: Search): ChosenStep[] {
  const indicators = imputations.map(({ indicator }) => indicator);
  const columns = imputations.flatMap(({ column, kind = 'mean' }) => {
    if (kind !== 'mean') return [];
    const place = column - indicators.filter((indicator) => indicator < column).length;
    return [names?.[place] ?? `x${column}`];
  });
  return columns.length === 0 ? [] : [chosenStep({ step: 'impute', strategy: 'mean', columns })];
}

function partitionOf({ groupOf }: PreparedDesign, test: readonly number[]): Partition {
  return { groupOf, groups: 2, splits: [{ train: [0], test }] };
}

function preparationsOf(search: Search): Preparations {
  const { partitions, y, classes, X, imputations, names, categories } = search;
  const found = known.get(partitions);
  if (found !== undefined) return found;
  const indicators = new Set(imputations.map(({ indicator }) => indicator));
  const own = Array.from({ length: X.cols }, (_, j) => j).filter((j) => !indicators.has(j));
  const called = names ?? own.map((j) => `x${j}`);
  const cells = X.cast('float64');
  const source =
    imputations.length > 0
      ? encodedRows(cells, imputations, called)
      : cellRows(cells, search.missing, called);
  const context = {
    ...{ y: y.cast('float64'), classes: classes.length, hasTarget: search.hasTarget },
    ...(categories ? { categories } : {}),
  };
  const splits = partitions.flatMap(({ groupOf, groups, splits }) =>
    splits.map(({ train }): StepSplit => ({ groupOf, groups, train })),
  );
  const [{ groupOf, groups }] = partitions as readonly [Partition];
  const all = { groupOf, groups, train: Array.from({ length: groups }, (_, g) => g) };
  const made = {
    ofSplits: new Preparation(source, splits, context),
    ofAll: new Preparation(source, [all], context),
  };
  known.set(partitions, made);
  return made;
}
