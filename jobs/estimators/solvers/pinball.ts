/**
 * The linear program of quantile regression by a primal-dual interior point method. A row's residual
 * r is u - s with u, s > 0 and has a dual a between tau - 1 and tau; at the optimum (tau - a) u and
 * (a + 1 - tau) s are 0, on the way both are m, which shrinks. A penalised coefficient is a row more:
 * residual -w, tau 1/2. An iteration costs one weighted Gram matrix and a product with X.
 *
 * Invariant: slacks and distances of duals from their ends stay above 0 for rows of weight; other
 * rows do not move. Source: Portnoy and Koenker, "The Gaussian hare and the Laplacian tortoise"
 * (Stat. Sci. 1997).
 */
import { iterate, type LoopState, type Matrix, ones, zeros } from '../../../driver/index.js';
import type { RowData } from '../estimator.js';
import { columnProducts, type Ended } from './row-fit.js';
import { encodedGram, productsOf, rowDecisions } from './row-products.js';

/** Mean gap of a row to end with, relative to the residuals of least squares. */
export const GAP = 1e-10;
const MAX_ITERATIONS = 200;
/** Share of the way to the nearest bound that a step goes. */
const NEARLY = 0.99995;

/** Rows of one kind: of the data, or of the penalty. All of one shape, tau that or [1, 1]. */
export interface PinballRows {
  readonly tau: Matrix;
  readonly weight: Matrix;
  readonly r: Matrix;
  readonly a: Matrix;
  readonly u: Matrix;
  readonly s: Matrix;
}

export async function fitPinball(
  rows: RowData,
  tau: Matrix,
  alpha: Matrix,
  hasIntercept: boolean,
): Promise<Ended> {
  const { y, weight, design } = rows;
  const { session } = y;
  const d = design.columns;
  const total = design.moments.count.asMatrix();
  const column = ones(session, d, 1);
  const half = ones(session, 1, 1).mul(0.5);
  const penalty = column.mul(alpha.mul(total).mul(2));
  const decision = rowDecisions(rows);
  const least = leastSquares(rows, hasIntercept);
  const r = y.sub(decision(least));
  const scale = r.square().mul(weight).sum().asMatrix().div(total).sqrt();
  const deviation = design.moments.spread.div(total).sqrt();
  const sizes = scale.div(deviation.gt(0).ifelse(deviation, 1));
  const all = total.add(penalty.sum());
  const data = begun(tau, weight, r, scale);
  const sizesOf = begun(half, penalty, least.slice([0, d]).neg(), sizes);
  const state = {
    v: least,
    r,
    a: data.a,
    u: data.u,
    s: data.s,
    pa: sizesOf.a,
    pu: sizesOf.u,
    ps: sizesOf.s,
    gap: gapOf(data).add(gapOf(sizesOf)).div(all),
    rest: ones(session, 1, 1),
    center: ones(session, 1, 1).mul(0.3),
  };

  const next = (now: LoopState) => {
    const { v, r, a, u, s, pa, pu, ps, gap, rest, center } = now as typeof state;
    const own: PinballRows = { tau, weight, r, a, u, s };
    const w = v.slice([0, d]);
    const coefficients: PinballRows = {
      tau: half,
      weight: penalty,
      r: w.neg(),
      a: pa,
      u: pu,
      s: ps,
    };
    const m = gap.div(2).mul(center);
    const [byRow, bySize] = [pulled(own, m), pulled(coefficients, m)];
    const form = gramOf(rows, byRow.curvature.mul(weight));
    const right = productsOf(rows, byRow.aim.mul(weight));
    const ridge = padded(bySize.curvature.mul(penalty), d + 1);
    const pull = padded(bySize.aim.mul(penalty), d + 1);
    const dv = solved(form.add(ridge.diag()), right.add(pull), hasIntercept);
    const moves = movesOf(own, byRow, decision(dv), m);
    const sizeMoves = movesOf(coefficients, bySize, dv.slice([0, d]), m);
    const dual = longest(moves.dual).minimum(longest(sizeMoves.dual)).minimum(1);
    const primal = longest(moves.primal).minimum(longest(sizeMoves.primal)).minimum(1);
    const reached = moved(own, moves, dual, primal);
    const reachedSizes = moved(coefficients, sizeMoves, dual, primal);
    const shorter = dual.minimum(primal);
    const left = shorter.neg().add(1);
    const newGap = gapOf(reached).add(gapOf(reachedSizes)).div(all);
    const newRest = rest.mul(left);
    return {
      state: {
        v: v.add(dv.mul(primal)),
        r: reached.r,
        a: reached.a,
        u: reached.u,
        s: reached.s,
        pa: reachedSizes.a,
        pu: reachedSizes.u,
        ps: reachedSizes.s,
        gap: newGap,
        rest: newRest,
        center: centering(left),
      },
      done: newGap.le(scale.mul(GAP)).and(newRest.le(GAP)),
    };
  };
  const { v, pa, gap, rest } = await iterate(state, next, { maxIterations: MAX_ITERATIONS });
  // A coefficient of 0 is one whose dual is within its bounds.
  const w = v.slice([0, d]);
  const isZero = pa
    .abs()
    .lt(0.499)
    .and(penalty.gt(0))
    .and(w.abs().lt(sizes.mul(1e-6)));
  return {
    weights: isZero.ifelse(0, w).rbind(v.slice(d)),
    ending: gap.div(scale).maximum(rest),
  };
}

