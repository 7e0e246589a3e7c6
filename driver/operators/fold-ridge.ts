/** Ridge on groups: min |y - Xw - b|^2 + lambda |w|^2. Number: lambda (`fold-system.ts`). */
import { dense } from '../ir/value.js';
import { defineFoldFit, type FoldSystem } from './fold-system.js';
import { choleskyFactor } from './linear-systems.js';

export const foldRidge = defineFoldFit({
  name: 'foldRidge',
  work: 'factorise',
  numbers: [0.5],
  flops: (n) => n ** 3 / 3,
  solve: (system, { inputs }) => {
    const { n, matrix, right } = system;
    penalise(system, inputs[1]!.data[0]!);
    const l = choleskyFactor('foldRidge', dense(n, n, matrix.slice(0, n * n))).data;
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < i; k++) right[i]! -= l[i * n + k]! * right[k]!;
      right[i]! /= l[i * n + i]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      for (let k = i + 1; k < n; k++) right[i]! -= l[k * n + i]! * right[k]!;
      right[i]! /= l[i * n + i]!;
    }
    return undefined;
  },
});

/** Adds the penalty to the diagonal. @returns the diagonal, which pivots are measured against */
export function penalise({ n, matrix }: FoldSystem, lambda: number): Float64Array {
  return Float64Array.from({ length: n }, (_, a) => {
    matrix[a * (n + 1)]! += lambda;
    return matrix[a * (n + 1)]!;
  });
}
