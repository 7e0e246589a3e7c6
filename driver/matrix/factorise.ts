/**
 * Rows of a choice, and the weighted products of factorisation, X ~ U t(V). Building them computes
 * nothing; where X lies as row blocks they run over these, and of U t(V) only the cells asked about
 * are computed: those where the weights are not zero or, without weights, where X is not zero.
 */
import { ops } from '../operators/index.js';
import { made } from './grouped.js';
import type { Matrix, Scalar } from './matrix.js';

/**
 * The rows where `mask` is not zero, in order: a fold, its training rows, a filter.
 * @shape X: [n, d], mask: [n, 1] -> [rows, d]
 * @param rows how many the mask selects; running it with another number throws DataError
 * @throws ShapeError when the mask is no column of X's rows
 */
export function selectRows(X: Matrix, mask: Matrix, rows: number): Matrix {
  return made(ops.selectRows, [X, mask], { rows });
}

export interface Factorisation {
  /** [n, m] */
  readonly X: Matrix;
  /** [n, r] */
  readonly U: Matrix;
  /** [m, r] */
  readonly V: Matrix;
  /** [n, m]; default 1 where X is not zero. */
  readonly weights?: Matrix;
}

/** What stands for u t(v) where it divides or its logarithm is taken: max(u t(v) + plus, least). */
export interface ProductGuard {
  /** Default 0. */
  readonly plus?: number;
  /** Default none. */
  readonly least?: number;
}

export interface WeightedProductOptions extends ProductGuard {
  /** `residual`: w (u t(v) - x), the gradient's; `quotient`: w (x / u t(v)), of PNMF. */
  readonly cells: 'residual' | 'quotient';
  /** `right`: P %*% V, [n, r]; `left`: t(P) %*% U, [m, r]; P being those cells. */
  readonly side: 'left' | 'right';
}

/** The sum of w (x - u t(v))^2. @throws ShapeError when the factors do not fit X */
export function weightedLoss(of: Factorisation): Scalar {
  return made(ops.wsloss, operands(of)).asScalar();
}

/**
 * The sum of w x log(max(u t(v) + plus, least)), of Poisson and Kullback-Leibler losses.
 * @throws ShapeError when the factors do not fit X, PlanError for a guard that is not finite
 */
export function weightedCrossEntropy(of: Factorisation, guard: ProductGuard = {}): Scalar {
  return made(ops.wcemm, operands(of), guardAttrs(guard)).asScalar();
}

/**
 * A product with the weighted cells.
 * @throws ShapeError when the factors do not fit X, PlanError for a guard of residuals
 */
export function weightedProduct(of: Factorisation, options: WeightedProductOptions): Matrix {
  const { cells, side } = options;
  return made(ops.wdivmm, operands(of), { cells, side, ...guardAttrs(options) });
}

function guardAttrs({ plus = 0, least }: ProductGuard): { plus?: number; least?: number } {
  return { ...(plus === 0 ? {} : { plus }), ...(least === undefined ? {} : { least }) };
}

function operands({ X, U, V, weights }: Factorisation): [Matrix, ...Matrix[]] {
  return [X, U, V, ...(weights ? [weights] : [])];
}
