/**
 * Elastic net by cyclic coordinate descent on sums of products: w that makes
 * |y - Xw|^2 / 2n + alpha ratio |w|_1 + alpha (1 - ratio) |w|^2 / 2 least, from X'X, X'y and y'y.
 *
 * inputs: X'X (d x d), X'y (d x 1), y'y (1x1), n (1x1), alpha (1x1), ratio (1x1, in 0..1),
 *         optionally the w to begin at (d x 1), else 0
 * attrs: maxSweeps; tolerance, the duality gap to end at, relative to y'y; or with `byMoves` the
 *        largest move of a coefficient in a sweep, relative to the largest coefficient
 * output: (d+1) x 1: w, and last the gap it ended with, relative to y'y
 *
 * Sweeps end as in scikit-learn 1.9 (`enet_coordinate_descent_gram`): the gap is looked at when no
 * coefficient moves by more than tolerance times the largest. A column without scatter keeps 0.
 * Source: Friedman, Hastie and Tibshirani, "Regularization paths for generalized linear models via
 * coordinate descent" (J. Stat. Softw. 2010).
 */
import type { Attrs } from '../ir/attrs.js';
import type { Meta } from '../ir/expr.js';
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { multiply, sample } from './product.js';
import { shapeError } from './shape-check.js';

/** Sums of products of n rows and penalties on them, all times n. */
export interface PenalisedSystem {
  /** d x d, row-major, both triangles. */
  readonly gram: Float64Array;
  readonly right: Float64Array;
  /** y'y */
  readonly target: number;
  readonly l1: number;
  readonly l2: number;
  /** The w to begin at; absent: 0. */
  readonly start?: Float64Array | undefined;
}

export interface DescentEnd {
  readonly maxSweeps: number;
  readonly tolerance: number;
  /** The tolerance is of moves and not of the gap. */
  readonly byMoves: boolean;
}

export interface DescentResult {
  readonly w: Float64Array;
  readonly gap: number;
}

export const coordinateDescent = defineOp({
  name: 'coordinateDescent',
  arity: { min: 6, max: 7 },
  infer: (inputs) => {
    const [a, b] = inputs;
    const numbers = inputs.slice(2, 6);
    const d = a!.rows;
    const isColumn = (one: Meta | undefined) =>
      one === undefined || (one.rows === d && one.cols === 1);
    const fits = a!.cols === d && isColumn(b) && isColumn(inputs[6]);
    if (!fits || numbers.some(({ rows, cols }) => rows !== 1 || cols !== 1)) {
      const wanted = "X'X d x d, X'y d x 1, four numbers and a start d x 1";
      throw shapeError('coordinateDescent', wanted, inputs);
    }
    return { rows: d + 1, cols: 1 };
  },
  // Some ten sweeps; nobody knows before.
  flops: ([a]) => 20 * a!.rows * a!.rows,
  reference: (inputs, attrs) => {
    return outputOf(textbookDescent(penalisedSystem(inputs), descentEnd(attrs)));
  },
  cases: [
    descentCase('lasso', 6, 0.1, 1),
    descentCase('elastic net', 7, 0.1, 0.5),
    descentCase('squares only', 4, 0.5, 0),
    descentCase('all coefficients 0', 5, 100, 0.7),
    descentCase('one column', 1, 0.01, 0.5),
    descentCase('ended by the number of sweeps', 6, 1e-4, 1, 3),
    startedCase(descentCase('from a start', 6, 0.1, 0.5)),
    startedCase(descentCase('from a start, ended by the number of sweeps', 6, 1e-4, 1, 3)),
    byMoves(descentCase('ended by moves', 6, 0.1, 0.5)),
  ],
});

export function penalisedSystem(inputs: readonly Float64Matrix[]): PenalisedSystem {
  const [gram, right, target, rows, alpha, ratio, start] = inputs.map(({ data }) => data);
  const sums = { gram: gram!, right: right!, target: target![0]!, start };
  return { ...sums, ...penaltiesOn(rows![0]!, alpha![0]!, ratio![0]!) };
}

export function penaltiesOn(rows: number, alpha: number, ratio: number) {
  return { l1: rows * alpha * ratio, l2: rows * alpha * (1 - ratio) };
}

