/**
 * `coordinateDescent`: X'X w is kept and changed by one row when a coefficient moves, so that a
 * coefficient that stays 0 costs a comparison. Long descents let the event loop turn.
 */
import {
  bestCoefficient,
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

/** How long a descent may hold up the event loop. */
const TURN_MS = 20;

export class Descent {
  readonly #w: Float64Array;
  readonly #products: Float64Array;
  #gap: number;
  #sweeps = 0;
  #isStill = false;

  readonly #system: PenalisedSystem;
  readonly #end: DescentEnd;

  constructor(system: PenalisedSystem, end: DescentEnd) {
    this.#system = system;
    this.#end = end;
    const d = system.right.length;
    this.#w = system.start?.slice() ?? new Float64Array(d);
    this.#products = new Float64Array(d);
    for (const [j, value] of this.#w.entries()) if (value !== 0) this.#move(j, value);
    this.#gap = dualityGap(system, this.#w, this.#products);
  }

  run(): DescentResult {
    while (!this.#isDone()) this.#sweep();
    return { w: this.#w, gap: this.#gap };
  }

  async runAsync(): Promise<DescentResult> {
    let since = performance.now();
    while (!this.#isDone()) {
      this.#sweep();
      if (performance.now() - since < TURN_MS) continue;
      await new Promise((resolve) => setImmediate(resolve));
      since = performance.now();
    }
    return this.run();
  }

  /** Adds what a coefficient that moves adds to the products. */
  #move(j: number, step: number): void {
    const { gram } = this.#system;
    const products = this.#products;
    const d = products.length;
    const row = j * d;
    for (let k = 0; k < d; k++) products[k]! += step * gram[row + k]!;
  }

  #isDone(): boolean {
    const { tolerance, byMoves, maxSweeps } = this.#end;
    const isReached = byMoves ? this.#isStill : this.#gap <= tolerance;
    return isReached || this.#sweeps === maxSweeps;
  }

  #sweep(): void {
    const { gram, right } = this.#system;
    const [w, products] = [this.#w, this.#products];
    const d = w.length;
    let [largest, moved] = [0, 0];
    for (let j = 0; j < d; j++) {
      const square = gram[j * (d + 1)]!;
      if (square === 0) continue;
      const before = w[j]!;
      const rest = right[j]! - products[j]! + square * before;
      const next = bestCoefficient(rest, square, this.#system);
      largest = Math.max(largest, Math.abs(next));
      if (next === before) continue;
      const step = next - before;
      moved = Math.max(moved, Math.abs(step));
      w[j] = next;
      this.#move(j, step);
    }
    this.#sweeps++;
    const { tolerance, maxSweeps } = this.#end;
    this.#isStill = moved <= tolerance * largest;
    if (this.#isStill || this.#sweeps === maxSweeps) {
      this.#gap = dualityGap(this.#system, w, products);
    }
  }
}

const descentOf = ({ inputs, attrs }: KernelCall): Descent =>
  new Descent(penalisedSystem(inputs), descentEnd(attrs));

export const coordinateDescentKernel: Kernel = {
  op: coordinateDescent,
  run: (call) => outputOf(descentOf(call).run()),
  runAsync: async (call) => outputOf(await descentOf(call).runAsync()),
};
