/**
 * Ridge regression by passes over the rows: (C + l2 I) w = c by conjugate gradients, C and c being the
 * scatter of the columns, and with the target, about the means of the training rows, where the
 * intercept is the rest. C is not made: a pass gives C p for the directions p of all models of a
 * stack. Preconditioned by the diagonal of the system, which for the columns of a category is nearly
 * all of it, so that passes are few; by its inverse where there is but one (`border.ts`).
 *
 * Source: Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems" (1952).
 */
import { iterate, type LoopState, type Matrix, ones, zeros } from '../../../driver/index.js';
import type { RowData } from '../estimator.js';
import { bordered } from './border.js';
import type { Ended } from './row-fit.js';
import { productsOf, rowDecisions } from './row-products.js';

/** Size of the residual to end with, relative to the right side, by the guessed inverse. */
export const RESIDUAL = 1e-10;
const MAX_ITERATIONS = 1000;

/** @param l2 weight of the squares of the coefficients: [1, 1] */
export async function fitRidgeRows(
  rows: RowData,
  l2: Matrix,
  hasIntercept: boolean,
): Promise<Ended> {
  const { y, weight, design } = rows;
  const { session } = y;
  const { count, mean, spread, target } = design.moments;
  const d = design.columns;
  const about = hasIntercept ? mean : mean.mul(0);
  /** X~' r of centred columns. @shape r: [n, 1], times the weights of the rows -> [d, 1] */
  const against = (r: Matrix): Matrix => {
    const g = productsOf(rows, r);
    return g.slice([0, d]).sub(about.mul(g.slice(d)));
  };
  const decided = rowDecisions(rows);
  const squares = hasIntercept ? spread : spread.add(mean.square().mul(count));
  const diagonal = squares.add(l2);
  const scale = diagonal.gt(0).ifelse(diagonal.recip(), 0);
  const guess = rows.border
    ? bordered({ ...rows, border: rows.border }, { l2, hasIntercept })
    : (r: Matrix): Matrix => r.mul(scale);
  const shift = hasIntercept ? y.sub(target) : y;
  const right = against(shift.mul(weight));
  const size = (r: Matrix, z: Matrix): Matrix => r.mul(z).sum().asMatrix();
  const first = guess(right);
  const whole = size(right, first);
  const state = {
    w: zeros(session, d, 1),
    r: right,
    p: first,
    size: whole,
    ending: ones(session, 1, 1),
  };

  const next = (now: LoopState) => {
    const { w, r, p, size: before } = now as typeof state;
    const z = decided(p.rbind(about.mul(p).sum().neg().asMatrix()));
    const Ap = against(z.mul(weight)).add(p.mul(l2));
    const along = p.mul(Ap).sum().asMatrix();
    const step = along.gt(0).ifelse(before.div(along), 0);
    const left = r.sub(Ap.mul(step));
    const guessed = guess(left);
    const after = size(left, guessed);
    const turn = before.gt(0).ifelse(after.div(before), 0);
    const ending = whole.gt(0).ifelse(after.div(whole).sqrt(), 0);
    return {
      state: {
        w: w.add(p.mul(step)),
        r: left,
        p: guessed.add(p.mul(turn)),
        size: after,
        ending,
      },
      // A direction in which nothing changes is rounding.
      done: ending.le(RESIDUAL).or(along.gt(0).not()),
    };
  };
  const { w, ending } = await iterate(state, next, { maxIterations: MAX_ITERATIONS });
  const last = hasIntercept ? target.asMatrix().sub(mean.mul(w).sum()) : zeros(session, 1, 1);
  return { weights: w.rbind(last), ending };
}
