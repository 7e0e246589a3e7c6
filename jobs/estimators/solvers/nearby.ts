/**
 * What a fit takes over from fits of the same rows with the nearest penalty: where it begins, and the
 * curvature there. Invariants: the curvature is the same for all models of a stack, made of all rows
 * about the mean of their beginnings, a block for each output; it is only a guess for solvers, who
 * end at the same point within the tolerance without it.
 *
 * The block is of the directions in which rows differ most, and of a free intercept; in the others
 * the penalty outweighs what curvature is not the mean one, so that a diagonal says it.
 *
 * A row is taken with a chance as its curvature is large, and counts as much more as that is less
 * than 1 (importance sampling): a few rows a column tell of the curvature what steps need.
 */
import { eye, type Matrix, rand } from '../../../driver/index.js';
import type { RowData } from '../estimator.js';
import { leadingOf, ROWS_A_COLUMN } from './choice.js';
import type { Coordinates } from './coordinates.js';
import type { SmoothLoss } from './losses.js';
import { rowDecisions } from './row-products.js';

export interface Nearby {
  /** Where the fit begins: [design + 1, c]. */
  readonly start: Matrix;
  /**
   * Inverses of the Hessians of losses and penalty by output, in leading coordinates of the Gram
   * matrix: [c q, q], float32.
   */
  readonly inverse: Matrix;
  /** What the diagonal of the losses' Hessians is without them, in all coordinates: [p, c]. */
  readonly spread: Matrix;
  /** The squared size of the beginnings by output, in the norm of the Hessian: [1, c]. */
  readonly whole: Matrix;
}

export interface Curvature extends Omit<Nearby, 'start'> {
  /** The rows in leading coordinates, which curvature everywhere is made of: [n, q], float32. */
  readonly narrow: Matrix;
  /** In all coordinates, where fits take enough passes for that to pay: [n, p], float32. */
  readonly turned?: Matrix;
}

const SEED = 20_261_130;
/** Added to the diagonal, relative: pivots stay clear of the rounding of float32. */
const FLOOR = 3e-4;

interface CurvatureOf {
  /** All of them, training or not. */
  readonly rows: Pick<RowData, 'X' | 'design'>;
  readonly target: Matrix;
  /** [n, 1] or [n, c] */
  readonly weight: Matrix;
  readonly loss: SmoothLoss;
  readonly l2: Matrix;
  /** Of the rows, how many a model trains on. */
  readonly share: number;
}

/** About these design weights, [design + 1, c]. */
export function curvatureAt(
  { rows, target, weight, loss, l2, share }: CurvatureOf,
  at: Coordinates,
  weights: Matrix,
): Curvature {
  const { X } = rows;
  const decided = rowDecisions(rows);
  const all = at.squares.rows;
  const size = leadingOf(all);
  const one = eye(X.session, all);
  // Making them takes as long as they spare in some fifty passes: joint columns take fewer.
  const isTurned = loss.bend !== undefined || size === all;
  const made = decided(at.weights(isTurned ? one : leading(one, size).t())).cast('float32');
  const narrow =
    made.cols === size ? made : made.slice(null, [0, size - 1]).cbind(made.slice(null, all - 1));
  const z = decided(weights);
  const bends = (loss.ownBend ?? loss.bend)!(z, target).mul(weight);
  const exact = (loss.bend ?? loss.ownBend)!(z, target).mul(weight);
  const point = at.point(weights);
  const own = point.mul(at.isColumn);
  // Along a free intercept's coordinate all decision values are the same.
  const squares = z.sub(point.sub(own).colSums()).square().mul(exact).colSums().mul(share);
  const whole = squares.add(own.mul(at.penalty(own)).colSums().mul(l2));
  const sums = bends.colSums();
  const chance = bends.mul(ROWS_A_COLUMN * size).div(sums);
  const isTaken = rand(X.session, X.rows, 1, { seed: SEED }).lt(chance);
  const taken = isTaken.ifelse(bends.div(chance.minimum(1)), 0).mul(share);
  const form = narrow.weightedGram(taken.cast('float32'));
  const penalty = leading(at.penalties, size).mul(l2).cast('float32');
  const inverses = Array.from({ length: weights.cols }, (_, c) => {
    const block = form.slice([c * size, (c + 1) * size]);
    const diagonal = block
      .diag()
      .mul(1 + FLOOR)
      .add(penalty);
    const penalised = block.addDiag(diagonal.sub(block.diag()).add(diagonal.eq(0)));
    return penalised.solve(eye(X.session, size, { dtype: 'float32' }), { assume: 'spd' });
  });
  const [first, ...others] = inverses;
  const spread = at.squares.matmul(sums.mul(share));
  const turned = isTurned ? { turned: made } : {};
  return { ...turned, narrow, inverse: first!.rbind(...others), spread, whole };
}

/** Of coordinates, which lie in order of their size, the first and the last, a free intercept's. */
function leading(v: Matrix, size: number): Matrix {
  return v.rows === size ? v : v.slice([0, size - 1]).rbind(v.slice(v.rows - 1));
}

/** The product of blocks by output with leading coordinates, beside what becomes of the others. */
export function nearbyProduct(
  blocks: Matrix,
  v: Matrix,
  others: (v: Matrix, rows: readonly [number, number]) => Matrix,
): Matrix {
  const size = blocks.cols;
  const own = blocks.blockProducts(leading(v, size).cast('float32')).cast('float64');
  if (v.rows === size) return own;
  const middle = [size - 1, v.rows - 1] as const;
  return own.slice([0, size - 1]).rbind(others(v.slice(middle), middle), own.slice(size - 1));
}
