/**
 * What an estimator is to a search, a job file and a report. Invariants: nothing outside this
 * folder knows an estimator by name; what it can do stands in its `Estimator` value, and `index.ts`
 * lists them all. Every fit is a matrix of weights, and its decision values are B(X) W + b (see
 * `basis.ts` for B), or what the layers of a network make of those, so scores, predictions and
 * exports need to know nothing else of a model.
 */
import type { z } from 'zod';
import type { Matrix, NonnegativeOptions, Scalar } from '../../driver/index.js';
import type { AttrValue } from '../../driver/ir/attrs.js';
import type { Basis } from './basis.js';
import type { TrainingRows } from './linear-design.js';
import type { Moments } from './moments.js';
import type { Layers } from './networks/layers.js';
import type { BesideCategory } from './solvers/border.js';
import type { FitSize } from './solvers/choice.js';
import type { Curvature, Nearby } from './solvers/nearby.js';

export type ParamValue =
  | number
  | string
  | boolean
  | null
  /** A number a class, by class number; or what the estimator says of `lists`. */
  | readonly number[]
  /** A number a class, by the class as text. Estimators are given it by class number. */
  | Readonly<Record<string, number>>
  /** The layers of a network. */
  | readonly (string | { readonly [layer: string]: AttrValue })[];
/** Values by parameter name, every parameter of the estimator present. */
export type Params = Readonly<Record<string, ParamValue>>;

/** What there is to learn; the last two have no target. */
export type Task = 'regression' | 'classification' | 'clustering' | 'decomposition';

/**
 * How decision values z [n, outputs] become predictions and probabilities.
 * - `identity`: the prediction is z.
 * - `log`: the prediction is exp(z).
 * - `logit`: one column, P(class 1) = 1 / (1 + exp(-z)).
 * - `softmax`: a column a class, P(class c) = exp(z_c) / sum exp(z).
 * - `margin`: one column, class 1 where z > 0; or several, the class of the greatest. No
 *   probabilities.
 * - `shares`: z are probabilities; of two classes one column, P(class 1) - 1/2.
 */
export type Link = 'identity' | 'log' | 'logit' | 'softmax' | 'margin' | 'shares';

export interface EstimatorFacts {
  /** As job files name it: `model.type`. */
  readonly name: string;
  /** Another name in job files. */
  readonly alias?: string;
  readonly description: string;
  /** How fits are solved, in a few words. */
  readonly solver: string;
  /** Names, ranges, defaults and docs of its parameters. The job schema is made from it. */
  readonly parameters: z.ZodObject;
  readonly task: Task;
  /** Parameters whose lists are not of a number a class. */
  readonly lists?: readonly string[];
  /** Whether fits take sample weights. Default: they do. */
  readonly takesWeights?: false;
  /** Whether a column of zeros changes the weights of others. Default: it has no part in a fit. */
  readonly countsColumns?: (params: Params) => boolean;
  /** False: decision values tell classes apart within a row, and do not rank rows. */
  readonly ranksRows?: false;
  /** @param classes how many the target has; 0 without classes */
  readonly link: (params: Params, classes: number) => Link;
  /** Columns of decision values. @param columns of the design */
  readonly outputs: (params: Params, classes: number, columns: number) => number;
  /**
   * Networks: their decision values are what layers make of the columns. A fit's weights have the
   * layers in further columns, see `networks/layers.ts`.
   * @param columns of the design
   * @throws ConfigError for layers that do not fit these
   */
  readonly network?: (params: Params, classes: number, columns: number) => Layers;
  /** Networks: how many of the layers give the code of a row, where the rest say the row again. */
  readonly codeLayers?: (params: Params) => number;
  /** What of the encoded columns decision values are linear in. Default: themselves. */
  readonly basis?: (params: Params) => Basis;
  /**
   * What areas under curves rank rows by, as scikit-learn's scorers do: probabilities where the
   * estimator there has no `decision_function`. Default: decision values.
   */
  readonly ranksBy?: 'decision' | 'probability';
  /**
   * Decompositions whose components are not below 0: decision values of a row are what it has of
   * parts, which are the coefficients; see `driver/operators/nonnegative.ts`.
   * @param columns of the design
   * @throws ConfigError for parameters that such columns do not allow
   */
  readonly nonnegative?: (params: Params, columns: number) => Nonnegative;
  /**
   * Decompositions: where the point is about which decision values are coordinates on vectors of
   * length 1 at right angles; or `rows`, the columns once more. Default `nowhere`: neither.
   */
  readonly projects?: (params: Params) => Projection;
}

