/**
 * Coordinates in which squares of decision values are nearly a diagonal form for every model of a
 * search: eigenvectors of the Gram matrix of all rows, about the mean where the intercept is free.
 * A point v stands for the design weights T v. A training set is a share of all rows, so that its
 * Gram matrix is about that share of this one; every model then has the same T, and differs from
 * the others in numbers only.
 *
 * A column far smaller than the largest is scaled up, so that its direction is not taken for
 * rounding. Directions in which the rows do not differ are left out: weights there stay 0, as a
 * gradient method from 0 leaves them.
 */
import { type Matrix, matrix, zeros } from '../../../driver/index.js';
import type { Moments } from '../moments.js';

/** `free`: not penalised; a number: the weight of a column of that number, penalised as others. */
export type Intercept = 'free' | 'none' | number;

export interface Coordinates {
  /** T: design weights, the intercept last, from coordinates: [design + 1, p]. */
  readonly map: Matrix;
  /** Mean squares of the decision values along each coordinate: [p, 1]. */
  readonly squares: Matrix;
  /** The sum of squares of penalised weights is v' P v: [p, p]. */
  readonly penalty: Matrix;
  /** 0 for the coordinate of a free intercept, else 1: [p, 1]. */
  readonly isColumn: Matrix;
}

/** Columns below this share of the largest are scaled up to it. */
const SMALL_COLUMN = 1e-5;

/** @param all moments of all rows over the design columns, the same node for every model */
export function coordinates({ count, mean, scatter }: Moments, intercept: Intercept): Coordinates {
  const { session, rows: d } = scatter;
  const ending = (first: number, last: number): Matrix => {
    const cells = new Float64Array(d + 1).fill(first);
    cells[d] = last;
    return matrix(session, d + 1, 1, cells);
  };
  const isFree = intercept === 'free';
  const isColumn = typeof intercept === 'number';
  const about = scatter.div(count);
  const gram = isFree ? about : about.add(mean.matmul(mean.t()));
  const { vectors, values } = directions(isColumn ? withConstant(gram, mean, intercept) : gram);
  if (isColumn) {
    const map = vectors.mul(ending(1, intercept));
    return { map, squares: values, ...penalised(map, ending(1, intercept ** -2), ending(1, 1)) };
  }
  if (!isFree) {
    const map = vectors.rbind(zeros(session, 1, d));
    const { penalty } = penalised(map, ending(1, 0), ending(1, 1));
    return { map, squares: values, penalty, isColumn: ending(1, 1).slice([0, d]) };
  }
  const map = vectors.rbind(mean.t().matmul(vectors).neg()).cbind(ending(0, 1));
  const squares = values.rbind(ending(1, 1).slice(d));
  return { map, squares, ...penalised(map, ending(1, 0), ending(1, 0)) };
}

/** The Gram matrix with a column of one number besides. */
function withConstant(gram: Matrix, mean: Matrix, value: number): Matrix {
  const column = mean.mul(value);
  const corner = matrix(gram.session, [[value ** 2]]);
  return gram.cbind(column).rbind(column.t().cbind(corner));
}

/** Directions of a Gram matrix in which rows differ, zeros for others, and how much they do. */
function directions(gram: Matrix): { readonly vectors: Matrix; readonly values: Matrix } {
  const size = gram.diag().sqrt();
  const share = size.div(size.max().mul(SMALL_COLUMN));
  const scale = share.gt(0).and(share.lt(1)).ifelse(share, 1);
  const system = gram.div(scale).div(scale.t()).eigen();
  const [values, vectors] = [system.slice(null, 0), system.slice(null, [1])];
  const least = values.max().mul(gram.rows * Number.EPSILON);
  const kept = values.gt(least);
  return { vectors: vectors.div(scale).mul(kept.t()), values: kept.ifelse(values, 1) };
}

function penalised(map: Matrix, weights: Matrix, isColumn: Matrix) {
  return { penalty: map.t().matmul(map.mul(weights)), isColumn };
}
