/**
 * The least point of a smooth convex function whose gradient costs a pass over the data: limited
 * memory BFGS from a diagonal first guess of the Hessian, one gradient an iteration. Invariant: a
 * step is taken when the slope along it has not turned up by more than it went down, which for a
 * convex function means that it went down; else the step is cut. The value of the function is not
 * needed, so it is not computed, and its rounding does not end the descent early.
 *
 * Source: Nocedal and Wright, "Numerical Optimization" (2006), algorithm 7.4; the test of steps by
 * slopes is the approximate Wolfe condition of Hager and Zhang (SIAM J. Optim. 2005).
 */
import { iterate, type LoopState, type Matrix, ones, zeros } from '../../../driver/index.js';

export interface SmoothProblem {
  /** [p, c] */
  readonly start: Matrix;
  /** [p, c] from [p, c]; a cell that is no number refuses the step. */
  readonly gradient: (point: Matrix) => Matrix;
  /** About the diagonal of the Hessian, positive: [p, c] or [p, 1]. */
  readonly hessian: Matrix;
  /** 1 for coordinates whose size the tolerance is relative to: [p, 1]. */
  readonly measured: Matrix;
  /** Steps whose squared size (in the norm of the Hessian) is at most this are rounding: [1, 1]. */
  readonly floor: Matrix;
  /**
   * Columns depend on each other, and rows sum to 0 at the start, at the end and in each gradient;
   * else each column is a problem of its own.
   */
  readonly joint: boolean;
  /** Size of the step that is still to take, relative to the point, in the norm of the Hessian. */
  readonly tolerance: number;
  readonly maxIterations: number;
}

export interface Minimum {
  /** [p, c] */
  readonly point: Matrix;
  /** Relative size of what is left, of the worst column: [1, 1]. */
  readonly ending: Matrix;
}

/** Pairs of steps and changes of the gradient that are kept. */
const MEMORY = 10;
/** Share of the slope that a step may end with, turned upwards. */
export const TURN = 0.9;

type Pair = readonly [step: Matrix, change: Matrix, weight: Matrix];

export async function minimise(problem: SmoothProblem): Promise<Minimum> {
  const { start, gradient, hessian, measured, floor, joint, tolerance } = problem;
  const { session, rows, cols } = start;
  const dot = (a: Matrix, b: Matrix): Matrix =>
    joint ? a.mul(b).sum().asMatrix() : a.mul(b).colSums();
  const none = zeros(session, rows, cols);
  const one = ones(session, 1, joint ? 1 : cols);
  const state: Record<string, Matrix> = {
    point: start,
    slope: none,
    direction: none,
    step: one,
    ending: one,
    flat: one,
  };
  for (let i = 0; i < MEMORY; i++) {
    Object.assign(state, { [`s${i}`]: none, [`u${i}`]: none, [`r${i}`]: one.mul(0) });
  }
  const bound = floor.div(tolerance ** 2);
  const scaled = (slope: Matrix): Matrix => {
    const own = slope.div(hessian);
    return joint ? own.sub(own.rowSums().div(cols)) : own;
  };

  const next = (now: LoopState) => {
    const { point, slope, direction, step, flat: known } = now as Record<string, Matrix>;
    const move = direction!.mul(step!);
    const trial = point!.add(move);
    const there = gradient(trial);
    const [before, after] = [dot(direction!, slope!), dot(direction!, there)];
    const taken = after.le(before.abs().mul(TURN));
    const reached = taken.ifelse(trial, point!);
    const newSlope = taken.ifelse(there, slope!);
    const change = taken.ifelse(there.sub(slope!), 0);
    const s = taken.ifelse(move, 0);
    const product = dot(s, change);
    const weight = product.gt(0).ifelse(product.recip(), 0);
    const pairs: Pair[] = [[s, change, weight]];
    for (let i = 0; i + 1 < MEMORY; i++) pairs.push([now[`s${i}`]!, now[`u${i}`]!, now[`r${i}`]!]);
    const ahead = taken.ifelse(newton(newSlope, pairs, scaled, dot).neg(), direction!);
    // Where the function is flatter than guessed, what is left is more than the step says.
    const seen = product.div(dot(s.square(), hessian));
    const flat = weight
      .gt(0)
      .ifelse(seen.minimum(known!.mul(2)), known!)
      .minimum(1);
    const size = dot(ahead.square(), hessian).div(flat.square());
    const whole = dot(reached.square().mul(measured), hessian).add(bound);
    const ending = size.div(whole).sqrt();
    const cut = before.div(before.sub(after)).maximum(0.1).minimum(0.5);
    const shorter = step!.mul(cut.isNaN().ifelse(0.1, cut));
    const stuck = shorter.lt(1e-12);
    const done = taken.and(ending.le(tolerance)).or(taken.not().and(stuck));
    const state: Record<string, Matrix> = {
      // The last step is known and small: taking it costs no gradient.
      point: taken.and(ending.le(tolerance)).ifelse(reached.add(ahead), reached),
      slope: newSlope,
      direction: ahead,
      step: taken.ifelse(1, shorter),
      ending,
      flat,
    };
    for (const [i, [a, b, c]] of pairs.entries()) {
      Object.assign(state, { [`s${i}`]: a, [`u${i}`]: b, [`r${i}`]: c });
    }
    return { state, done: done.min().asMatrix() };
  };
  const { point, ending } = await iterate(state, next, { maxIterations: problem.maxIterations });
  return { point: point!, ending: ending!.max().asMatrix() };
}

/** The product of the inverse Hessian, as the pairs (newest first) have it, with a gradient. */
function newton(
  gradient: Matrix,
  pairs: readonly Pair[],
  scaled: (slope: Matrix) => Matrix,
  dot: (a: Matrix, b: Matrix) => Matrix,
): Matrix {
  let q = gradient;
  const shares: Matrix[] = [];
  for (const [s, u, weight] of pairs) {
    const share = dot(s, q).mul(weight);
    shares.push(share);
    q = q.sub(u.mul(share));
  }
  let product = scaled(q);
  for (const [i, [s, u, weight]] of [...pairs.entries()].reverse()) {
    product = product.add(s.mul(shares[i]!.sub(dot(u, product).mul(weight))));
  }
  return product;
}