/** What decision values that are not below 0 are the least of. */
export type Nonnegative = Pick<NonnegativeOptions, 'loss' | 'l1' | 'l2'>;

export type Projection = 'about the mean' | 'about the origin' | 'rows' | 'nowhere';

/** Fitted from moments of the training rows, which cost no pass over the data. */
export interface MomentEstimator extends EstimatorFacts {
  readonly reads: 'moments';
  /** Whether moments have to be about the means. */
  readonly centers: (params: Params) => boolean;
  /** One model on the training rows. Equal parts of different fits are one node. */
  readonly fit: (training: TrainingRows, params: Params) => Fit;
  /** The same fits by passes over the rows, for so many columns that their products are too much. */
  readonly byRows?: RowEstimator;
  /** Many models on the same rows, where that is less work than one by one. */
  readonly fitMany?: (training: TrainingRows, params: readonly Params[]) => Fit[];
}

/** Fitted from sums by class, which all fits share one pass for. */
export interface ClassEstimator extends EstimatorFacts {
  readonly reads: 'classes';
  readonly fit: (training: ClassRows, params: Params) => Fit;
}

/** What becomes of the loops of models that are trained together. */
export interface TogetherLoops {
  /** Ends that are there at the limit itself are made again. Default false. */
  readonly isFresh?: boolean;
  /** Ends are kept of loops that were done, too, for more iterations to come. Default false. */
  readonly keepsEnds?: boolean;
}

/** Fitted by passes over the rows; models that differ in numbers only train together. */
export interface RowEstimator extends EstimatorFacts {
  readonly reads: 'rows';
  /** What to say of a fit by how it ended, as `Fit.warn` and `Fit.fails`. */
  readonly ends?: (params: Params) => Pick<Fit, 'warn' | 'fails'>;
  /** Which solver trains a stack of fits and why, where one is chosen by cost; a line. */
  readonly solves?: (params: Params, size: FitSize) => string;
  /** Raised when fits change, so that stored models of the old version miss. */
  readonly version: number;
  /** Number parameters that may differ between models of one stack. Others make stacks apart. */
  readonly stacked: readonly string[];
  /**
   * The parameter of `stacked` that is the number of outputs: models train `width` outputs wide,
   * which their parameters say then too, and are cut to their own number afterwards.
   */
  readonly padded?: string;
  /**
   * Written for one model; a search calls it once for a stack of models, through `batch`.
   * @param numbers the parameters of `stacked`, by name: [1, 1]
   * @param params every parameter but those of `stacked`
   */
  readonly train: (
    rows: RowData,
    numbers: Readonly<Record<string, Matrix>>,
    params: Params,
  ) => Promise<Fit>;
  /** How fits begin where those of the nearest penalty ended, for estimators that can. */
  readonly follows?: (params: Params) => Following | undefined;
  /** Whether fits begin at weights they are given (`RowData.begin`). Default: they do not. */
  readonly begins?: (params: Params) => boolean;
  /**
   * Whether passes over rows in float32 (`RowData.single`) spare a stack work. Default: never.
   * @param isBegun whether it takes over curvature
   */
  readonly startsInSingle?: (params: Params, size: FitSize, isBegun: boolean) => boolean;
  /** Models that a fit trains to keep one. Default 1. */
  readonly starts?: (params: Params) => number;
  /** Whether fits read no products of columns, so that these may be many. Default: never. */
  readonly fitsWide?: (params: Params) => boolean;
  /** Such fits take few passes over rows that are mostly zero only. Default false. */
  readonly isForSparse?: boolean;
  /** Trains models that differ in more than numbers in one stack, where the estimator can. */
  readonly together?: (
    models: readonly { readonly rows: RowData; readonly params: Params }[],
    loops?: TogetherLoops,
  ) => Promise<Fit[]>;
}

