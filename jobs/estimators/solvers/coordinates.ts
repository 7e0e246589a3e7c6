/**
 * Coordinates in which squares of decision values are nearly a diagonal form for every model of a
 * search. A point v stands for the design weights T v. A training set is a share of all rows, so
 * that its Gram matrix is about that share of the one of all rows; every model then has the same T,
 * and differs from the others in numbers only. About the mean where the intercept is free.
 *
 * `gram`: eigenvectors of the Gram matrix of all rows. A column far smaller than the largest is
 * scaled up, so that its direction is not taken for rounding. `columns`: the columns themselves, of
 * which the sizes alone are known; no product with a Gram matrix is made.
 *
 * Directions in which the rows do not differ are left out: weights there stay 0, as a gradient
 * method from 0 leaves them.
 */
import { type Matrix, matrix, zeros } from '../../../driver/index.js';
import type { Moments } from '../moments.js';

/** `free`: not penalised; a number: the weight of a column of that number, penalised as others. */
export type Intercept = 'free' | 'none' | number;

export interface Coordinates {
  /** T v: design weights, the intercept last, from coordinates. @shape [p, c] -> [design + 1, c] */
  readonly weights: (v: Matrix) => Matrix;
  /** T' g: a gradient by coordinates from one by design weights. @shape [design + 1, c] -> [p, c] */
  readonly gradient: (g: Matrix) => Matrix;
  /** P v: the sum of squares of penalised weights is v' P v. @shape [p, c] -> [p, c] */
  readonly penalty: (v: Matrix) => Matrix;
  /** The diagonal of P: [p, 1]. */
  readonly penalties: Matrix;
  /** Mean squares of the decision values along each coordinate: [p, 1]. */
  readonly squares: Matrix;
  /** 0 for the coordinate of a free intercept, else 1: [p, 1]. */
  readonly isColumn: Matrix;
  /** The v of design weights: [design + 1, c] -> [p, c]. */
  readonly point: (weights: Matrix) => Matrix;
  /** The same maps by float32 products, of float64 and to it, where they are products. */
  readonly single?: CoordinateMaps;
}

export type CoordinateMaps = Pick<Coordinates, 'weights' | 'gradient' | 'penalty'>;

/** Columns below this share of the largest are scaled up to it. */
const SMALL_COLUMN = 1e-5;
/** Columns whose variance is at most this share of their mean square are constant. */
const CONSTANT = 1e-14;

/** What sizes of columns alone say of them: [d, 1]. */
type ColumnSizes = Pick<Moments, 'mean'> & { readonly variance: Matrix };

/** @param all moments of all rows over the design columns, the same node for every model */
export function gramCoordinates(all: Moments, intercept: Intercept): Coordinates {
  const { count, mean, scatter } = all;
  const { session, rows: d } = scatter;
  const isFree = intercept === 'free';
  const about = scatter.div(count);
  const gram = isFree ? about : about.add(mean.matmul(mean.t()));
  if (typeof intercept === 'number') {
    const { vectors, values, along } = directions(withConstant(gram, mean, intercept));
    const scale = column(session, d, 1, intercept);
    const own = mapped(
      vectors.mul(scale),
      values,
      column(session, d, 1, intercept ** -2),
      ones(session, d + 1),
    );
    return { ...own, point: (weights) => along(weights.div(scale)) };
  }
  const { vectors, values, along } = directions(gram);
  if (!isFree) {
    const map = vectors.rbind(zeros(session, 1, d));
    const { gradient, ...own } = mapped(map, values, column(session, d, 1, 0), ones(session, d));
    // Nothing asks for the sums of slopes.
    return {
      ...own,
      gradient: (g) => vectors.t().matmul(g.slice([0, d])),
      point: (weights) => along(weights.slice([0, d])),
    };
  }
  const isColumn = column(session, d, 1, 0);
  const map = vectors.rbind(mean.t().matmul(vectors).neg()).cbind(column(session, d, 0, 1));
  return {
    ...mapped(map, values.rbind(ones(session, 1)), isColumn, isColumn),
    point: (weights) => {
      const own = weights.slice([0, d]);
      return along(own).rbind(weights.slice(d).add(mean.t().matmul(own)));
    },
  };
}

