/**
 * The design that estimators share which read moments. Imputing means, standardising and the
 * intercept are linear maps on the encoded columns, so they are applied to the moments: with
 * x~ = T'x (imputation) and scales d, the scatter is D^-1 T'CT D^-1. A column that has no value in
 * the training rows has no mean either: it is left out of that fit, as scikit-learn's
 * `SimpleImputer` leaves it out.
 */
import {
  ConfigError,
  type Evaluator,
  type Matrix,
  matrix,
  type Scalar,
  scalar,
  zeros,
} from '../../driver/index.js';
import { type Moments, trainingMoments, trainingProducts } from './moments.js';
import { spreadScales } from './wide-columns.js';

/** Mean imputation of a column: where the indicator is 1, the value is the training mean. */
export interface Imputation {
  readonly column: number;
  readonly indicator: number;
  /** `steps`: cleaning steps say what the value is. Default: the mean. */
  readonly kind?: 'mean' | 'steps';
}

export interface LinearDesign {
  /** Selects the design columns of the encoded ones: [encoded, design]; null for all. */
  readonly select: Matrix | null;
  /** 1 where an indicator (row) carries a design column's imputed value: [encoded, design]. */
  readonly carry: Matrix | null;
  /** Encoded columns, without the target. */
  readonly encoded: number;
  /** Of a wide design, what takes the place of `select` and `carry`; null for every other. */
  readonly wide: WideDesign | null;
}

export interface WideDesign {
  /** Imputed columns and their indicators: [imputations, 2]; null for none. */
  readonly pairs: Matrix | null;
  /** Which columns go with which, for fits by rows; null where nothing is imputed. */
  readonly places: ColumnPlaces | null;
  /** 1 for each encoded column that is a design column: [encoded + 1, 1]. */
  readonly kept: Matrix | null;
  readonly design: number;
}

/** Numbers of columns, -1 for none. */
export interface ColumnPlaces {
  /** By design column: the encoded column, and that of its indicator: [design, 1]. */
  readonly own: Matrix;
  readonly indicator: Matrix;
  /** By encoded column: the design column, or that whose indicator it is: [encoded, 1]. */
  readonly design: Matrix;
  readonly carries: Matrix;
}

/** Columns of the design. */
export function columnsOf({ select, wide, encoded }: LinearDesign): number {
  return select?.cols ?? wide?.design ?? encoded;
}

/** From this many columns on, each step's value is large: one operator does all in one matrix. */
export const WIDE_COLUMNS = 1024;

/** The rows a model is fitted on, as their moments, and how their columns are prepared. */
export interface TrainingRows {
  /** Moments by group: [groups * (encoded + 2), encoded + 2]. */
  readonly gram: Matrix;
  readonly groups: number;
  /** The groups to fit on, ascending; undefined for all. */
  readonly train: readonly number[] | undefined;
  /** Whether `gram` holds centred blocks. */
  readonly centered: boolean;
  readonly standardize: boolean;
  readonly design: LinearDesign;
  /** As `gram`, with the rows' weights, which fits count by; absent where all rows count alike. */
  readonly weighted?: Matrix;
  /** Of fits by rows of a wide design, what takes the place of `gram` and `weighted`. */
  readonly columns?: {
    /** From `columnMoments`: [3 * groups, encoded]. */
    readonly all: Matrix;
    readonly weighted?: Matrix;
    /** Chooses columns, see `BesideCategory`: [encoded, k]. */
    readonly border?: Matrix;
  };
}

/** Sums of products of prepared columns and target over the training rows: what is solved. */
export interface LinearSystem {
  /** [design, design] and [design, 1] */
  readonly xx: Matrix;
  readonly xy: Matrix;
  /** The sum of squares of the target, and the rows. */
  readonly yy: () => Scalar;
  readonly count: () => Scalar;
  /** [1, design]: 1 for a column without values in these rows, 0 in `xx`; null for none. */
  readonly leftOut: Matrix | null;
}

export interface PreparedRows {
  readonly system: LinearSystem;
  /** Coefficients of the design columns from those of the system's. */
  readonly unscale: (solution: Matrix) => Matrix;
  /**
   * The intercepts that go with coefficients of the design columns; 0 through the origin.
   * @shape coefficients: [design, m] -> [1, m]
   */
  readonly intercept: (coefficients: Matrix) => Matrix;
  /** T: [encoded, design]; null for the identity. */
  readonly map: Matrix | null;
  /** [1, design] */
  readonly imputed: Matrix | null;
}