/** Fits of one number after the other, all rows together, each begun where the last ended. */
export interface Following {
  /** The number of `stacked`, taken from its least value on. */
  readonly number: string;
  /**
   * Whether a stack is trained with less work so.
   * @param steps values of the number, one after the other
   * @param isBegun whether the first step takes over curvature too
   */
  readonly pays: (size: FitSize, steps: number, isBegun: boolean) => boolean;
  /**
   * The curvature at weights of design columns, a mean of fits.
   * @param rows all of them, as one fit's
   * @param value of the number that is to be fitted next: [1, 1]
   * @param share of the rows, what a fit trains on
   */
  readonly curvature: (rows: RowData, weights: Matrix, value: Matrix, share: number) => Curvature;
}

export type Estimator = MomentEstimator | ClassEstimator | RowEstimator;

/** The rows of a fit from sums by class. Nothing is computed but what a fit asks for. */
export interface ClassRows {
  /** Encoded columns of all rows, training or not: [n, encoded]. */
  readonly X: Matrix;
  /** Their class numbers, from 0: [n, 1]. */
  readonly y: Matrix;
  readonly classes: number;
  /** Training rows by class: [classes, 1]. */
  readonly counts: ByClass;
  /**
   * Sums over the training rows by class, of columns that row i of X and y alone give row i of.
   * Ask for all of them at once: a call is a pass, which all fits share.
   * @shape columns: [n, c] -> [classes, c]
   */
  readonly sums: (columns: Matrix) => ByClass;
  /** The training rows of all classes together, their moments about the means. */
  readonly all: TrainingRows;
  /** Moments of the encoded columns over the training rows of a class. One pass for all classes. */
  readonly ofClass: (c: number) => Moments;
}

/** Sums by class; one matrix where rows have no weights. */
export interface ByClass {
  /** Rows count by their weights. */
  readonly weighted: Matrix;
  /** Rows count alike, as they do to what prepares columns. */
  readonly alike: Matrix;
}

/** The rows of a fit that reads rows. */
export interface RowData {
  /** Encoded columns: [n, encoded]. */
  readonly X: Matrix;
  /** The target, or the class number from 0; without a target zeros: [n, 1]. */
  readonly y: Matrix;
  /** 0 for rows that are not training rows, else the sample's weight or 1: [n, 1]. */
  readonly weight: Matrix;
  /** 0 without classes. */
  readonly classes: number;
  /** Models of the stack this one is of: solvers are chosen by it, and nothing else. */
  readonly models: number;
  readonly design: RowDesign;
  /** Of a wide design of one category and few columns beside it. */
  readonly border?: BesideCategory;
  /** Fits with the nearest penalty, where this one follows them. */
  readonly nearby?: Nearby;
  /** Weights of the same fit to fewer rows, where solvers may begin: [design + 1, c]. */
  readonly begin?: Matrix;
  /** X in float32, of which solvers may make passes that lead to where X itself decides. */
  readonly single?: Matrix;
  /** The same in the coordinates of solvers that follow others, where these are of all models. */
  readonly turned?: Matrix;
}

/**
 * From the columns a model is about (imputed, standardised: the design's) to encoded ones. With the
 * row e = [x, 1] of an encoded row and M of [encoded + 1, design + 1], the design's row is e M.
 */
