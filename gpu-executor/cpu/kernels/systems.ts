/**
 * Linear systems by LAPACK. Its factorisations report exact zeros only, so the pivots it leaves are
 * checked against the limits all backends share (`driver/operators/pivot.ts`): what is singular
 * does not depend on the backend.
 */

import type { DType } from '../../../driver/ir/dtype.js';
import {
  type Cells,
  cellsOf,
  type DenseMatrix,
  dense,
  dtypeOf,
  type Float64Matrix,
} from '../../../driver/ir/value.js';
import { cholesky } from '../../../driver/operators/cholesky.js';
import { eigen, inOrder } from '../../../driver/operators/eigen.js';
import { isNonzero, leastNorm, leastNormSolution } from '../../../driver/operators/least-norm.js';
import {
  isSingularPivot,
  notPositiveError,
  singularError,
} from '../../../driver/operators/pivot.js';
import { solve } from '../../../driver/operators/solve.js';
import type { Blas } from '../native/blas.js';
import type { Kernel, KernelCall } from './kernel.js';
import { Workspaces } from './workspaces.js';

/** The operands in the layout LAPACK takes, which it overwrites. */
interface System {
  readonly n: number;
  readonly sides: number;
  readonly factors: Cells;
  readonly columns: Cells;
  /** What each pivot is measured against, see `pivot.ts`. */
  readonly scales: Float64Array;
}

const workspaces = {
  float64: new Workspaces<Cells>((cells) => new Float64Array(cells)),
  float32: new Workspaces<Cells>((cells) => new Float32Array(cells)),
};
/** Long solves begun for each that can compute: the next is ready when one ends. */
const SOLVES_A_LANE = 2;

/** Holds the matrix of synchronous solves one by one, so that a thousand solves allocate one. */
let scratch: Cells = new Float64Array(0);

function scratchOf(cells: number, dtype: DType): Cells {
  if (scratch.length !== cells || dtypeOf(scratch) !== dtype) scratch = cellsOf(dtype, cells);
  return scratch;
}

/** @param factors n x n cells to work in */
function systemOf({ inputs, attrs }: KernelCall<Cells>, factors: Cells): System {
  const [a, b, d] = inputs as [DenseMatrix, DenseMatrix, DenseMatrix | undefined];
  const n = a.rows;
  const spd = attrs.assume === 'spd';
  if (spd) factors.set(a.data);
  else transposeInto(factors, a);
  if (d !== undefined)
    for (let i = 0; i < n; i++) factors[i * (n + 1)]! += d.data[d.rows === 1 ? 0 : i]!;
  const scales = spd ? diagonalOf(factors, n) : columnScales(factors, n);
  return { n, sides: b.cols, factors, columns: transposed(b), scales };
}

function diagonalOf(a: Cells, n: number): Float64Array {
  const diagonal = new Float64Array(n);
  for (let i = 0; i < n; i++) diagonal[i] = a[i * (n + 1)]!;
  return diagonal;
}

/** The largest size in each column of a column-major matrix. */
function columnScales(a: Cells, n: number): Float64Array {
  const scales = new Float64Array(n);
  for (let at = 0; at < n * n; at++) {
    const size = Math.abs(a[at]!);
    const j = Math.floor(at / n);
    if (!(size <= scales[j]!)) scales[j] = size;
  }
  return scales;
}

function transposed(x: DenseMatrix): Cells {
  if (x.rows === 1 || x.cols === 1) return x.data.slice();
  const out = cellsOf(x.dtype, x.rows * x.cols);
  transposeInto(out, x);
  return out;
}

function transposeInto(out: Cells, { rows, cols, data }: DenseMatrix): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) out[j * rows + i] = data[i * cols + j]!;
  }
}

function solutionOf(call: KernelCall<Cells>, system: System, info: number): DenseMatrix {
  const { n, sides, factors, columns, scales } = system;
  if (call.attrs.assume === 'spd') checkCholesky('solve', n, scales, factors, info);
  else checkLu(n, scales, factors, info);
  return dense(n, sides, sides === 1 ? columns : transposed(dense(sides, n, columns)));
}

/** @throws SingularError unless every pivot L[j,j]^2 stands clear of rounding */
export function checkCholesky(
  op: string,
  n: number,
  scales: Float64Array,
  factors: Cells,
  info: number,
): void {
  const good = info === 0 ? n : info - 1;
  const dtype = dtypeOf(factors);
  for (let j = 0; j < good; j++) {
    const pivot = factors[j * n + j]! ** 2;
    if (isSingularPivot(pivot, n, scales[j]!, dtype)) throw notPositiveError(op, j, pivot);
  }
  if (info !== 0) throw notPositiveError(op, info - 1, factors[(info - 1) * (n + 1)]!);
}