/**
 * How search columns become a design's.
 * @param mayBeWide whether the fit knows wide designs
 * @returns also which encoded columns are design columns
 */
export function linearDesign(
  session: Evaluator,
  encoded: number,
  imputations: readonly Imputation[],
  mayBeWide = true,
): { design: LinearDesign; kept: readonly number[] } {
  const indicators = new Set(imputations.map((imputation) => imputation.indicator));
  const kept = Array.from({ length: encoded }, (_, j) => j).filter((j) => !indicators.has(j));
  const narrow = { select: null, carry: null, encoded, wide: null };
  if (mayBeWide && encoded >= WIDE_COLUMNS) {
    return { design: { ...narrow, wide: wideDesign(session, encoded, kept, imputations) }, kept };
  }
  if (imputations.length === 0) return { design: narrow, kept };
  const select = new Float64Array(encoded * kept.length);
  const carry = new Float64Array(encoded * kept.length);
  const place = new Map(kept.map((column, j) => [column, j]));
  for (const [column, j] of place) select[column * kept.length + j] = 1;
  for (const { column, indicator } of imputations) {
    carry[indicator * kept.length + place.get(column)!] = 1;
  }
  return {
    design: {
      select: matrix(session, encoded, kept.length, select),
      carry: matrix(session, encoded, kept.length, carry),
      encoded,
      wide: null,
    },
    kept,
  };
}

function wideDesign(
  session: Evaluator,
  encoded: number,
  kept: readonly number[],
  imputations: readonly Imputation[],
): WideDesign {
  if (imputations.length === 0) {
    return { pairs: null, places: null, kept: null, design: encoded };
  }
  const pairs = Float64Array.from(
    imputations.flatMap(({ column, indicator }) => [column, indicator]),
  );
  const mask = new Float64Array(encoded + 1);
  for (const column of kept) mask[column] = 1;
  const design = new Float64Array(encoded).fill(-1);
  const carries = new Float64Array(encoded).fill(-1);
  const indicator = new Float64Array(kept.length).fill(-1);
  for (const [place, column] of kept.entries()) design[column] = place;
  for (const own of imputations) {
    carries[own.indicator] = design[own.column]!;
    indicator[design[own.column]!] = own.indicator;
  }
  const column = (cells: Float64Array): Matrix => matrix(session, cells.length, 1, cells);
  return {
    places: {
      own: column(Float64Array.from(kept)),
      indicator: column(indicator),
      design: column(design),
      carries: column(carries),
    },
    pairs: matrix(session, imputations.length, 2, pairs),
    kept: matrix(session, encoded + 1, 1, mask),
    design: kept.length,
  };
}

/** Training rows ready to be solved, with or without intercept. The design is not wide. */
export function prepareRows(rows: TrainingRows, hasIntercept: boolean): PreparedRows {
  const { gram, groups, train, standardize } = rows;
  const own = rows.weighted ?? gram;
  const d = rows.design.encoded;
  if (!rows.centered) {
    const sums = trainingProducts(own, groups, train);
    const products = sums.slice([1], [1]);
    const xx = products.slice([0, d], [0, d]);
    return {
      system: {
        xx,
        xy: products.slice([0, d], d),
        yy: () => products.at(d, d),
        count: () => sums.at(0, 0),
        leftOut: null,
      },
      unscale: (solution) => solution,
      intercept: ({ cols }) => zeros(gram.session, 1, cols),
      map: null,
      imputed: null,
    };
  }
  // Columns are imputed and scaled as if all rows counted alike, and solved for with their weights.
  const columns = preparedMoments(rows);
  const { map, imputed, leftOut } = columns;
  const moments = trainingMoments(own, groups, train);
  const { count } = moments;
  const cross = moments.scatter.slice([0, d], d);
  const design = {
    ...(rows.weighted ? designMoments(moments, columns, d) : columns),
    xy: map === null ? cross : map.t().matmul(cross),
    target: moments.mean.at(d, 0),
  };
  const scale = standardize ? columnScales(columns) : null;
  const keepOrigin = !hasIntercept && !standardize;
  // Without an intercept standardised columns stay about the means of rows that count alike.
  const offset = !hasIntercept && standardize && rows.weighted ? columns.mean : null;
  const { scatter: xx, xy } = keepOrigin || offset ? aboutOrigin(design, offset) : design;
  const intercept = (coefficients: Matrix): Matrix => {
    if (keepOrigin) return zeros(gram.session, 1, coefficients.cols);
    const shift = (offset ?? design.mean).t().matmul(coefficients).neg();
    return hasIntercept ? shift.add(design.target) : shift;
  };
  return {
    system: {
      xx: scale === null ? xx : xx.div(scale).div(scale.t()),
      xy: scale === null ? xy : xy.div(scale.t()),
      yy: () => {
        const scatter = moments.scatter.at(d, d);
        return keepOrigin || offset ? scatter.add(design.target.square().mul(count)) : scatter;
      },
      count: () => count,
      leftOut,
    },
    unscale: (solution) => (scale === null ? solution : solution.div(scale.t())),
    intercept,
    map,
    imputed,
  };
}

