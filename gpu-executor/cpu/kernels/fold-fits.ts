/** Fits on groups, each made and solved in one buffer; as many at once as its kind allows. */
import type { OpDef } from '../../../driver/ir/op-def.js';
import { type DescentResult, descentEnd } from '../../../driver/operators/coordinate-descent.js';
import { foldElasticNet, penalisedFold } from '../../../driver/operators/fold-elastic-net.js';
import { foldLeastNorm, putSolution } from '../../../driver/operators/fold-least-norm.js';
import { foldRidge, penalise } from '../../../driver/operators/fold-ridge.js';
import {
  type FoldSystem,
  foldSystem,
  foldWeights,
  mirror,
} from '../../../driver/operators/fold-system.js';
import type { Blas } from '../native/blas.js';
import { descend, runSteps, runStepsAsync } from './coordinate-descent.js';
import type { Kernel, KernelCall } from './kernel.js';
import { checkCholesky } from './systems.js';
import { Workspaces } from './workspaces.js';

/** Solves the system in place, at once or on the thread pool. Both return its last gap, if any. */
interface Solver {
  readonly run: () => number | undefined;
  readonly runAsync: () => Promise<number | undefined>;
}

/** @param numbers operands between the moments and the pairs */
function foldKernel(
  op: OpDef,
  numbers: number,
  limit: (blas: Blas) => number,
  solver: (system: FoldSystem, call: KernelCall, blas: Blas) => Solver,
): Kernel {
  const workspaces = new Workspaces((cells) => new Float64Array(cells));
  return {
    op,
    run: (call, { blas }) => {
      const system = foldSystem(call, numbers);
      return foldWeights(system, call.attrs, solver(system, call, blas).run());
    },
    runAsync: (call, { blas }) =>
      workspaces.run(limit(blas), (call.inputs[0]!.cols - 2) ** 2, async (buffer) => {
        const system = foldSystem(call, numbers, buffer);
        return foldWeights(system, call.attrs, await solver(system, call, blas).runAsync());
      }),
  };
}

function choleskySolver(system: FoldSystem, { inputs }: KernelCall, blas: Blas): Solver {
  const { n, matrix, right } = system;
  const diagonal = penalise(system, inputs[1]!.data[0]!);
  const check = (info: number): undefined => {
    checkCholesky('foldRidge', n, diagonal, matrix, info);
  };
  return {
    run: () => check(blas.solveSpd(n, 1, matrix, right)),
    runAsync: async () => check(await blas.solveSpdAsync(n, 1, matrix, right)),
  };
}

function eigenSolver(system: FoldSystem, call: KernelCall, blas: Blas): Solver {
  const vectors = system.matrix.subarray(0, system.n ** 2);
  const put = (values: Float64Array) => putSolution(system, { values, vectors }, call);
  return {
    run: () => put(blas.eigen(system.n, vectors)),
    runAsync: async () => put(await blas.eigenAsync(system.n, vectors)),
  };
}

function descentSolver(system: FoldSystem, call: KernelCall): Solver {
  mirror(system);
  const steps = descend(penalisedFold(system, call), descentEnd(call.attrs));
  const put = ({ w, gap }: DescentResult): number => {
    system.right.set(w);
    return gap;
  };
  return {
    run: () => put(runSteps(steps)),
    runAsync: async () => put(await runStepsAsync(steps)),
  };
}

export const foldKernels: readonly Kernel[] = [
  foldKernel(foldRidge, 1, ({ lanes }) => lanes, choleskySolver),
  // LAPACK takes two matrices more for eigenvectors.
  foldKernel(foldLeastNorm, 0, () => 1, eigenSolver),
  foldKernel(foldElasticNet, 2, () => 1, descentSolver),
];
