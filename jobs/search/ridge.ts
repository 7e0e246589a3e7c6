/**
 * Ridge regression from moments: min |y - Xw - b|^2 + lambda |w|^2, the intercept b unpenalised
 * (scikit-learn's `Ridge`, solver cholesky). Imputing means and standardising are linear maps on
 * the encoded columns, so they are applied to the moments: with x~ = T'x (imputation) and scales d,
 * the system is D^-1 T'CT D^-1 + lambda I. A column that has no value in the training rows has no
 * mean either: it is left out of that fit, as scikit-learn's `SimpleImputer` leaves it out. Written
 * for one trial as if alone; equal parts of different trials are one node, so nothing is computed
 * twice.
 */
import { Matrix, ops, type Scalar, scalar, selectRows } from '../../driver/index.js';
import { type Moments, trainingMoments, trainingProducts } from './moments.js';

/** Mean imputation of one column: where the indicator column is 1 the value column takes the training mean. */
export interface Imputation {
  readonly column: number;
  readonly indicator: number;
}

export interface RidgeDesign {
  /** Selects the design columns out of the encoded ones: [encoded, design], null when they are the same. */
  readonly select: Matrix | null;
  /** 1 where the indicator (row) carries the imputed value of a design column: [encoded, design]. */
  readonly carry: Matrix | null;
  /** Encoded columns, without the target. */
  readonly encoded: number;
  /** Of a wide design, what takes the place of `select` and `carry`; null for every other. */
  readonly wide: WideDesign | null;
}

export interface WideDesign {
  /** Imputed columns and their indicators: [imputations, 2]; null for none. */
  readonly pairs: Matrix | null;
  /** 1 for each encoded column that is a design column: [encoded + 1, 1]. */
  readonly kept: Matrix | null;
  readonly design: number;
}

/** From this many columns on, every step's value would be large, and one operator does them all in one matrix's memory. */
export const WIDE_COLUMNS = 1024;

export interface RidgeOptions {
  readonly intercept: boolean;
  readonly standardize: boolean;
  readonly design: RidgeDesign;
  readonly groups: number;
  /** Whether `gram` holds centred blocks. */
  readonly centered: boolean;
}

export interface RidgeFit {
  /** Coefficients of the encoded columns, intercept last: [encoded + 1, 1]. */
  readonly weights: Matrix;
  /** Coefficients of the design columns: [design, 1]. */
  readonly coefficients: Matrix;
  readonly intercept: Scalar;
  /** Training means of the design columns over rows where they are not missing: [1, design]; null without imputation. */
  readonly imputed: Matrix | null;
}

/** The fit on the rows outside fold `f` (all rows when undefined) with penalty `lambda`. */
export function fitRidge(
  gram: Matrix,
  f: number | undefined,
  lambda: number,
  options: RidgeOptions,
): RidgeFit {
  const { intercept, standardize, centered, groups } = options;
  if (options.design.wide !== null) return wideFit(gram, f, lambda, options.design.wide, options);
  const d = options.design.encoded;
  if (!centered) {
    const products = trainingProducts(gram, groups, f);
    const gramX = products.slice([0, d], [0, d]);
    const coefficients = gramX.addDiag(lambda).solve(products.slice([0, d], d), { assume: 'spd' });
    const zero = scalar(gram.session, 0);
    return {
      weights: coefficients.rbind(zero.asMatrix()),
      coefficients,
      intercept: zero,
      imputed: null,
    };
  }
  const moments = trainingMoments(gram, groups, f);
  const design = imputeMoments(moments, options.design);
  const scale = standardize ? columnScales(design, moments.count) : null;
  const keepOrigin = !intercept && !standardize;
  const system = keepOrigin ? uncentered(design, moments.count) : design;
  const scaledXx = scale === null ? system.xx : system.xx.div(scale).div(scale.t());
  const a = design.leftOut === null ? scaledXx : scaledXx.addDiag(design.leftOut.t());
  const b = scale === null ? system.xy : system.xy.div(scale.t());
  const scaled = a.addDiag(lambda).solve(b, { assume: 'spd' });
  const coefficients = scale === null ? scaled : scaled.div(scale.t());
  const session = gram.session;
  let offset = scalar(session, 0);
  if (!keepOrigin) offset = offset.sub(design.mean.t().matmul(coefficients).asScalar());
  if (intercept) offset = offset.add(design.target);
  const own = design.map === null ? coefficients : design.map.matmul(coefficients);
  return {
    weights: own.rbind(offset.asMatrix()),
    coefficients,
    intercept: offset,
    imputed: design.imputed,
  };
}

