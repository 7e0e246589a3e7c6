/**
 * Sums by class over the training rows of a split, for all splits at once: rows are summed by cell,
 * which is a group of the partition and a class, in one pass, and a split's sums are sums over the
 * cells of its groups. So a further split or candidate costs no pass, and a further file only its
 * own rows.
 */
import { groupSums, Matrix, matrix, ones, ops } from '../../driver/index.js';
import type { ByClass, ClassRows } from '../estimators/estimator.js';
import type { TrainingRows } from '../estimators/linear-design.js';
import { trainingMoments } from '../estimators/moments.js';

export interface ClassData {
  /** [n, encoded] */
  readonly X: Matrix;
  /** Class numbers from 0: [n, 1]. */
  readonly y: Matrix;
  /** Absent where all rows count alike: [n, 1]. */
  readonly weight?: Matrix;
  readonly classes: number;
  /** The group of each row: [n, 1]; rows of other numbers are in none. */
  readonly groupOf: Matrix;
}

/** @param all what the fits of the split are told of all classes together */
export function classRows({ classes, groupOf, ...data }: ClassData, all: TrainingRows): ClassRows {
  // Sums of many rows keep their digits, as moments do.
  const [X, y] = [data.X.cast('float64'), data.y.cast('float64')];
  const weight = data.weight?.cast('float64');
  const { session } = X;
  const { groups } = all;
  const train = all.train ?? Array.from({ length: groups }, (_, group) => group);
  // Classes first, so that a class's cells of neighbouring groups are neighbours.
  const isGrouped = groupOf.ge(0).and(groupOf.lt(groups));
  const cellOf = isGrouped.ifelse(y.mul(groups).add(groupOf), -1);
  const chosen = selection(session, train, groups, classes);
  const sums = (columns: Matrix): ByClass => {
    const all = weight ? columns.mul(weight).cbind(columns) : columns;
    const summed = chosen.matmul(groupSums(cellOf, all, groups * classes));
    if (!weight) return { weighted: summed, alike: summed };
    const { cols } = columns;
    return { weighted: summed.slice(null, [0, cols]), alike: summed.slice(null, [cols]) };
  };
  return {
    X,
    y,
    classes,
    counts: sums(ones(session, X.rows, 1)),
    sums,
    all,
    ofClass: (c) => {
      const attrs = { groups: groups * classes, center: true };
      const gram = Matrix.of(session, session.intern(ops.groupGram, [cellOf.expr, X.expr], attrs));
      const rows = groups * gram.cols;
      return trainingMoments(gram.slice([c * rows, (c + 1) * rows]), groups, train);
    },
  };
}

/** 1 for the cells of a class in the groups of a split: [classes, groups * classes]. */
function selection(
  session: Matrix['session'],
  train: readonly number[],
  groups: number,
  classes: number,
): Matrix {
  const cells = new Float64Array(classes * groups * classes);
  for (const group of train) {
    for (let c = 0; c < classes; c++) cells[c * groups * classes + c * groups + group] = 1;
  }
  return matrix(session, classes, groups * classes, cells);
}