function checkLu(n: number, scales: Float64Array, factors: Cells, info: number): void {
  for (let j = 0; j < n; j++) {
    const pivot = factors[j * n + j]!;
    if (isSingularPivot(Math.abs(pivot), n, scales[j]!, dtypeOf(factors))) {
      throw singularError('solve', j, pivot);
    }
  }
  if (info !== 0) throw singularError('solve', info - 1, 0);
}

export const solveKernel: Kernel<Cells> = {
  op: solve,
  run: (call, { blas }) => {
    const system = systemOf(call, scratchOf(call.inputs[0]!.rows ** 2, call.out.dtype));
    const args = [system.n, system.sides, system.factors, system.columns] as const;
    const spd = call.attrs.assume === 'spd';
    return solutionOf(call, system, spd ? blas.solveSpd(...args) : blas.solveGeneral(...args));
  },
  runAsync: (call, { blas }) => {
    const cells = call.inputs[0]!.rows ** 2;
    const spaces = workspaces[call.out.dtype];
    return spaces.run(SOLVES_A_LANE * blas.lanes, cells, async (factors) => {
      const system = systemOf(call, factors);
      const args = [system.n, system.sides, system.factors, system.columns] as const;
      const info =
        call.attrs.assume === 'spd'
          ? await blas.solveSpdAsync(...args)
          : await blas.solveGeneralAsync(...args);
      return solutionOf(call, system, info);
    });
  },
};

function factorOf(a: DenseMatrix, factors: Cells, info: number): DenseMatrix {
  const n = a.rows;
  checkCholesky('cholesky', n, diagonalOf(a.data, n), factors, info);
  for (let i = 0; i < n; i++) factors.fill(0, i * n + i + 1, (i + 1) * n);
  return dense(n, n, factors);
}

export const choleskyKernel: Kernel<Cells> = {
  op: cholesky,
  run: ({ inputs: [a] }, { blas }) => {
    const factors = a!.data.slice();
    return factorOf(a!, factors, blas.cholesky(a!.rows, factors));
  },
  runAsync: async ({ inputs: [a] }, { blas }) => {
    const factors = a!.data.slice();
    return factorOf(a!, factors, await blas.choleskyAsync(a!.rows, factors));
  },
};

/** By Cholesky where every eigenvalue counts, to keep small columns' digits; else eigenvectors. */
function leastNormOf(
  call: KernelCall,
  blas: Blas,
  values: Float64Array,
  vectors: Float64Array,
): Float64Matrix {
  const [a, b] = call.inputs as [Float64Matrix, Float64Matrix];
  const tolerance = call.attrs.tolerance as number;
  if (isNonzero({ values, vectors }, tolerance).every(Boolean)) {
    const columns = transposed(b) as Float64Array;
    const info = blas.solveSpd(a.rows, b.cols, a.data.slice(), columns);
    if (info === 0) {
      const solution = transposed(dense(b.cols, a.rows, columns)) as Float64Array;
      return dense(a.rows, b.cols, solution);
    }
  }
  return leastNormSolution({ values, vectors }, b, tolerance);
}

export const leastNormKernel: Kernel = {
  op: leastNorm,
  run: (call, { blas }) => {
    const vectors = call.inputs[0]!.data.slice();
    return leastNormOf(call, blas, blas.eigen(call.inputs[0]!.rows, vectors), vectors);
  },
  runAsync: async (call, { blas }) => {
    const vectors = call.inputs[0]!.data.slice();
    const values = await blas.eigenAsync(call.inputs[0]!.rows, vectors);
    return leastNormOf(call, blas, values, vectors);
  },
};

/** What LAPACK takes; NaN throughout where a cell is none, of which it makes numbers. */
function eigenOperand(a: Float64Matrix): Float64Array {
  const cells = a.data.slice();
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j <= i; j++) {
      if (!Number.isFinite(cells[i * a.rows + j])) return cells.fill(Number.NaN);
    }
  }
  return cells;
}

export const eigenKernel: Kernel = {
  op: eigen,
  run: ({ inputs: [a] }, { blas }) => {
    const vectors = eigenOperand(a!);
    return inOrder({ values: blas.eigen(a!.rows, vectors), vectors });
  },
  runAsync: async ({ inputs: [a] }, { blas }) => {
    const vectors = eigenOperand(a!);
    return inOrder({ values: await blas.eigenAsync(a!.rows, vectors), vectors });
  },
};

export const systemKernels: readonly Kernel<Cells>[] = [solveKernel, choleskyKernel];