/** Slacks around the residuals, and duals in the middle. */
export function begun(tau: Matrix, weight: Matrix, r: Matrix, scale: Matrix): PinballRows {
  const apart = scale.mul(0.1);
  const a = r.mul(0).add(tau.sub(0.5));
  return { tau, weight, r, a, u: r.maximum(0).add(apart), s: r.neg().maximum(0).add(apart) };
}

export function gapOf({ tau, weight, a, u, s }: PinballRows): Matrix {
  const both = tau.sub(a).mul(u).add(a.sub(tau).add(1).mul(s));
  return both.mul(weight).sum().asMatrix();
}

/** How a dual answers to its residual, and the dual it is drawn to when nothing else moves. */
export function pulled({ tau, r, a, u, s }: PinballRows, m: Matrix) {
  const [above, below] = [tau.sub(a), a.sub(tau).add(1)];
  const curvature = u.div(above).add(s.div(below)).recip();
  const offset = r.sub(m.div(above)).add(m.div(below));
  return { above, below, curvature, offset, aim: a.add(curvature.mul(offset)) };
}

/** Newton moves of a row when its decision value moves by `step`. */
export function movesOf(
  { weight, u, s }: PinballRows,
  { above, below, curvature, offset }: ReturnType<typeof pulled>,
  step: Matrix,
  m: Matrix,
) {
  const live = weight.gt(0);
  const of = (move: Matrix): Matrix => live.ifelse(move, 0);
  const a = of(curvature.mul(offset.sub(step)));
  const du = of(m.div(above).sub(u).add(u.div(above).mul(a)));
  const ds = of(m.div(below).sub(s).sub(s.div(below).mul(a)));
  return {
    a,
    u: du,
    s: ds,
    step,
    dual: [room(above, a.neg()), room(below, a)],
    primal: [room(u, du), room(s, ds)],
  };
}

/** Rows after their moves. @param dual, primal the share of them that is gone: [1, 1] */
export function moved(
  own: PinballRows,
  moves: ReturnType<typeof movesOf>,
  dual: Matrix,
  primal: Matrix,
): PinballRows {
  return {
    ...own,
    r: own.r.sub(moves.step.mul(primal)),
    a: own.a.add(moves.a.mul(dual)),
    u: own.u.add(moves.u.mul(primal)),
    s: own.s.add(moves.s.mul(primal)),
  };
}

/** How far the next step aims at the middle, by the share that was left of the last one. */
export function centering(left: Matrix): Matrix {
  return left.minimum(0.5).square().mul(2).maximum(1e-3);
}

/** How often a move fits until x is 0. */
function room(x: Matrix, move: Matrix): Matrix {
  return move.lt(0).ifelse(x.div(move).mul(-NEARLY), 1).colMins();
}

export function longest([first, ...others]: readonly Matrix[]): Matrix {
  return others.reduce((least, one) => least.minimum(one), first!);
}

/** [X 1]' diag(g) [X 1] of the design: [design + 1, design + 1]. */
export function gramOf({ X, design }: RowData, g: Matrix): Matrix {
  return design.contract(design.contract(encodedGram(X, g)).t());
}

function padded(column: Matrix, rows: number): Matrix {
  return column.rbind(zeros(column.session, rows - column.rows, 1));
}

/** The Newton step of the weights. */
export function solved(form: Matrix, right: Matrix, hasIntercept: boolean): Matrix {
  const system = form.addDiag(
    form
      .diag()
      .mul(1e-13)
      .add(Number.MIN_VALUE ** 0.5),
  );
  if (hasIntercept) return system.solve(right, { assume: 'spd' });
  const d = form.rows - 1;
  const own = system.slice([0, d], [0, d]).solve(right.slice([0, d]), { assume: 'spd' });
  return padded(own, form.rows);
}

/** Weights of least squares, nearly, from the moments. */
function leastSquares({ design }: RowData, hasIntercept: boolean): Matrix {
  const { count, mean, target } = design.moments;
  const { scatter, targetScatter } = columnProducts(design);
  const form = hasIntercept ? scatter : scatter.add(mean.matmul(mean.t()).mul(count));
  const right = hasIntercept ? targetScatter : targetScatter.add(mean.mul(count).mul(target));
  const slack = form
    .diag()
    .max()
    .mul(1e-9)
    .add(Number.MIN_VALUE ** 0.5);
  const w = form.addDiag(slack).solve(right, { assume: 'spd' });
  const last = hasIntercept
    ? target.sub(mean.t().matmul(w).asScalar()).asMatrix()
    : zeros(w.session, 1, 1);
  return w.rbind(last);
}
