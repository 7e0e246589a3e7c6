/** `foldRidge`: the system is made in one buffer and solved in it by LAPACK; as many at a time as there are lanes. */
import { foldRidge, penalise } from '../../../driver/operators/fold-ridge.js';
import { foldSystem, foldWeights } from '../../../driver/operators/fold-system.js';
import type { Kernel, KernelCall } from './kernel.js';
import { checkCholesky } from './systems.js';
import { Workspaces } from './workspaces.js';

const workspaces = new Workspaces((cells) => new Float64Array(cells));

function systemOf(call: KernelCall, buffer?: Float64Array) {
  const system = foldSystem(call, 1, buffer);
  return { ...system, system, diagonal: penalise(system, call.inputs[1]!.data[0]!) };
}

export const foldRidgeKernel: Kernel = {
  op: foldRidge,
  run: (call, { blas }) => {
    const { system, n, matrix, right, diagonal } = systemOf(call);
    checkCholesky('foldRidge', n, diagonal, matrix, blas.solveSpd(n, 1, matrix, right));
    return foldWeights(system, call.attrs);
  },
  runAsync: (call, { blas }) =>
    workspaces.run(blas.lanes, (call.inputs[0]!.cols - 2) ** 2, async (buffer) => {
      const { system, n, matrix, right, diagonal } = systemOf(call, buffer);
      const info = await blas.solveSpdAsync(n, 1, matrix, right);
      checkCholesky('foldRidge', n, diagonal, matrix, info);
      return foldWeights(system, call.attrs);
    }),
};
