/**
 * Limited memory BFGS from a diagonal first guess of the Hessian, one gradient an iteration: the
 * least point of a smooth convex function. It asks for gradients only, whatever makes them.
 *
 * Source: Nocedal and Wright, "Numerical Optimization" (2006), algorithm 7.4.
 */
import { type LoopState, type Matrix, ones, zeros } from '../../../driver/index.js';
import { type Ahead, descend, type Minimum, squared, type Trial } from './descent.js';

export interface SmoothProblem {
  /** [p, c] */
  readonly start: Matrix;
  /** [p, c] from [p, c]; a cell that is no number refuses the step. */
  readonly gradient: (point: Matrix) => Matrix;
  /** The same of fewer digits, cheaper, for the most of the way. */
  readonly rough?: (point: Matrix) => Matrix;
  /**
   * Squared size of a step by its rounding alone at a point of this squared size, both in the norm of
   * the Hessian, by column; absent where nothing is known of it. @shape [1, c] or [1, 1] -> [1, c]
   */
  readonly rounding?: (whole: Matrix) => Matrix;
  /** About the diagonal of the Hessian, positive: [p, c] or [p, 1]. */
  readonly hessian: Matrix;
  /** The same where the point is, [p, c], from the pass that gives the gradient: for fewer steps. */
  readonly hessianAt?: (point: Matrix) => Matrix;
  /** The product of a better guess of the inverse Hessian, in place of `hessian`. */
  readonly inverse?: (slope: Matrix) => Matrix;
  /** The point's squared size in the norm of the Hessian, where it is known: [1, 1] or [1, c]. */
  readonly whole?: Matrix;
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
  readonly tolerance: number | Matrix;
  readonly maxIterations: number;
  /** Pairs of steps and changes of the gradient that are kept. Default 6. */
  readonly memory?: number;
}

/** Of squared steps that end a descent, the share that rounding may be of them. */
const SURE = 1e-2;

type Pair = readonly [step: Matrix, change: Matrix, weight: Matrix];

export function minimise(problem: SmoothProblem): Promise<Minimum> {
  const {
    start,
    gradient,
    rough,
    rounding,
    hessianAt,
    memory: pairs = 6,
    measured,
    floor,
    joint,
    tolerance,
  } = problem;
  const { session, rows, cols } = start;
  const dot = (a: Matrix, b: Matrix): Matrix =>
    joint ? a.mul(b).sum().asMatrix() : a.mul(b).colSums();
  const none = zeros(session, rows, cols);
  const one = ones(session, 1, joint ? 1 : cols);
  const memory: Record<string, Matrix> = { flat: one };
  if (hessianAt !== undefined) memory.hessian = problem.hessian.add(none);
  for (let i = 0; i < pairs; i++) {
    Object.assign(memory, { [`s${i}`]: none, [`u${i}`]: none, [`r${i}`]: one.mul(0) });
  }
  const bound = floor.div(squared(tolerance));
  const scaledBy =
    (hessian: Matrix) =>
    (slope: Matrix): Matrix => {
      const own = problem.inverse?.(slope) ?? slope.div(hessian);
      return joint ? own.sub(own.rowSums().div(cols)) : own;
    };

  const wholeAt = (point: Matrix, hessian: Matrix): Matrix =>
    (problem.whole ?? dot(point.square().mul(measured), hessian)).add(bound);
  const isSureAt = (point: Matrix): Matrix => {
    const whole = wholeAt(point, problem.hessian);
    const own = rounding!(whole);
    return (joint ? own.sum() : own).le(whole.mul(squared(tolerance)).mul(SURE));
  };

  const ahead = ({ taken, point, slope, move, seen, before, memory }: Trial): Ahead => {
    const hessian = seen.diagonal ? taken.ifelse(seen.diagonal, memory.hessian!) : problem.hessian;
    const change = taken.ifelse(seen.slope.sub(before), 0);
    const s = taken.ifelse(move, 0);
    const product = dot(s, change);
    const weight = product.gt(0).ifelse(product.recip(), 0);
    const kept: Pair[] = [[s, change, weight], ...pairsOf(memory, pairs).slice(0, -1)];
    const scaled = scaledBy(hessian);
    const direction = newton(slope, kept, scaled, dot).neg();
    // Where the function is flatter than guessed, what is left is more than the step says.
    const curved = product.div(dot(s.square(), hessian));
    const known = memory.flat!;
    const flat = weight
      .gt(0)
      .ifelse(curved.minimum(known.mul(2)), known)
      .minimum(1);
    const decrement = dot(direction, slope).neg();
    // The direction by a better guess is as long as the function along the last step was flat.
    const size = problem.inverse ? decrement : decrement.div(flat);
    const whole = wholeAt(point, hessian);
    const own: Record<string, Matrix> = { flat, ...(hessianAt ? { hessian } : {}) };
    for (const [i, [a, b, c]] of kept.entries()) {
      Object.assign(own, { [`s${i}`]: a, [`u${i}`]: b, [`r${i}`]: c });
    }
    return { direction, ending: size.div(whole).sqrt(), memory: own };
  };
  return descend({
    ...{ start, one, memory, ahead, tolerance },
    pass: (point) => ({
      slope: gradient(point),
      ...(hessianAt ? { diagonal: hessianAt(point) } : {}),
    }),
    ...(rough ? { rough: (point) => ({ slope: rough(point) }) } : {}),
    ...(rounding ? { isSureAt } : {}),
    along: (slope, _, direction) => dot(direction, slope),
    maxIterations: problem.maxIterations,
  });
}

/** Newest first. */
function pairsOf(memory: LoopState, count: number): Pair[] {
  return Array.from({ length: count }, (_, i) => {
    return [memory[`s${i}`]!, memory[`u${i}`]!, memory[`r${i}`]!];
  });
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
  const [[, last, known]] = pairs as [Pair];
  // As much flatter than guessed as the last step was.
  const seen = known.mul(dot(last, scaled(last)));
  let product = scaled(q).div(seen.gt(0).ifelse(seen, 1));
  for (const [i, [s, u, weight]] of [...pairs.entries()].reverse()) {
    product = product.add(s.mul(shares[i]!.sub(dot(u, product).mul(weight))));
  }
  return product;
}
