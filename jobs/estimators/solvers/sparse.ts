/**
 * Linear models of a smooth loss with a penalty on absolute values: min sum s_i loss(z_i, y_i) +
 * l1 |w|_1 + l2 w'w / 2. Each iteration is one pass over X, which gives the gradient of the losses.
 * Proximal quasi-Newton: the losses are a quadratic form B about the point, B begins as the mean
 * curvature times the Gram matrix of all rows and learns from each change of the gradient (BFGS),
 * and coordinate descent finds the least of form and penalty. So the set of zeros is found as by
 * coordinate descent on the rows, in as few passes as without the penalty. B is dense: 8 (d c)^2
 * bytes a model of d columns and c outputs.
 *
 * Source: Lee, Sun and Saunders, "Proximal Newton-type methods for minimizing composite functions"
 * (SIAM J. Optim. 2014).
 */
import { Matrix, matrix, ones, ops, scalar, zeros } from '../../../driver/index.js';
import { type Ahead, descend, squared, type Trial } from './descent.js';
import { columnProducts, type Ended, stepTolerance } from './row-fit.js';
import { begunAt, ROUNDING, rowGradient, type SmoothFit, SPREAD } from './smooth.js';

export interface SparseFit extends SmoothFit {
  readonly intercept: 'free' | 'none';
  /** [1, 1] */
  readonly l1: Matrix;
}

/** How the descents end that find the least of form and penalty. */
const DESCENT = { maxSweeps: 10_000, tolerance: 1e-10, byMoves: true };

export async function fitSparse(fit: SparseFit): Promise<Ended> {
  const { l1, l2, tol } = fit;
  const { start, form, count, floor, gradient, weightsOf } = prepared(fit);
  const { session } = start;
  const tolerance = stepTolerance(tol);
  const columns = start.rows - count;
  const penalties = ones(session, columns, 1).rbind(
    ...(count > 0 ? [zeros(session, count, 1)] : []),
  );
  const along = (g: Matrix, v: Matrix, p: Matrix, at: 1 | -1): Matrix => {
    const bend = v.sign().mul(p).add(v.eq(0).mul(p.abs()).mul(at));
    const smooth = g.add(v.mul(penalties).mul(l2));
    return smooth.mul(p).add(bend.mul(penalties).mul(l1)).sum().asMatrix();
  };
  const ahead = ({ taken, point, slope, move, seen, before, memory }: Trial): Ahead => {
    const known = memory.form!;
    const form = taken.ifelse(learned(known, move, seen.slope.sub(before)), known);
    const direction = leastOf(form, point, slope, columns, l1, l2).sub(point);
    const metric = form.diag().add(penalties.mul(l2));
    const size = direction.square().mul(metric).sum().asMatrix();
    const whole = point.square().mul(penalties).mul(metric).sum().asMatrix();
    const ending = size.div(whole.add(floor.div(squared(tolerance)))).sqrt();
    return { direction, ending, memory: { form } };
  };
  const { point, ending } = await descend({
    ...{ start, along, ahead, tolerance },
    one: ones(session, 1, 1),
    memory: { form },
    pass: (at) => ({ slope: gradient(at) }),
    maxIterations: fit.maxIterations,
  });
  return { weights: weightsOf(point), ending };
}

/** B after a step and the change of the gradient along it; B where there was none. */
function learned(form: Matrix, step: Matrix, change: Matrix): Matrix {
  const along = form.matmul(step);
  const known = step.mul(along).sum();
  const seen = step.mul(change).sum();
  const isUseful = seen.gt(known.mul(1e-10)).and(known.gt(0));
  const more = change.matmul(change.t()).div(seen).sub(along.matmul(along.t()).div(known));
  return isUseful.ifelse(form.add(more), form);
}

/**
 * The least of g'(x - v) + (x - v)'B(x - v) / 2 + penalties on the first columns of x, the others
 * eliminated.
 */
