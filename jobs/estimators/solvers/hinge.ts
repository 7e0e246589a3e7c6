/**
 * Hinge losses with a penalty on squares: min sum s_i max(0, 1 - t_i z_i) + l2 w'w / 2, t being -1 or
 * 1, by the primal-dual interior point method of `pinball.ts`. A row's loss is a pinball loss of the
 * residual t - z with tau 1 for t = 1 and 0 for t = -1, so its dual a is between 0 and 1 in size, and
 * at the optimum l2 w is X' a. As the penalty joins duals and weights, both take the same step.
 */
import { iterate, type LoopState, type Matrix, ones, zeros } from '../../../driver/index.js';
import type { RowData } from '../estimator.js';
import {
  begun,
  centering,
  gapOf,
  gramOf,
  longest,
  moved,
  movesOf,
  type PinballRows,
  pulled,
  solved,
} from './pinball.js';
import type { Ended } from './row-fit.js';
import { productsOf, rowDecisions } from './row-products.js';

export interface HingeFit {
  readonly rows: RowData;
  /** 1 where the row is of the class, else 0: [n, 1]. */
  readonly target: Matrix;
  /** [n, 1] */
  readonly weight: Matrix;
  /** The sum of weights: [1, 1]. */
  readonly total: Matrix;
  /** Weight of the square of each design column's coefficient, last the intercept's: [d + 1, 1]. */
  readonly l2: Matrix;
  readonly hasIntercept: boolean;
  /** Mean gap of a row to end with. */
  readonly gap: Matrix;
  readonly maxIterations: number;
}

/** One model: [design + 1, 1]. */
export async function fitHinge(fit: HingeFit): Promise<Ended> {
  const { rows, target: tau, weight, total, l2, hasIntercept } = fit;
  const { session } = weight;
  const decided = rowDecisions(rows);
  const one = ones(session, 1, 1);
  const r = tau.mul(2).sub(1);
  const { a, u, s } = begun(tau, weight, r, one);
  const size = rows.design.columns + 1;
  const penalty = l2.diag();
  const start = {
    v: zeros(session, size, 1),
    r,
    a,
    u,
    s,
    gap: one,
    rest: one,
    center: one.mul(0.3),
  };

  const next = (now: LoopState) => {
    const { v, r, a, u, s, gap, rest, center } = now as typeof start;
    const own: PinballRows = { tau, weight, r, a, u, s };
    const m = gap.div(2).mul(center);
    const pull = pulled(own, m);
    const form = gramOf(rows, pull.curvature.mul(weight)).add(penalty);
    const right = productsOf(rows, pull.aim.mul(weight)).sub(l2.mul(v));
    const dv = solved(form, right, hasIntercept);
    const moves = movesOf(own, pull, decided(dv), m);
    const far = longest([...moves.dual, ...moves.primal]).minimum(1);
    const reached = moved(own, moves, far, far);
    const left = far.neg().add(1);
    const newGap = gapOf(reached).div(total);
    const newRest = rest.mul(left);
    return {
      state: {
        v: v.add(dv.mul(far)),
        ...{ r: reached.r, a: reached.a, u: reached.u, s: reached.s },
        gap: newGap,
        rest: newRest,
        center: centering(left),
      },
      done: newGap.maximum(newRest).le(fit.gap),
    };
  };
  const { v, gap, rest } = await iterate(start, next, { maxIterations: fit.maxIterations });
  return { weights: v, ending: gap.maximum(rest) };
}
