/** Chains of cell-by-cell steps over 8 KB of data, for passes that decide about them. */
import type { Matrix } from '../../driver/index.js';
import { type DenseMatrix, dense } from '../../driver/ir/value.js';

export const ROWS = 100;
export const COLS = 10;

export function data(seed = 1): DenseMatrix {
  const cells = Float64Array.from({ length: ROWS * COLS }, (_, i) => Math.sin(seed * (i + 1)));
  return dense(ROWS, COLS, cells);
}

/** steps x: v <- v * rate + x. */
export function chain(x: Matrix, steps: number, rate = 0.5): Matrix {
  let v = x;
  for (let step = 0; step < steps; step++) v = v.mul(rate + step / 100).add(x);
  return v;
}
