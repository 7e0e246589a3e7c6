/**
 * What a fit takes over from fits of the same rows with the nearest penalty: where it begins, and the
 * curvature there. Invariants: the curvature is the same for all models of a stack, made of all rows
 * about the mean of their beginnings, a block for each output; it is only a guess for solvers, who
 * end at the same point within the tolerance without it.
 *
 * A row is taken with a chance as its curvature is large, and counts as much more as that is less
 * than 1 (importance sampling): a few rows a column tell of the curvature what steps need.
 */
import { type Matrix, matrix, rand } from '../../../driver/index.js';
import type { RowData } from '../estimator.js';
import type { Coordinates } from './coordinates.js';
import type { SmoothLoss } from './losses.js';
import { rowDecisions } from './row-products.js';

export interface Nearby {
  /** Where the fit begins: [design + 1, c]. */
  readonly start: Matrix;
  /**
   * Hessians of the losses by output, in coordinates of columns, and inverses of those of losses and
   * penalty: [c p, p], float32.
   */
  readonly form: Matrix;
  readonly inverse: Matrix;
}

export interface Curvature extends Pick<Nearby, 'form' | 'inverse'> {
  /** The rows in those coordinates, which curvature everywhere is made of: [n, p], float32. */
  readonly narrow: Matrix;
}

/** Rows a column that curvature is made of, of each output. */
const ROWS_A_COLUMN = 6;
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
  const { X, design } = rows;
  const decided = rowDecisions(rows);
  const one = unit(X.session, at.squares.rows);
  const size = one.rows;
  const narrow = decided(at.weights(one)).cast('float32');
  const z = decided(weights);
  const bends = (loss.ownBend ?? loss.bend)!(z, target).mul(weight);
  const chance = bends.mul(ROWS_A_COLUMN * design.columns).div(bends.colSums());
  const isTaken = rand(X.session, X.rows, 1, { seed: SEED }).lt(chance);
  const taken = isTaken.ifelse(bends.div(chance.minimum(1)), 0).mul(share);
  const form = narrow.weightedGram(taken.cast('float32'));
  const penalty = at.penalties.mul(l2).cast('float32');
  const inverses = Array.from({ length: weights.cols }, (_, c) => {
    const own = form.slice([c * size, (c + 1) * size]);
    const penalised = own.addDiag(own.diag().mul(FLOOR).add(penalty));
    return penalised.solve(one.cast('float32'), { assume: 'spd' });
  });
  const [first, ...others] = inverses;
  return { narrow, form, inverse: first!.rbind(...others) };
}

function unit(session: Matrix['session'], size: number): Matrix {
  return matrix(session, size, 1, new Float64Array(size).fill(1)).diag();
}
