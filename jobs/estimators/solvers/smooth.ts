/**
 * Linear models of a smooth loss with a penalty on squares: min sum s_i loss(z_i, y_i) + l2 w'w / 2
 * over weights w of the design columns, z = X w + b. Each iteration is one pass over X, which gives
 * the gradient of all models of a stack, and for Newton's method their Hessians. Solved in the
 * coordinates of `coordinates.ts`, in which the Hessian is about the loss's mean curvature times the
 * rows' squares, plus the penalty: a diagonal. The solver is the cheapest by `choice.ts`.
 */
import { type Matrix, ones, zeros } from '../../../driver/index.js';
import type { Following, RowData, RowDesign } from '../estimator.js';
import { chooseSolver, type FitSize, followsCheaper, type SmoothSolver } from './choice.js';
import {
  type CoordinateMaps,
  type Coordinates,
  columnCoordinates,
  gramCoordinates,
  type Intercept,
} from './coordinates.js';
import type { Minimum } from './descent.js';
import type { SmoothLoss } from './losses.js';
import { curvatureAt, type Nearby, nearbyProduct } from './nearby.js';
import { newtonDescent } from './newton.js';
import { minimise, type SmoothProblem } from './quasi-newton.js';
import { columnProducts, type Ended, stepTolerance, wideRows } from './row-fit.js';
import { encodedGram, productsOf, rowDecisions } from './row-products.js';

export interface SmoothFit {
  readonly rows: Pick<
    RowData,
    'X' | 'design' | 'models' | 'nearby' | 'begin' | 'single' | 'turned'
  >;
  /** Column by column what its decision value is held to: [n, c]. */
  readonly target: Matrix;
  /** s, 0 for rows that are not training rows: [n, 1] or [n, c]. */
  readonly weight: Matrix;
  /** Sums of weights, [1, 1] or [1, c], and weighted means of the target, [1, c]. */
  readonly total: Matrix;
  readonly mean: Matrix;
  readonly loss: SmoothLoss;
  readonly intercept: Intercept;
  /** [1, 1] */
  readonly l2: Matrix;
  /** The loss joins the columns of a row; else each is a model of its own. Default false. */
  readonly joint?: boolean;
  /** As of the estimator, or [1, 1] where models differ in it. */
  readonly tol: number | Matrix;
  readonly maxIterations: number;
  /** Default: the cheapest. */
  readonly solver?: SmoothSolver;
}

/** Share of the first curvature that is left where decision values spread. */
export const SPREAD = 0.6;
/** Steps of this size, squared, beside the curvature of all rows are rounding. */
export const ROUNDING = 1e-22;

export async function fitSmooth(fit: SmoothFit): Promise<Ended> {
  const { rows, target, loss, intercept, total, mean, l2, joint = false } = fit;
  const isFree = intercept === 'free';
  const { cols } = target;
  const bends = loss.bend !== undefined && cols === 1;
  const isWide = rows.design.all.scatter === undefined;
  const { nearby } = rows;
  const solver =
    fit.solver ??
    (nearby ? 'gram' : isWide ? 'columns' : chooseSolver(fitSize(rows, cols), bends).solver);
  const at = coordinatesFor(solver, rows, intercept);
  const best = loss.best(mean);
  const atBest = loss.curvature(best, mean);
  const first = isFree ? atBest : atBest.maximum(loss.curvature(best.mul(0), mean));
  const curvature = first.mul(total).mul(SPREAD);
  const known = at.squares.matmul(curvature).add(at.penalties.mul(l2));
  const floor = curvature.mul(ROUNDING);
  const origin = zeros(total.session, at.squares.rows - (isFree ? 1 : 0), cols);
  const begin = begunAt(nearby?.start ?? rows.begin, joint);
  const common = {
    start: begin ? at.point(begin) : isFree ? origin.rbind(best) : origin,
    measured: at.isColumn,
    floor: joint ? floor.sum().asMatrix() : floor,
    tolerance: stepTolerance(fit.tol),
    maxIterations: fit.maxIterations,
  };
  const { point, ending } = await (solver === 'newton'
    ? newtonFit(fit, at, { ...common, curvature, known })
    : gradientFit(fit, at, { ...common, curvature, known }));
  return { weights: at.weights(point), ending };
}

/** Weights to begin at; those of joint columns sum to 0, as descents leave them. */
export function begunAt(weights: Matrix | undefined, joint: boolean): Matrix | undefined {
  if (weights === undefined || !joint) return weights;
  return weights.sub(weights.rowSums().div(weights.cols));
}

/** What the choice of a solver for these rows depends on. */
export function fitSize({ X, design, models }: SmoothFit['rows'], outputs: number): FitSize {
  return { rows: X.rows, columns: design.columns, outputs, models };
}