function mapped(
  map: Matrix,
  squares: Matrix,
  penalised: Matrix,
  isColumn: Matrix,
): Omit<Coordinates, 'point'> {
  const form = map.t().matmul(map.mul(penalised));
  const mapsBy = (product: (a: Matrix, b: Matrix) => Matrix): CoordinateMaps => ({
    weights: (v) => product(map, v),
    gradient: (g) => product(map.t(), g),
    penalty: (v) => product(form, v),
  });
  return {
    ...mapsBy((a, b) => a.matmul(b)),
    single: mapsBy((a, b) => a.cast('float32').matmul(b.cast('float32')).cast('float64')),
    penalties: form.diag(),
    squares,
    isColumn,
  };
}

export function columnCoordinates(
  { mean, variance }: ColumnSizes,
  intercept: Intercept,
): Coordinates {
  const { session, rows: d } = mean;
  const raw = variance.add(mean.square());
  if (typeof intercept === 'number') {
    const scale = column(session, d, 1, intercept);
    const own = (v: Matrix): Matrix => v.mul(scale);
    const squares = raw.rbind(matrix(session, [[intercept ** 2]]));
    const all = ones(session, d + 1);
    const penalty = (v: Matrix): Matrix => v;
    const point = (weights: Matrix): Matrix => weights.div(scale);
    return { weights: own, gradient: own, penalty, penalties: all, squares, isColumn: all, point };
  }
  const isFree = intercept === 'free';
  const isKept = isFree ? variance.gt(raw.mul(CONSTANT)) : raw.gt(0);
  const kept = isKept.ifelse(isFree ? variance : raw, 1);
  const isColumn = isFree ? column(session, d, 1, 0) : ones(session, d);
  return {
    weights: (v) => {
      const own = v.slice([0, d]).mul(isKept);
      if (!isFree) return own.rbind(zeros(session, 1, v.cols));
      return own.rbind(v.slice(d).sub(mean.t().matmul(own)));
    },
    gradient: (g) => {
      const own = g.slice([0, d]);
      if (!isFree) return own.mul(isKept);
      return own
        .sub(mean.matmul(g.slice(d)))
        .mul(isKept)
        .rbind(g.slice(d));
    },
    penalty: (v) => v.mul(isColumn),
    penalties: isColumn,
    squares: isFree ? kept.rbind(ones(session, 1)) : kept,
    isColumn,
    point: (weights) => {
      const own = weights.slice([0, d]);
      return isFree ? own.rbind(weights.slice(d).add(mean.t().matmul(own))) : own;
    },
  };
}

/** d cells and another: [d + 1, 1]. */
function column(session: Matrix['session'], d: number, first: number, last: number): Matrix {
  const cells = new Float64Array(d + 1).fill(first);
  cells[d] = last;
  return matrix(session, d + 1, 1, cells);
}

function ones(session: Matrix['session'], rows: number): Matrix {
  return column(session, rows - 1, 1, 1);
}

/** The Gram matrix with a column of one number besides. */
function withConstant(gram: Matrix, mean: Matrix, value: number): Matrix {
  const column = mean.mul(value);
  const corner = matrix(gram.session, [[value ** 2]]);
  return gram.cbind(column).rbind(column.t().cbind(corner));
}

/**
 * Directions of a Gram matrix in which rows differ, zeros for others, and how much they do; and how
 * far weights go along them.
 */
function directions(gram: Matrix): {
  readonly vectors: Matrix;
  readonly values: Matrix;
  readonly along: (weights: Matrix) => Matrix;
} {
  const size = gram.diag().sqrt();
  const share = size.div(size.max().mul(SMALL_COLUMN));
  const scale = share.gt(0).and(share.lt(1)).ifelse(share, 1);
  const system = gram.div(scale).div(scale.t()).eigen();
  const [values, vectors] = [system.slice(null, 0), system.slice(null, [1])];
  const least = values.max().mul(gram.rows * Number.EPSILON);
  const kept = values.gt(least);
  return {
    vectors: vectors.div(scale).mul(kept.t()),
    values: kept.ifelse(values, 1),
    along: (weights) => vectors.t().matmul(weights.mul(scale)).mul(kept),
  };
}