function leastOf(
  form: Matrix,
  point: Matrix,
  slope: Matrix,
  columns: number,
  l1: Matrix,
  l2: Matrix,
): Matrix {
  const right = form.matmul(point).sub(slope);
  const start = point.slice([0, columns]);
  if (form.rows === columns) return descended(form, right, start, l1, l2);
  const own = form.slice([0, columns], [0, columns]);
  const across = form.slice([columns], [0, columns]);
  const sides = across.cbind(right.slice([columns]));
  const solved = form.slice([columns], [columns]).solve(sides, { assume: 'spd' });
  const [slopes, ends] = [solved.slice(null, [0, columns]), solved.slice(null, columns)];
  const reduced = own.sub(across.t().matmul(slopes));
  const target = right.slice([0, columns]).sub(across.t().matmul(ends));
  const w = descended(reduced, target, start, l1, l2);
  return w.rbind(ends.sub(slopes.matmul(w)));
}

function descended(form: Matrix, right: Matrix, start: Matrix, l1: Matrix, l2: Matrix): Matrix {
  const { session } = form;
  const system = form.addDiag(l2.asScalar());
  const one = scalar(session, 1);
  const inputs = [system, right, one, one, l1, one, start];
  const exprs = inputs.map((input) => input.expr);
  return Matrix.of(session, session.intern(ops.coordinateDescent, exprs, DESCENT)).slice([
    0,
    form.rows,
  ]);
}

/** The problem over one column: weights output by output, then the intercepts, about the mean. */
function prepared(fit: SparseFit) {
  const { rows, target, weight, loss, intercept, total, mean, joint = false } = fit;
  const { count: all, mean: center } = rows.design.all;
  const { all: scatter } = columnProducts(rows.design);
  const { session, rows: d } = scatter;
  const { cols: c } = target;
  const isFree = intercept === 'free';
  const best = loss.best(mean);
  const atBest = loss.curvature(best, mean);
  const first = isFree ? atBest : atBest.maximum(loss.curvature(best.mul(0), mean));
  const curvature = first.mul(total).mul(SPREAD);
  const gram = isFree ? scatter.div(all) : scatter.div(all).add(center.matmul(center.t()));
  const blocks = kronecker(curvature, gram);
  const gauge = joint
    ? curvature
        .sum()
        .div(c * c)
        .asMatrix()
    : zeros(session, 1, 1);
  const corner = curvature.t().diag().add(gauge);
  const apart = zeros(session, d * c, c);
  const form = isFree ? blocks.cbind(apart).rbind(apart.t().cbind(corner)) : blocks;
  const column = (own: Matrix): Matrix => own.t().reshape(d * c, 1);
  const weightsOf = (v: Matrix): Matrix => {
    const own = v
      .slice([0, d * c])
      .reshape(c, d)
      .t();
    if (!isFree) return own.rbind(zeros(session, 1, c));
    return own.rbind(
      v
        .slice([d * c])
        .t()
        .sub(center.t().matmul(own)),
    );
  };
  const slopes = rowGradient(rows, (z) => ({ slopes: loss.slope(z, target).mul(weight) }));
  const gradient = (v: Matrix): Matrix => {
    const g = slopes(weightsOf(v)).slopes;
    const own = g.slice([0, d]);
    if (!isFree) return column(own);
    const last = g.slice(d);
    const shift = v
      .slice([d * c])
      .sum()
      .mul(gauge);
    return column(own.sub(center.matmul(last))).rbind(last.add(shift).t());
  };
  const origin = zeros(session, d * c, 1);
  const begin = begunAt(rows.begin, joint);
  const own = begin?.slice([0, d]);
  const from = own ? column(own) : origin;
  const last = own ? begin!.slice(d).add(center.t().matmul(own)) : best;
  return {
    start: isFree ? from.rbind(last.t()) : from,
    form,
    count: isFree ? c : 0,
    floor: curvature.sum().mul(ROUNDING).asMatrix(),
    gradient,
    weightsOf,
  };
}

/** diag(factors) (x) A. @shape factors: [1, c], A: [d, d] -> [c d, c d] */
function kronecker(factors: Matrix, A: Matrix): Matrix {
  const { session, rows: d } = A;
  const c = factors.cols;
  if (c === 1) return A.mul(factors);
  const place = (size: number, of: (i: number) => number): Matrix => {
    const cells = new Float64Array(c * d * size);
    for (let i = 0; i < c * d; i++) cells[i * size + of(i)] = 1;
    return matrix(session, c * d, size, cells);
  };
  const [inner, outer] = [place(d, (i) => i % d), place(c, (i) => Math.floor(i / d))];
  const mask = outer.mul(factors).matmul(outer.t());
  return inner.matmul(A).matmul(inner.t()).mul(mask);
}