function wideFit(
  gram: Matrix,
  f: number | undefined,
  lambda: number,
  { pairs, kept, design }: WideDesign,
  { intercept, standardize, centered, groups }: RidgeOptions,
): RidgeFit {
  const { session } = gram;
  const inputs = [
    gram.expr,
    scalar(session, lambda).asMatrix().expr,
    ...(pairs ? [pairs.expr] : []),
  ];
  const attrs = { groups, fold: f ?? -1, center: centered, intercept, standardize };
  const fit = Matrix.of(session, session.intern(ops.foldRidge, inputs, attrs));
  const d = fit.rows - 1;
  const weights = fit.slice([0, d + 1], 0);
  const own = kept === null ? fit.slice([0, d]) : selectRows(fit, kept, design);
  return {
    weights,
    coefficients: own.slice([0, design], 0),
    intercept: weights.at(d, 0),
    imputed: pairs === null ? null : own.slice([0, design], 1).t(),
  };
}

interface DesignMoments {
  /** [design, design] and [design, 1]: scatter of the columns, and with the target. */
  readonly xx: Matrix;
  readonly xy: Matrix;
  /** [design, 1] */
  readonly mean: Matrix;
  readonly target: Scalar;
  /** T: [encoded, design]; null for the identity. */
  readonly map: Matrix | null;
  readonly imputed: Matrix | null;
  /** 1 for a column without a value in these rows: its row and column of `xx` are 0, and a 1 on the diagonal makes its coefficient 0. */
  readonly leftOut: Matrix | null;
}

function imputeMoments(moments: Moments, design: RidgeDesign): DesignMoments {
  const d = design.encoded;
  const xx = moments.scatter.slice([0, d], [0, d]);
  const xy = moments.scatter.slice([0, d], d);
  const mean = moments.mean.slice([0, d]);
  const target = moments.mean.at(d, 0);
  const { select, carry } = design;
  if (select === null || carry === null) {
    return { xx, xy, mean, target, map: null, imputed: null, leftOut: null };
  }
  // A missing cell is encoded as 0, so the mean over present cells is the plain mean over the
  // present share.
  const row = mean.t();
  const present = scalar(mean.session, 1).sub(row.matmul(carry));
  // Half a row: the share is a multiple of one row's but for rounding.
  const leftOut = present.mul(moments.count).lt(0.5);
  const imputed = leftOut.ifelse(0, row.matmul(select).div(present));
  const map = select.mul(scalar(mean.session, 1).sub(leftOut)).add(carry.mul(imputed));
  return {
    xx: map.t().matmul(xx.matmul(map)),
    xy: map.t().matmul(xy),
    mean: map.t().matmul(mean),
    target,
    map,
    imputed,
    leftOut,
  };
}

/**
 * Standard deviations as scikit-learn's StandardScaler takes them: population form, 1 where the
 * column is constant up to rounding (`_is_constant_feature`: var <= n eps var + (n mean eps)^2).
 * [1, design]
 */
function columnScales(design: DesignMoments, count: Scalar): Matrix {
  const variance = design.xx.diag().t().div(count);
  const slack = count.mul(Number.EPSILON);
  const bound = variance.mul(slack).add(design.mean.t().mul(slack).square());
  return variance.le(bound).ifelse(1, variance.sqrt());
}

/** Sums of products about the origin from scatter about the mean: X'X = C + n m m'. */
function uncentered(design: DesignMoments, count: Scalar): { xx: Matrix; xy: Matrix } {
  const weighted = design.mean.mul(count);
  return {
    xx: design.xx.add(weighted.matmul(design.mean.t())),
    xy: design.xy.add(weighted.mul(design.target)),
  };
}