export function coordinatesFor(
  solver: SmoothSolver,
  { design }: SmoothFit['rows'],
  intercept: Intercept,
): Coordinates {
  const { all } = design;
  if (solver !== 'columns') {
    const { all: scatter } = columnProducts(design);
    return gramCoordinates({ ...all, scatter }, intercept);
  }
  return designColumns(design, intercept);
}

function designColumns({ all }: RowDesign, intercept: Intercept) {
  const variance = all.spread.div(all.count);
  return columnCoordinates({ mean: all.mean, variance }, intercept);
}

/** Fits with one `C`, the inverse of l2, after the other. @param fitOf what is fitted to all rows */
export function followsStrength(
  fitOf: (rows: RowData) => Pick<SmoothFit, 'target' | 'weight' | 'loss' | 'intercept'>,
): Following {
  return {
    number: 'C',
    pays: followsCheaper,
    curvature: (given, weights, C, share) => {
      const rows = wideRows(given);
      const { intercept, ...fit } = fitOf(rows);
      const at = coordinatesFor('gram', rows, intercept);
      return curvatureAt({ ...fit, rows, l2: C.recip(), share }, at, weights);
    },
  };
}

interface Start {
  readonly start: Matrix;
  readonly measured: Matrix;
  readonly floor: Matrix;
  readonly tolerance: number | Matrix;
  readonly maxIterations: number;
  /** Of all rows, about the sum of the losses' second derivatives: [1, c]. */
  readonly curvature: Matrix;
  /** About the diagonal of the Hessian: [p, c]. */
  readonly known: Matrix;
}

function gradientFit(
  fit: SmoothFit,
  at: Coordinates,
  { known, curvature, ...start }: Start,
): Promise<Minimum> {
  const { rows, target, weight, loss, l2, joint = false } = fit;
  const mapsFor = ({ dtype }: Matrix): CoordinateMaps =>
    (dtype === 'float32' ? at.single : undefined) ?? at;
  const gradientBy = (
    X: Matrix,
    decided: (v: Matrix) => Matrix,
    summed: (slopes: Matrix) => Matrix,
  ) => {
    const [own, weighs] = [target.cast(X.dtype), weight.cast(X.dtype)];
    const { penalty } = mapsFor(X);
    return (v: Matrix): Matrix =>
      summed(loss.slope(decided(v), own).mul(weighs)).add(penalty(v).mul(l2));
  };
  const ofColumns = (X: Matrix) => {
    const own = { ...rows, X };
    const decided = rowDecisions(own);
    const { weights, gradient } = mapsFor(X);
    const summed = (slopes: Matrix): Matrix => gradient(productsOf(own, slopes));
    return gradientBy(X, (v) => decided(weights(v)), summed);
  };
  const ofCoordinates = (Z: Matrix) => {
    const summed = (slopes: Matrix): Matrix => Z.t().matmul(slopes).cast('float64');
    return gradientBy(Z, (v) => Z.matmul(v.cast(Z.dtype)), summed);
  };
  const hessian = known.maximum(Number.MIN_VALUE ** 0.5);
  const wide = wideHessian(fit, at, hessian);
  const sizes = start.measured.mul(at.penalties).mul(l2);
  const rough = rows.turned ? ofCoordinates(rows.turned) : rows.single && ofColumns(rows.single);
  const near = rows.nearby && nearbyGuess(rows.nearby, sizes, joint);
  return minimise({
    ...start,
    gradient: ofColumns(rows.X),
    ...(rough && !wide ? { rough, ...roughRounding(fit, at, known, curvature) } : {}),
    hessian,
    joint,
    ...near,
    ...(wide ? { hessianAt: (v) => wide(at.weights(v)), memory: WIDE_MEMORY } : {}),
  });
}

/** Of float32, and of sums of some hundred products in it: of a cell. */
const CELL_ROUNDING = 2 ** -24;
const PRODUCT_ROUNDING = 16 * CELL_ROUNDING;
/** About the largest mean square of a loss's derivative: that of a squared hinge at 0. */
const SLOPE_SQUARE = 4;

/**
 * What float32 passes can't tell: rounding of rows, which moves decision values, and of sums of
 * slopes, each taken to be of any sign. Columns far from 0 beside their spread have much of both.
 */
function roughRounding(
  { rows, weight, total }: SmoothFit,
  { single, squares, penalties }: Coordinates,
  known: Matrix,
  curvature: Matrix,
): Pick<SmoothProblem, 'rounding'> {
  const { isPlain, all } = rows.design;
  // Of other columns and coordinates it is not known.
  if (!isPlain || single === undefined) return {};
  const columns = all.mean.square().add(all.spread.div(all.count));
  const far = columns.sum();
  const reach = rows.turned
    ? squares.div(known).colSums()
    : penalties.mul(columns.max()).div(known).colSums().add(known.recip().mul(far).colMaxs());
  const bySums = total.mul(weight.max()).mul(SLOPE_SQUARE * PRODUCT_ROUNDING ** 2);
  const byRows = curvature.mul(CELL_ROUNDING ** 2);
  return { rounding: (whole) => bySums.add(whole.mul(byRows)).mul(reach) };
}