export interface RowDesign {
  /** Design columns, without the intercept. */
  readonly columns: number;
  /** Whether they are the encoded ones, neither imputed nor standardised. */
  readonly isPlain: boolean;
  /** M w: weights of encoded columns from those of design columns. @shape [design + 1, m] */
  readonly expand: (weights: Matrix) => Matrix;
  /**
   * Weights of design columns from those of encoded ones; absent where several give the same.
   * @shape [encoded + 1, m] -> [design + 1, m]
   */
  readonly restrict?: (weights: Matrix) => Matrix;
  /** Design columns of encoded rows. @shape x: [n, encoded] -> [n, design] */
  readonly rows: (x: Matrix) => Matrix;
  /**
   * A layer that says design columns, as one that says them in units of the data: intercepts last.
   * @shape [units + 1, design]
   */
  readonly restored: (layer: Matrix) => Matrix;
  /** M' g: a gradient by design weights from one by encoded weights. @shape [encoded + 1, m] */
  readonly contract: (gradient: Matrix) => Matrix;
  /** Coefficients and intercepts as `Fit.outputs` has them, from weights of design columns. */
  readonly outputs: (weights: Matrix) => LinearOutputs;
  /** Of the training rows and their design columns. */
  readonly moments: {
    /** The sum of weights: [1, 1]. */
    readonly count: Scalar;
    /** The columns' means, and sums of squares about them: [design, 1]. */
    readonly mean: Matrix;
    readonly spread: Matrix;
    /** The mean of the target. */
    readonly target: Scalar;
    /** Absent for wide designs. */
    readonly products?: {
      /** About the mean: [design, design]. */
      readonly scatter: Matrix;
      /** The target's scatter with the design columns: [design, 1]. */
      readonly targetScatter: Matrix;
    };
    /** Variances with all rows alike, where they have weights: [1, design]. */
    readonly variances?: Matrix;
  };
  /** Of wide designs, what columns of two values have: `low` is `high` for others. [design, 1] */
  readonly values?: { readonly low: Matrix; readonly high: Matrix };
  /**
   * Of all rows, training or not, and design columns imputed and standardised on all of them: the
   * same nodes for every model, so that solvers may share what they make of them.
   */
  readonly all: AllMoments;
}

/** Of all rows. */
export interface AllMoments {
  readonly count: Scalar;
  /** Means, and sums of squares about them: [design, 1]. */
  readonly mean: Matrix;
  readonly spread: Matrix;
  /** About the mean, [design, design]; absent for wide designs. */
  readonly scatter?: Matrix;
}

export interface FitOutputs {
  /**
   * Of the basis of design columns, in units of encoded ones: [design basis, outputs]. Absent, with
   * the intercept: of networks that begin at the columns.
   */
  readonly coefficients?: Matrix;
  /** [1, outputs] */
  readonly intercept?: Matrix;
  /** Of networks, the layers after a linear first one, see `flattened`: [1, cells]. */
  readonly layers?: Matrix;
  /** Training means over present cells of design columns: [1, design]. Absent: not imputed. */
  readonly imputed?: Matrix;
}

/** Those of models that are linear, or whose first layer is. */
export type LinearOutputs = FitOutputs & Required<Pick<FitOutputs, 'coefficients' | 'intercept'>>;

export interface Fit {
  /** Coefficients of the basis of encoded columns, intercepts last: [basis + 1, outputs]. */
  readonly weights: Matrix;
  /** What the stored model is made of. */
  readonly outputs: FitOutputs;
  /**
   * The last cell says how the fit ended, `warn` what to say; absent where all end alike. `limit` is
   * the key that iterations are limited by, `max_iter` unless said.
   */
  readonly ending?: Matrix;
  readonly warn?: (ending: number, limit?: string) => string | undefined;
  /**
   * Why there is no model, where an ending says so: as scikit-learn raises when it is fitted.
   * @param cells of `ending`, all of them
   */
  readonly fails?: (ending: number, cells: ArrayLike<number>) => string | undefined;
}
