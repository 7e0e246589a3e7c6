/**
 * `descentPath`: penalties of one ratio from the largest on, each begun at the solution before.
 * A sweep of coordinate descent finds which coefficients are to be other than 0; their values are a
 * system of equations of them alone, solved by Cholesky, for which correlated columns would take
 * many sweeps. Source of the second: Osborne, Presnell and Turlach, "A new approach to variable
 * selection in least squares problems" (IMA J. Numer. Anal. 2000).
 */

import { dense, type Float64Matrix } from '../../../driver/ir/value.js';
import {
  descentEnd,
  dualityGap,
  type PenalisedSystem,
  penaltiesOn,
} from '../../../driver/operators/coordinate-descent.js';
import { descentPath } from '../../../driver/operators/descent-path.js';
import type { Kernel, KernelCall } from './kernel.js';

/** How long a path may hold up the event loop. */
const TURN_MS = 20;
/** Sweeps that a factorisation may cost. */
const WORTH_SWEEPS = 20;
/** Sweeps after a system without a solution, before the next. */
const PATIENCE = 5;

type Sums = Pick<PenalisedSystem, 'gram' | 'right' | 'target'>;

/** Solutions for one system, penalty after penalty. */
class PathDescent {
  readonly w: Float64Array;
  readonly #sums: Sums;
  /** X'X w */
  readonly #products: Float64Array;
  /** Where w is not 0, the factor of its system and the solution. */
  readonly #active: Int32Array;
  readonly #factor: Float64Array;
  readonly #solved: Float64Array;

  constructor(sums: Sums) {
    const d = sums.right.length;
    this.#sums = sums;
    this.w = new Float64Array(d);
    this.#products = new Float64Array(d);
    this.#active = new Int32Array(d);
    this.#factor = new Float64Array(d * d);
    this.#solved = new Float64Array(d);
  }

  /** @returns the gap */
  descend(l1: number, l2: number, tolerance: number, maxSweeps: number): number {
    const system = { ...this.#sums, l1, l2 };
    let gap = dualityGap(system, this.w, this.#products);
    let wait = 0;
    for (let sweep = 1; gap > tolerance && sweep <= maxSweeps; sweep++) {
      const isStill = this.#sweep(l1, l2, tolerance);
      const isSolved = --wait < 0 && this.#solve(l1, l2);
      if (!isSolved && wait < 0) wait = PATIENCE;
      if (isSolved || isStill || sweep === maxSweeps) {
        gap = dualityGap(system, this.w, this.#products);
      }
    }
    return gap;
  }

  /** @returns whether no coefficient moved by more than the tolerance times the largest */
  #sweep(l1: number, l2: number, tolerance: number): boolean {
    const { gram, right } = this.#sums;
    const [w, products] = [this.w, this.#products];
    const d = w.length;
    let [largest, moved] = [0, 0];
    for (let j = 0; j < d; j++) {
      const square = gram[j * (d + 1)]!;
      if (square === 0) continue;
      const before = w[j]!;
      const rest = right[j]! - products[j]! + square * before;
      const size = Math.abs(rest) - l1;
      const next = size > 0 ? (rest > 0 ? size : -size) / (square + l2) : 0;
      if (Math.abs(next) > largest) largest = Math.abs(next);
      if (next === before) continue;
      const step = next - before;
      if (Math.abs(step) > moved) moved = Math.abs(step);
      w[j] = next;
      addTo(products, gram, j * d, step);
    }
    return moved <= tolerance * largest;
  }

  /**
   * Goes to the least among coefficients that are not 0, of the signs they have: as far as no sign
   * changes; a coefficient that is 0 there leaves, and the others go on. Each step lowers the loss.
   * @returns false where the system has no solution, or would cost more than it is worth
   */
  #solve(l1: number, l2: number): boolean {
    const { gram, right } = this.#sums;
    const [w, active, solved, products] = [this.w, this.#active, this.#solved, this.#products];
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
    products.fill(0);
    for (let a = 0; a < n; a++) addTo(products, gram, active[a]! * d, w[active[a]!]!);
    return true;
  }
}

/** to += factor * row, four cells a turn. */
function addTo(to: Float64Array, rows: Float64Array, from: number, factor: number): void {
  const d = to.length;
  let k = 0;
  for (; k + 4 <= d; k += 4) {
    to[k]! += factor * rows[from + k]!;
    to[k + 1]! += factor * rows[from + k + 1]!;
    to[k + 2]! += factor * rows[from + k + 2]!;
    to[k + 3]! += factor * rows[from + k + 3]!;
  }
  for (; k < d; k++) to[k]! += factor * rows[from + k]!;
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
function* paths({ inputs, attrs }: KernelCall): Generator<void, Float64Matrix> {
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
  run: (call) => {
    const steps = paths(call);
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
    }
  },
  runAsync: async (call) => {
    const steps = paths(call);
    let since = performance.now();
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      if (performance.now() - since < TURN_MS) continue;
      await new Promise((resolve) => setImmediate(resolve));
      since = performance.now();
    }
  },
};
