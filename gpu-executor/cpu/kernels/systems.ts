/**
 * Linear systems by LAPACK. Its factorisations report exact zeros only, so the pivots it leaves are checked against
 * the limits all backends share (`driver/operators/pivot.ts`): what is singular does not depend on the backend.
 */
import { cholesky } from '../../../driver/operators/cholesky.js';
import {
  isSingularPivot,
  notPositiveError,
  singularError,
} from '../../../driver/operators/pivot.js';
import { solve } from '../../../driver/operators/solve.js';
import { type DenseMatrix, dense } from '../../../driver/runtime/value.js';
import type { Kernel, KernelCall } from './kernel.js';

/** The operands in the layout LAPACK takes, which it overwrites. */
interface System {
  readonly n: number;
  readonly sides: number;
  readonly factors: Float64Array;
  readonly columns: Float64Array;
}

function systemOf({ inputs, attrs }: KernelCall): System {
  const [a, b] = inputs as [DenseMatrix, DenseMatrix];
  const factors = attrs.assume === 'spd' ? Float64Array.from(a.data) : transposed(a);
  return { n: a.rows, sides: b.cols, factors, columns: transposed(b) };
}

function transposed({ rows, cols, data }: DenseMatrix): Float64Array {
  if (rows === 1 || cols === 1) return Float64Array.from(data);
  const out = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) out[j * rows + i] = data[i * cols + j]!;
  }
  return out;
}

function solutionOf(call: KernelCall, system: System, info: number): DenseMatrix {
  const { n, sides, factors, columns } = system;
  if (call.attrs.assume === 'spd') checkCholesky('solve', call.inputs[0]!, factors, info);
  else checkLu(call.inputs[0]!, factors, info);
  return dense(n, sides, transposed(dense(sides, n, columns)));
}

/** @throws SingularError unless every pivot L[j,j]^2 stands clear of rounding */
function checkCholesky(op: string, a: DenseMatrix, factors: Float64Array, info: number): void {
  const n = a.rows;
  const good = info === 0 ? n : info - 1;
  for (let j = 0; j < good; j++) {
    const pivot = factors[j * n + j]! ** 2;
    if (isSingularPivot(pivot, n, a.data[j * n + j]!)) throw notPositiveError(op, j, pivot);
  }
  if (info !== 0) throw notPositiveError(op, info - 1, factors[(info - 1) * (n + 1)]!);
}

function checkLu(a: DenseMatrix, factors: Float64Array, info: number): void {
  const n = a.rows;
  const scales = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const size = Math.abs(a.data[i * n + j]!);
      if (!(size <= scales[j]!)) scales[j] = size;
    }
  }
  for (let j = 0; j < n; j++) {
    const pivot = factors[j * n + j]!;
    if (isSingularPivot(Math.abs(pivot), n, scales[j]!)) throw singularError('solve', j, pivot);
  }
  if (info !== 0) throw singularError('solve', info - 1, 0);
}

const solveKernel: Kernel = {
  op: solve,
  run: (call, { blas }) => {
    const system = systemOf(call);
    const args = [system.n, system.sides, system.factors, system.columns] as const;
    const spd = call.attrs.assume === 'spd';
    return solutionOf(call, system, spd ? blas.solveSpd(...args) : blas.solveGeneral(...args));
  },
  runAsync: async (call, { blas }) => {
    const system = systemOf(call);
    const args = [system.n, system.sides, system.factors, system.columns] as const;
    const info =
      call.attrs.assume === 'spd'
        ? await blas.solveSpdAsync(...args)
        : await blas.solveGeneralAsync(...args);
    return solutionOf(call, system, info);
  },
};

function factorOf(a: DenseMatrix, factors: Float64Array, info: number): DenseMatrix {
  const n = a.rows;
  checkCholesky('cholesky', a, factors, info);
  for (let i = 0; i < n; i++) factors.fill(0, i * n + i + 1, (i + 1) * n);
  return dense(n, n, factors);
}

const choleskyKernel: Kernel = {
  op: cholesky,
  run: ({ inputs: [a] }, { blas }) => {
    const factors = Float64Array.from(a!.data);
    return factorOf(a!, factors, blas.cholesky(a!.rows, factors));
  },
  runAsync: async ({ inputs: [a] }, { blas }) => {
    const factors = Float64Array.from(a!.data);
    return factorOf(a!, factors, await blas.choleskyAsync(a!.rows, factors));
  },
};

export const systemKernels: readonly Kernel[] = [solveKernel, choleskyKernel];
