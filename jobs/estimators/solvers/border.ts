/**
 * The inverse of the ridge system of one category and few columns beside it. Products of the
 * category's columns with each other are a diagonal; the others, and the intercept, border it. Up to
 * rounding it is the system's own inverse, so that conjugate gradients take a pass or two. Invariant:
 * products are sums by group of rows, the same for all models of a stack, so that one pass makes
 * them for all; a model adds up its training groups in what is of the border's size.
 *
 * The system is [D B; B' S] of category and border, the intercept unpenalised, its Schur complement
 * S - B' D^-1 B. Of two categories D would be no diagonal, and this no system: nothing is left of S
 * but a negative number. Source: Saad, "Iterative Methods for Sparse Linear Systems" (2003), 14.2.
 */
import { eye, type Matrix, matrix, ones, zeros } from '../../../driver/index.js';
import type { RowData } from '../estimator.js';
import { productsOf, rowDecisions } from './row-products.js';

/** Added to pivots, relative: of columns that depend on others nothing but rounding is left. */
const FLOOR = 1e-9;

/**
 * Columns beside those of one category, and how rows train. All but `trains` is the same for every
 * model of a stack, so that they share what is made of it.
 */
export interface BesideCategory {
  /** Chooses the columns beside the category's: [design, k]. */
  readonly chosen: Matrix;
  /** The group of each row, from 0: [n, 1]. */
  readonly groupOf: Matrix;
  /** 1 for the groups that train: [groups, 1]. */
  readonly trains: Matrix;
  /** Absent where all rows count alike: [n, 1]. */
  readonly sampleWeight?: Matrix;
}

export interface RidgeSystem {
  /** Weight of the squares of the coefficients: [1, 1]. */
  readonly l2: Matrix;
  readonly hasIntercept: boolean;
}

/** The inverse's product with a residual: [design, 1] to the same. */
export function bordered(
  rows: RowData & { readonly border: BesideCategory },
  { l2, hasIntercept }: RidgeSystem,
): (r: Matrix) => Matrix {
  const { design, border } = rows;
  const { chosen, trains } = border;
  const { session } = chosen;
  const { count, mean, spread } = design.moments;
  const width = chosen.cols + (hasIntercept ? 1 : 0);
  const { cross, inner } = borderSums(rows, hasIntercept);
  const training = trainingGroups(trains, width);
  const isCategory = chosen.rowSums().neg().add(1);
  const squares = spread.add(mean.square().mul(count)).add(l2);
  const inverse = isCategory.mul(squares).gt(0).ifelse(squares.recip(), 0);
  const penalised = matrix(session, width, 1, Float64Array.from({ length: width }, (_, j) => j < chosen.cols ? 1 : 0)); // biome-ignore format: a mask
  const own = training.t().matmul(inner).add(penalised.mul(l2).diag());
  const eliminated = cross.t().matmul(cross.mul(inverse));
  const pivots = own.diag();
  const schur = own
    .sub(training.t().matmul(eliminated).matmul(training))
    .addDiag(pivots.gt(0).ifelse(pivots.mul(FLOOR), 1));
  const inverted = schur.solve(eye(session, width), { assume: 'spd' });
  return (r) => {
    const z = r.mul(inverse);
    const chosenOf = chosen.t().matmul(r);
    const right = hasIntercept ? chosenOf.rbind(zeros(session, 1, 1)) : chosenOf;
    const v = inverted.matmul(right.sub(training.t().matmul(cross.t().matmul(z))));
    const back = cross.matmul(training.matmul(v)).mul(inverse);
    return z.sub(back).add(chosen.matmul(v.slice([0, chosen.cols])));
  };
}

/**
 * Sums by group of the border's products, its columns about the means of all rows so that they
 * keep their digits: with the category's, [design, groups * width], and with each other,
 * [groups * width, width].
 */
function borderSums(
  rows: RowData & { readonly border: BesideCategory },
  hasIntercept: boolean,
): { readonly cross: Matrix; readonly inner: Matrix } {
  const { border, design } = rows;
  const { chosen, groupOf, trains, sampleWeight } = border;
  const { session, cols } = chosen;
  const about = hasIntercept ? design.all.mean.t().matmul(chosen).neg() : zeros(session, 1, cols);
  const weights = chosen.rbind(about);
  const intercept = zeros(session, chosen.rows, 1).rbind(ones(session, 1, 1));
  const columns = rowDecisions(rows)(hasIntercept ? weights.cbind(intercept) : weights);
  const weighted = sampleWeight ? columns.mul(sampleWeight.cast('float64')) : columns;
  const [first, ...others] = Array.from({ length: trains.rows }, (_, group) =>
    weighted.mul(groupOf.eq(group)),
  );
  const byGroup = first!.cbind(...others);
  const isCategory = chosen.rowSums().neg().add(1);
  return {
    cross: productsOf(rows, byGroup).slice([0, design.columns]).mul(isCategory),
    inner: byGroup.t().matmul(columns),
  };
}

/** A product with it adds up the training groups: [groups * width, width]. */
function trainingGroups(trains: Matrix, width: number): Matrix {
  const { session, rows: groups } = trains;
  const size = groups * width;
  const repeat = new Float64Array(size * groups);
  const place = new Float64Array(size * width);
  for (let at = 0; at < size; at++) {
    repeat[at * groups + Math.floor(at / width)] = 1;
    place[at * width + (at % width)] = 1;
  }
  const own = matrix(session, size, groups, repeat).matmul(trains);
  return matrix(session, size, width, place).mul(own);
}