/** Pairs that are kept beside curvature that is taken over: three took as many passes. */
const NEAR_MEMORY = 1;

/** The curvature that is taken over; the size of the point is that of where fits begin. */
function nearbyGuess(
  { inverse, spread, whole }: Nearby,
  penalty: Matrix,
  joint: boolean,
): Pick<SmoothProblem, 'inverse' | 'whole' | 'memory'> {
  const bends = spread.add(penalty);
  return {
    inverse: (slope) => nearbyProduct(inverse, slope, (v, rows) => v.div(bends.slice(rows))),
    whole: joint ? whole.sum().asMatrix() : whole,
    memory: NEAR_MEMORY,
  };
}

/** Pairs that are kept of wide designs, whose diagonal is known. */
const WIDE_MEMORY = 5;
/** Share of the first curvature that a column keeps at least. */
const LEAST_BEND = 1e-4;

/**
 * Of wide designs, the diagonal of the Hessian at weights of the design columns: of columns of two
 * values exactly, of others as if curvature did not depend on them.
 * @param first what it is taken to be at first
 */
function wideHessian(
  { rows, target, weight, loss, intercept, l2 }: SmoothFit,
  { squares, penalties }: Coordinates,
  first: Matrix,
): ((weights: Matrix) => Matrix) | undefined {
  const { values, all, columns: d } = rows.design;
  if (values === undefined || loss.bend === undefined) return undefined;
  const { bend } = loss;
  const about = intercept === 'free' ? all.mean : all.mean.mul(0);
  const { low, high } = values;
  const decided = rowDecisions(rows);
  return (weights) => {
    const bends = bend(decided(weights), target).mul(weight);
    const sums = productsOf(rows, bends);
    const [sum, total] = [sums.slice([0, d]), sums.slice(d)];
    // (x - a)^2 of a column that is `low` or `high`.
    const ofTwo = sum
      .mul(low.add(high).sub(about.mul(2)))
      .add(about.square().sub(low.mul(high)).mul(total));
    const spread = squares.mul(total);
    const columns = low.lt(high).ifelse(ofTwo, spread.slice([0, d]));
    const known = squares.rows > d ? columns.rbind(spread.slice(d)) : columns;
    return known.add(penalties.mul(l2)).maximum(first.mul(LEAST_BEND));
  };
}

/** Sums of products of so many rows are known to this share of the squares they are made of. */
const SUM_ROUNDING = 4 * Number.EPSILON;

function newtonFit(
  { rows, target, weight, loss, l2 }: SmoothFit,
  at: Coordinates,
  { known, curvature, floor, ...start }: Start,
): Promise<Minimum> {
  const { X, design } = rows;
  const { count, mean } = design.all;
  const { all: scatter } = columnProducts(design);
  const size = known.rows;
  const penalty = at.penalty(ones(X.session, size, 1).diag());
  const decided = rowDecisions(rows);
  // Hessians are made about the origin and turned, which rounds by the columns' squares there.
  const squares = scatter.diag().div(count).add(mean.square()).sum();
  const rounding = curvature.mul(squares.add(1)).mul(SUM_ROUNDING * size);
  return newtonDescent({
    ...start,
    least: floor,
    floor: known.mul(SUM_ROUNDING).add(rounding),
    pass: (v) => {
      const z = decided(at.weights(v));
      const slopes = loss.slope(z, target).mul(weight);
      const bends = loss.bend!(z, target).mul(weight);
      const contracted = (form: Matrix): Matrix => at.gradient(design.contract(form));
      const form = contracted(contracted(encodedGram(X, bends)).t());
      return {
        slope: at.gradient(productsOf(rows, slopes)).add(at.penalty(v).mul(l2)),
        form: form.add(penalty.mul(l2)),
      };
    },
  });
}

/** Derivatives by decision values, times the rows' weights, and what else the pass is to sum. */
interface RowSlopes {
  /** [n, c] */
  readonly slopes: Matrix;
  readonly more?: Matrix;
}

/**
 * The gradient by design weights of a loss of decision values, in one pass.
 * @returns of weights [design + 1, c] the gradient, of the same shape
 */
export function rowGradient(
  rows: Pick<RowData, 'X' | 'design'>,
  slopesOf: (z: Matrix, extra?: Matrix) => RowSlopes,
): (weights: Matrix, extra?: Matrix) => RowSlopes {
  const decided = rowDecisions(rows);
  return (weights, extra) => {
    const { slopes, ...rest } = slopesOf(decided(weights), extra);
    return { slopes: productsOf(rows, slopes), ...rest };
  };
}