/** Moments of the training rows' design columns: imputed, not scaled. */
export interface ColumnMoments extends ImputedColumns {
  readonly count: Scalar;
  /** [design, 1] */
  readonly mean: Matrix;
  /** About the mean: [design, design]. */
  readonly scatter: Matrix;
}

interface DesignMoments extends ColumnMoments {
  /** Scatter with the target: [design, 1]. */
  readonly xy: Matrix;
  readonly target: Scalar;
}

/** How encoded columns become imputed ones; all null where nothing is imputed. */
export interface ImputedColumns {
  /** T: [encoded, design]; null for the identity. */
  readonly map: Matrix | null;
  /** The values that stand for missing ones: [1, design]. */
  readonly imputed: Matrix | null;
  /** 1 for a column without values, which T maps to 0: [1, design]. */
  readonly leftOut: Matrix | null;
}

/**
 * @param mean of the encoded columns over `count` rows: [1, encoded]
 * @throws ConfigError for a wide design
 */
export function imputedColumns(mean: Matrix, count: Scalar, design: LinearDesign): ImputedColumns {
  const { select, carry, wide } = design;
  if (wide !== null && wide.pairs !== null) {
    throw new ConfigError(
      `data.features: expected fewer than ${WIDE_COLUMNS} columns where means stand for missing values, got ${design.encoded}; say impute: zero or a number`,
      { key: 'data.features' },
    );
  }
  if (select === null || carry === null) return { map: null, imputed: null, leftOut: null };
  // A missing cell is encoded as 0, so the mean over present cells is the plain mean over the
  // present share.
  const present = scalar(mean.session, 1).sub(mean.matmul(carry));
  // Half a row: the share is a multiple of one row's but for rounding.
  const leftOut = present.mul(count).lt(0.5);
  const imputed = leftOut.ifelse(0, mean.matmul(select).div(present));
  const map = select.mul(scalar(mean.session, 1).sub(leftOut)).add(carry.mul(imputed));
  return { map, imputed, leftOut };
}

/** The rows' moments are about the means. @throws ConfigError for a wide design that imputes */
export function preparedMoments({ gram, groups, train, design }: TrainingRows): ColumnMoments {
  const moments = trainingMoments(gram, groups, train);
  const { count } = moments;
  const d = design.encoded;
  const mean = moments.mean.slice([0, d]);
  return designMoments(moments, imputedColumns(mean.t(), count, design), d);
}

/** Moments of imputed columns from those of the encoded ones, the first `d`. */
export function designMoments(
  { count, ...moments }: Moments,
  { map, imputed, leftOut }: ImputedColumns,
  d: number,
): ColumnMoments {
  const scatter = moments.scatter.slice([0, d], [0, d]);
  const mean = moments.mean.slice([0, d]);
  const columns = { map, imputed, leftOut };
  if (map === null) return { count, mean, scatter, ...columns };
  return {
    count,
    mean: map.t().matmul(mean),
    scatter: map.t().matmul(scatter.matmul(map)),
    ...columns,
  };
}

/** Of columns whose products are known, see `spreadScales`: [1, design]. */
export function columnScales({ count, mean, scatter }: ColumnMoments): Matrix {
  return spreadScales({ count, mean, spread: scatter.diag() });
}

/**
 * Sums of products about an origin from scatter about the mean: X'X = C + n m m'.
 * @param origin [design, 1]; null for zero. The target's is zero
 */
function aboutOrigin(
  { scatter, mean: own, count, xy, target }: DesignMoments,
  origin: Matrix | null,
): { scatter: Matrix; xy: Matrix } {
  const mean = origin === null ? own : own.sub(origin);
  const weighted = mean.mul(count);
  return {
    scatter: scatter.add(weighted.matmul(mean.t())),
    xy: xy.add(weighted.mul(target)),
  };
}
