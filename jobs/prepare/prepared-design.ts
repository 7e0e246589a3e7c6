/**
 * Prepared columns as what fits read: the rows, and their moments over training and test rows, which
 * follow from those of the rows that steps began with. Invariant: group 0 trains and group 1 tests;
 * rows of neither are in no group.
 */
import { type Matrix, matrix, takeRows } from '../../driver/index.js';
import { linearDesign, type TrainingRows } from '../estimators/linear-design.js';
import type { Columns, StepMoments } from './columns.js';
import { requireComplete } from './step.js';

export interface PreparedDesign {
  /** [n, d] */
  readonly X: Matrix;
  /** 0 for training rows, 1 for test rows, else 2: [n, 1]. */
  readonly groupOf: Matrix;
  /** Two groups; all but which of them train. */
  readonly training: Omit<TrainingRows, 'train'>;
}

export interface PreparedOptions {
  /** Groups of rows that test; none for a fit on all rows. */
  readonly test: readonly number[];
  readonly y: Matrix;
  readonly weight?: Matrix;
  readonly standardize: boolean;
  /** Whether columns left out must not make a system singular. */
  readonly isSolved: boolean;
}

/** @throws ConfigError while cells are missing */
export function preparedDesign(columns: Columns, options: PreparedOptions): PreparedDesign {
  requireComplete(columns, 'steps');
  const { y, weight, test } = options;
  const { session } = y;
  const { groupOf, groups, train } = columns.split;
  const groupsOf = new Float64Array(groups + 1).fill(2);
  for (const group of train) groupsOf[group] = 0;
  for (const group of test) groupsOf[group] = 1;
  const gram = (own?: Matrix): Matrix =>
    stack(columns, columns.momentsOver(train, [y], own), options.isSolved).rbind(
      test.length === 0
        ? emptyBlock(columns)
        : stack(columns, columns.momentsOver(test, [y], own), false),
    );
  return {
    X: columns.cells(),
    // Rows of no group have the number after the last.
    groupOf: takeRows(groupOf, matrix(session, groups + 1, 1, groupsOf)),
    training: {
      gram: gram(),
      ...(weight ? { weighted: gram(weight) } : {}),
      groups: 2,
      centered: true,
      standardize: options.standardize,
      design: linearDesign(session, columns.width, []).design,
    },
  };
}

/** A block as `groupGram` has it: [1 + d + 1, 1 + d + 1]. */
function stack(columns: Columns, moments: StepMoments, isSolved: boolean): Matrix {
  const { count, mean, cross, otherMean, otherScatter } = moments;
  const { leftOut } = columns.map;
  const own = moments.scatter;
  const scatter = isSolved && leftOut !== null ? own.addDiag(leftOut.t()) : own;
  const means = mean.rbind(otherMean);
  return count
    .asMatrix()
    .cbind(means.t())
    .rbind(means.cbind(scatter.cbind(cross).rbind(cross.t().cbind(otherScatter))));
}

function emptyBlock({ width, rows }: Columns): Matrix {
  const side = width + 2;
  return matrix(rows.encoded.session, side, side, new Float64Array(side * side));
}
