/**
 * X with A %*% X = B, or (A + diag(d)) %*% X = B with a third operand d (n x 1, or 1x1 for d * I).
 * attrs (optional): assume 'general' (LU with partial pivoting, the default) or 'spd' (Cholesky: A
 * symmetric positive definite, only its lower triangle is read; half the work).
 * @throws SingularError naming the first pivot that is too small (see `pivot.ts`)
 */

import { noAttrs } from '../ir/attrs.js';
import type { DType } from '../ir/dtype.js';
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { addDiag } from './add-diag.js';
import { choleskyFactor, sampleSpd } from './cholesky.js';
import { isSingularPivot, singularError } from './pivot.js';
import { sample } from './product.js';
import { choiceAttr, shapeError } from './shape-check.js';

export const solve = defineOp({
  name: 'solve',
  arity: { min: 2, max: 3 },
  work: 'factorise',
  infer: (inputs, attrs) => {
    const [a, b, d] = inputs;
    if (a!.rows !== a!.cols || b!.rows !== a!.rows) {
      throw shapeError('solve', 'A n x n and B with n rows', inputs);
    }
    if (d !== undefined && (d.cols !== 1 || (d.rows !== 1 && d.rows !== a!.rows))) {
      throw shapeError(
        'solve',
        'a diagonal of one column with a row a row of A, or one cell',
        inputs,
      );
    }
    if (attrs.assume !== undefined) choiceAttr('solve', attrs, 'assume', ['general', 'spd']);
    return { rows: b!.rows, cols: b!.cols };
  },
  flops: (inputs, attrs) => {
    const n = inputs[0]!.rows;
    return (attrs.assume === 'spd' ? 1 / 3 : 2 / 3) * n ** 3 + 2 * n * n * inputs[1]!.cols;
  },
  batch: ({ one, operands: [a, b, d], maker, columns }) => {
    if (a!.layout !== 'shared' || (d !== undefined && d.layout !== 'shared')) return undefined;
    const inputs = [a!.expr, columns(b!), ...(d === undefined ? [] : [d.expr])];
    return { layout: 'columns', expr: maker.intern(one.op, inputs, one.attrs) };
  },
  reference: ([a, b, d], attrs, out) => {
    const system = d === undefined ? a! : addDiag.reference([a!, d], noAttrs, out);
    const solveBy = attrs.assume === 'spd' ? solveSpd : solveGeneral;
    return solveBy(system, b!, out.dtype);
  },
  cases: [
    { name: 'general', inputs: [sample(6, 6, 7), sample(6, 2, 2)], tolerance: 1e-9 },
    {
      name: 'needs a row exchange',
      inputs: [dense(2, 2, Float64Array.of(0, 1, 1, 0)), sample(2, 1)],
    },
    {
      name: 'positive definite, several right-hand sides',
      inputs: [sampleSpd(7), sample(7, 3, 2)],
      attrs: { assume: 'spd' },
    },
    { name: 'positive definite by LU', inputs: [sampleSpd(5), sample(5, 1, 2)] },
    { name: '1x1', inputs: [dense(1, 1, Float64Array.of(4)), sample(1, 3)] },
    {
      name: 'penalised by a scalar',
      inputs: [sampleSpd(6), sample(6, 2), dense(1, 1, Float64Array.of(0.5))],
      attrs: { assume: 'spd' },
    },
    { name: 'penalised by a column', inputs: [sample(5, 5), sample(5, 1), sample(5, 1, 3)] },
    { name: '1x1 positive', inputs: [sampleSpd(1), sample(1, 1)], attrs: { assume: 'spd' } },
  ],
});

function solveSpd(a: Float64Matrix, b: Float64Matrix, dtype?: DType): Float64Matrix {
  const n = a.rows;
  const { cols } = b;
  const l = choleskyFactor('solve', a, dtype).data;
  const x = b.data.slice();
  for (let c = 0; c < cols; c++) {
    for (let i = 0; i < n; i++) {
      let rest = x[i * cols + c]!;
      for (let k = 0; k < i; k++) rest -= l[i * n + k]! * x[k * cols + c]!;
      x[i * cols + c] = rest / l[i * n + i]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      let rest = x[i * cols + c]!;
      for (let k = i + 1; k < n; k++) rest -= l[k * n + i]! * x[k * cols + c]!;
      x[i * cols + c] = rest / l[i * n + i]!;
    }
  }
  return dense(n, cols, x);
}

/** Gaussian elimination with partial pivoting on [A B]; Golub and Van Loan, 3.4. */
function solveGeneral(a: Float64Matrix, b: Float64Matrix, dtype?: DType): Float64Matrix {
  const n = a.rows;
  const { cols } = b;
  const lu = a.data.slice();
  const x = b.data.slice();
  const scales = new Float64Array(n);
  for (let i = 0; i < n * n; i++) scales[i % n] = Math.max(scales[i % n]!, Math.abs(lu[i]!));
  for (let j = 0; j < n; j++) {
    let pivotRow = j;
    for (let i = j + 1; i < n; i++) {
      if (Math.abs(lu[i * n + j]!) > Math.abs(lu[pivotRow * n + j]!)) pivotRow = i;
    }
    const pivot = lu[pivotRow * n + j]!;
    if (isSingularPivot(Math.abs(pivot), n, scales[j]!, dtype)) {
      throw singularError('solve', j, pivot);
    }
    if (pivotRow !== j) {
      swapRows(lu, n, j, pivotRow);
      swapRows(x, cols, j, pivotRow);
    }
    for (let i = j + 1; i < n; i++) {
      const factor = lu[i * n + j]! / pivot;
      if (factor === 0) continue;
      for (let k = j + 1; k < n; k++) lu[i * n + k]! -= factor * lu[j * n + k]!;
      for (let c = 0; c < cols; c++) x[i * cols + c]! -= factor * x[j * cols + c]!;
    }
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let c = 0; c < cols; c++) {
      let rest = x[i * cols + c]!;
      for (let k = i + 1; k < n; k++) rest -= lu[i * n + k]! * x[k * cols + c]!;
      x[i * cols + c] = rest / lu[i * n + i]!;
    }
  }
  return dense(n, cols, x);
}

function swapRows(cells: Float64Array, cols: number, a: number, b: number): void {
  const kept = cells.slice(a * cols, (a + 1) * cols);
  cells.copyWithin(a * cols, b * cols, (b + 1) * cols);
  cells.set(kept, b * cols);
}
