/**
 * `descentPath`: penalties of one ratio from the largest on, each begun at the solution before.
 * A sweep of coordinate descent finds which coefficients are to be other than 0; their values are a
 * system of equations of them alone, solved by Cholesky, for which correlated columns would take
 * many sweeps. Source of the second: Osborne, Presnell and Turlach, "A new approach to variable
 * selection in least squares problems" (IMA J. Numer. Anal. 2000).
 */

import { dense, type Float64Matrix } from '../../../driver/ir/value.js';
import { descentEnd, penaltiesOn } from '../../../driver/operators/coordinate-descent.js';
import { descentPath } from '../../../driver/operators/descent-path.js';
import {
  type DescentSums,
  runSteps,
  runStepsAsync,
  type Steps,
  Sweeps,
} from './coordinate-descent.js';
import type { Kernel, KernelCall } from './kernel.js';

/** Sweeps that a factorisation may cost. */
const WORTH_SWEEPS = 20;
/** Sweeps after a system without a solution, before the next. */
const PATIENCE = 5;

/** Solutions for one system, penalty after penalty. */
class PathDescent {
  readonly #sums: DescentSums;
  readonly #sweeps: Sweeps;
  /** Where w is not 0, the factor of its system and the solution. */
  readonly #active: Int32Array;
  readonly #factor: Float64Array;
  readonly #solved: Float64Array;

  constructor(sums: DescentSums) {
    const d = sums.right.length;
    this.#sums = sums;
    this.#sweeps = new Sweeps(sums);
    this.#active = new Int32Array(d);
    this.#factor = new Float64Array(d * d);
    this.#solved = new Float64Array(d);
  }

  get w(): Float64Array {
    return this.#sweeps.w;
  }

  /** @returns the gap */
  descend(l1: number, l2: number, tolerance: number, maxSweeps: number): number {
    const sweeps = this.#sweeps;
    let gap = sweeps.gap(l1, l2);
    let wait = 0;
    for (let sweep = 1; gap > tolerance && sweep <= maxSweeps; sweep++) {
      const isStill = sweeps.sweep(l1, l2, tolerance);
      const isSolved = --wait < 0 && this.#solve(l1, l2);
      if (!isSolved && wait < 0) wait = PATIENCE;
      if (isSolved || isStill || sweep === maxSweeps) gap = sweeps.gap(l1, l2);
    }
    return gap;
  }

  /**
   * Goes to the least among coefficients that are not 0, of the signs they have: as far as no sign
   * changes; a coefficient that is 0 there leaves, and the others go on. Each step lowers the loss.
   * @returns false where the system has no solution, or would cost more than it is worth
   */
  #solve(l1: number, l2: number): boolean {
    const { gram, right } = this.#sums;
    const [w, active, solved] = [this.w, this.#active, this.#solved];
    const d = w.length;
    let n = 0;
    for (let j = 0; j < d; j++) if (w[j] !== 0) active[n++] = j;
    if (n * n > 6 * WORTH_SWEEPS * d) return false;
    if (!factorise(gram, d, active, n, l2, this.#factor)) return false;
    while (n > 0) {
      for (let a = 0; a < n; a++) solved[a] = right[active[a]!]! - l1 * Math.sign(w[active[a]!]!);
      substitute(this.#factor, d, n, solved);
      let share = 1;
      let leaving = -1;
      for (let a = 0; a < n; a++) {
        const before = w[active[a]!]!;
        if (solved[a]! * before > 0) continue;
        const room = before / (before - solved[a]!);
        if (room < share || leaving < 0) [share, leaving] = [room, a];
      }
      for (let a = 0; a < n; a++) {
        const j = active[a]!;
        w[j]! += share * (solved[a]! - w[j]!);
      }
      if (leaving < 0) break;
      w[active[leaving]!] = 0;
      remove(this.#factor, d, n, leaving);
      active.copyWithin(leaving, leaving + 1, n);
      n--;
    }
    this.#sweeps.refresh(active.subarray(0, n));
    return true;
  }
}

/** L of A + l2 I for the n chosen rows and columns; false where it is not positive definite. */
function factorise(
  gram: Float64Array,
  d: number,
  active: Int32Array,
  n: number,
  l2: number,
  out: Float64Array,
): boolean {
  for (let i = 0; i < n; i++) {
    const own = active[i]! * d;
    const row = i * d;
    for (let j = 0; j < i; j++) {
      const other = j * d;
      let sum = gram[own + active[j]!]!;
      for (let k = 0; k < j; k++) sum -= out[row + k]! * out[other + k]!;
      out[row + j] = sum / out[other + j]!;
    }
    const square = gram[own + active[i]!]! + l2;
    let sum = square;
    for (let k = 0; k < i; k++) sum -= out[row + k]! ** 2;
    if (!(sum > square * 1e-12)) return false;
    out[row + i] = Math.sqrt(sum);
  }
  return true;
}

/** The factor without row and column `at`, by rotations. */
function remove(factor: Float64Array, d: number, n: number, at: number): void {
  factor.copyWithin(at * d, (at + 1) * d, n * d);
  for (let k = at; k < n - 1; k++) {
    const place = k * d + k;
    const size = Math.hypot(factor[place]!, factor[place + 1]!);
    const [cos, sin] = [factor[place]! / size, factor[place + 1]! / size];
    for (let i = k; i < n - 1; i++) {
      const [x, y] = [factor[i * d + k]!, factor[i * d + k + 1]!];
      factor[i * d + k] = cos * x + sin * y;
      factor[i * d + k + 1] = cos * y - sin * x;
    }
  }
}

/** b becomes the x with L L' x = b. */
function substitute(factor: Float64Array, d: number, n: number, b: Float64Array): void {
  for (let i = 0; i < n; i++) {
    let sum = b[i]!;
    for (let k = 0; k < i; k++) sum -= factor[i * d + k]! * b[k]!;
    b[i] = sum / factor[i * d + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    const value = b[i]! / factor[i * d + i]!;
    b[i] = value;
    for (let k = 0; k < i; k++) b[k]! -= factor[i * d + k]! * value;
  }
}

/** Turns the loop between penalties. */
function* paths({ inputs, attrs }: KernelCall): Steps<Float64Matrix> {
  const [gram, right, square, rows, penalties] = inputs.map(({ data }) => data as Float64Array);
  const m = penalties!.length / 2;
  const d = right!.length;
  const [alphas, ratios] = [penalties!.subarray(0, m), penalties!.subarray(m)];
  const order = Array.from(alphas, (_, k) => k);
  order.sort((a, b) => ratios[a]! - ratios[b]! || alphas[b]! - alphas[a]! || a - b);
  const { tolerance, maxSweeps } = descentEnd(attrs);
  const out = new Float64Array((d + 1) * m);
  let descent: PathDescent | undefined;
  for (const [i, k] of order.entries()) {
    if (descent === undefined || ratios[k] !== ratios[order[i - 1]!]) {
      descent = new PathDescent({ gram: gram!, right: right!, target: square![0]! });
    }
    const { l1, l2 } = penaltiesOn(rows![0]!, alphas[k]!, ratios[k]!);
    const gap = descent.descend(l1, l2, tolerance, maxSweeps);
    for (let j = 0; j < d; j++) out[j * m + k] = descent.w[j]!;
    out[d * m + k] = gap;
    yield;
  }
  return dense(d + 1, m, out);
}

export const descentPathKernel: Kernel = {
  op: descentPath,
  run: (call) => runSteps(paths(call)),
  runAsync: (call) => runStepsAsync(paths(call)),
};
