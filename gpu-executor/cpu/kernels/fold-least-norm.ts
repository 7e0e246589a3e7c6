/** `foldLeastNorm`: the system is made in one buffer, in which LAPACK finds its eigenvectors; one at a time. */
import { foldLeastNorm, putSolution } from '../../../driver/operators/fold-least-norm.js';
import { foldSystem, foldWeights } from '../../../driver/operators/fold-system.js';
import type { Kernel } from './kernel.js';
import { Workspaces } from './workspaces.js';

const workspaces = new Workspaces((cells) => new Float64Array(cells));

export const foldLeastNormKernel: Kernel = {
  op: foldLeastNorm,
  run: (call, { blas }) => {
    const system = foldSystem(call, 0);
    const vectors = system.matrix.subarray(0, system.n ** 2);
    putSolution(system, { values: blas.eigen(system.n, vectors), vectors }, call);
    return foldWeights(system, call.attrs);
  },
  runAsync: (call, { blas }) =>
    workspaces.run(1, (call.inputs[0]!.cols - 2) ** 2, async (buffer) => {
      const system = foldSystem(call, 0, buffer);
      const vectors = system.matrix.subarray(0, system.n ** 2);
      const values = await blas.eigenAsync(system.n, vectors);
      putSolution(system, { values, vectors }, call);
      return foldWeights(system, call.attrs);
    }),
};
