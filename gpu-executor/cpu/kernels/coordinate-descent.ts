/**
 * `coordinateDescent`: X'X w is kept and changed by one row when a coefficient moves, so that a
 * coefficient that stays 0 costs a comparison. Also what other descents are made of: the sweep, and
 * steps between which long work lets the event loop turn.
 */
import {
  coordinateDescent,
  type DescentEnd,
  type DescentResult,
  descentEnd,
  dualityGap,
  outputOf,
  type PenalisedSystem,
  penalisedSystem,
} from '../../../driver/operators/coordinate-descent.js';
import type { Kernel, KernelCall } from './kernel.js';

/** How long steps may hold up the event loop. */
const TURN_MS = 20;

/** Work by steps. */
export type Steps<T> = Generator<void, T>;

export function runSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

export async function runStepsAsync<T>(steps: Steps<T>): Promise<T> {
  for (let since = performance.now(); ; ) {
    const { done, value } = steps.next();
    if (done) return value;
    if (performance.now() - since < TURN_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    since = performance.now();
  }
}

/** Sums of products that coefficients are found from. */
export type DescentSums = Pick<PenalisedSystem, 'gram' | 'right' | 'target' | 'start'>;

export class Sweeps {
  readonly w: Float64Array;
  /** X'X w */
  readonly products: Float64Array;
  readonly #sums: DescentSums;

  constructor(sums: DescentSums) {
    const d = sums.right.length;
    this.#sums = sums;
    this.w = sums.start?.slice() ?? new Float64Array(d);
    this.products = new Float64Array(d);
    for (let j = 0; j < d; j++) if (this.w[j] !== 0) this.#move(j, this.w[j]!);
  }

  gap(l1: number, l2: number): number {
    return dualityGap({ ...this.#sums, l1, l2 }, this.w, this.products);
  }

  /** @returns whether no coefficient moved by more than the tolerance times the largest */
  sweep(l1: number, l2: number, tolerance: number): boolean {
    const { gram, right } = this.#sums;
    const { w, products } = this;
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
      this.#move(j, step);
    }
    return moved <= tolerance * largest;
  }

  /** X'X w anew, where only these coefficients are not 0. */
  refresh(active: Int32Array): void {
    this.products.fill(0);
    for (const j of active) this.#move(j, this.w[j]!);
  }

  /** Adds what a coefficient that moves adds to the products, four cells a turn. */
  #move(j: number, step: number): void {
    const { gram } = this.#sums;
    const { products } = this;
    const d = products.length;
    const row = j * d;
    let k = 0;
    for (; k + 4 <= d; k += 4) {
      products[k]! += step * gram[row + k]!;
      products[k + 1]! += step * gram[row + k + 1]!;
      products[k + 2]! += step * gram[row + k + 2]!;
      products[k + 3]! += step * gram[row + k + 3]!;
    }
    for (; k < d; k++) products[k]! += step * gram[row + k]!;
  }
}

export function* descend(system: PenalisedSystem, end: DescentEnd): Steps<DescentResult> {
  const { l1, l2 } = system;
  const { tolerance, byMoves, maxSweeps } = end;
  const sweeps = new Sweeps(system);
  let gap = sweeps.gap(l1, l2);
  let isStill = false;
  for (let sweep = 1; sweep <= maxSweeps && !(byMoves ? isStill : gap <= tolerance); sweep++) {
    isStill = sweeps.sweep(l1, l2, tolerance);
    if (isStill || sweep === maxSweeps) gap = sweeps.gap(l1, l2);
    yield;
  }
  return { w: sweeps.w, gap };
}

const descentOf = ({ inputs, attrs }: KernelCall): Steps<DescentResult> =>
  descend(penalisedSystem(inputs), descentEnd(attrs));

export const coordinateDescentKernel: Kernel = {
  op: coordinateDescent,
  run: (call) => outputOf(runSteps(descentOf(call))),
  runAsync: async (call) => outputOf(await runStepsAsync(descentOf(call))),
};