export function descentEnd({ maxSweeps, tolerance, byMoves }: Attrs): DescentEnd {
  return {
    maxSweeps: maxSweeps as number,
    tolerance: tolerance as number,
    byMoves: byMoves === true,
  };
}

/** The w_j that is best while all others stay. @param rest X_j'(y - Xw) + X_j'X_j w_j */
export function bestCoefficient(rest: number, square: number, { l1, l2 }: PenalisedSystem): number {
  const size = Math.abs(rest) - l1;
  return size > 0 ? (Math.sign(rest) * size) / (square + l2) : 0;
}

/**
 * How far the loss of w is from the least there is, at most; relative to y'y. Without an L1 penalty
 * the dual is another one, and without any penalty the squared gradient takes the gap's place.
 * Source: scikit-learn's `gap_enet_gram`; Dünner et al. (ICML 2016) on primal-dual certificates.
 * @param products X'X w
 */
export function dualityGap(
  { right, target, l1, l2 }: PenalisedSystem,
  w: Float64Array,
  products: Float64Array,
): number {
  let [explained, own, absolute, squares, largest, gradient] = [0, 0, 0, 0, 0, 0];
  for (const [j, value] of w.entries()) {
    explained += value * right[j]!;
    own += value * products[j]!;
    absolute += Math.abs(value);
    squares += value * value;
    const slope = right[j]! - products[j]!;
    gradient += slope * slope;
    largest = Math.max(largest, Math.abs(slope - l2 * value));
  }
  if (target === 0) return 0;
  const residual = target + own - 2 * explained;
  const withTarget = target - explained;
  if (l1 === 0 && l2 === 0) return gradient / target;
  if (l1 === 0) return (residual + (l2 * squares + gradient / l2) / 2 - withTarget) / target;
  const scale = largest > l1 ? l1 / largest : 1;
  const penalised = residual + l2 * squares;
  return ((1 + scale * scale) * penalised * 0.5 + l1 * absolute - scale * withTarget) / target;
}

/** Every product made anew. */
export function textbookDescent(system: PenalisedSystem, end: DescentEnd): DescentResult {
  const d = system.right.length;
  const gram = dense(d, d, system.gram);
  const w = system.start?.slice() ?? new Float64Array(d);
  const gap = (): number => dualityGap(system, w, multiply(gram, dense(d, 1, w)).data);
  let reached = gap();
  let isStill = false;
  const isDone = () => (end.byMoves ? isStill : reached <= end.tolerance);
  for (let sweep = 1; !isDone() && sweep <= end.maxSweeps; sweep++) {
    let [largest, moved] = [0, 0];
    for (let j = 0; j < d; j++) {
      const square = gram.data[j * (d + 1)]!;
      if (square === 0) continue;
      let rest = system.right[j]!;
      for (let k = 0; k < d; k++) if (k !== j) rest -= gram.data[j * d + k]! * w[k]!;
      const next = bestCoefficient(rest, square, system);
      moved = Math.max(moved, Math.abs(next - w[j]!));
      largest = Math.max(largest, Math.abs(next));
      w[j] = next;
    }
    isStill = moved <= end.tolerance * largest;
    if (isStill || sweep === end.maxSweeps) reached = gap();
  }
  return { w, gap: reached };
}

/** The output: w, and last the gap. */
export function outputOf({ w, gap }: DescentResult): Float64Matrix {
  const out = new Float64Array(w.length + 1);
  out.set(w);
  out[w.length] = gap;
  return dense(w.length + 1, 1, out);
}

function descentCase(name: string, d: number, alpha: number, ratio: number, maxSweeps = 10_000) {
  const [X, y] = [sample(20, d), sample(20, 1, 3)];
  const numbers = [multiply(y, y, true), ...[20, alpha, ratio].map(number)];
  return {
    name,
    inputs: [multiply(X, X, true), multiply(X, y, true), ...numbers],
    attrs: { maxSweeps, tolerance: 1e-14 },
    tolerance: 1e-9,
  };
}

function startedCase(one: ReturnType<typeof descentCase>) {
  const d = one.inputs[1]!.rows;
  return { ...one, inputs: [...one.inputs, sample(d, 1, 5)] };
}

function byMoves(one: ReturnType<typeof descentCase>) {
  return { ...one, attrs: { ...one.attrs, byMoves: true } };
}

function number(value: number): Float64Matrix {
  return dense(1, 1, Float64Array.of(value));
}
