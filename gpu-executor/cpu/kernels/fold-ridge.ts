/** `foldRidge`: the system is made in one buffer and solved in it by LAPACK; as many at a time as there are lanes. */
import { foldRidge, ridgeSystem, ridgeWeights } from '../../../driver/operators/fold-ridge.js';
import type { Kernel } from './kernel.js';
import { checkCholesky } from './systems.js';
import { Workspaces } from './workspaces.js';

const workspaces = new Workspaces();

export const foldRidgeKernel: Kernel = {
  op: foldRidge,
  run: ({ inputs, attrs }, { blas }) => {
    const system = ridgeSystem(inputs, attrs);
    const { n, matrix, right, diagonal } = system;
    checkCholesky('foldRidge', n, diagonal, matrix, blas.solveSpd(n, 1, matrix, right));
    return ridgeWeights(system, attrs);
  },
  runAsync: ({ inputs, attrs }, { blas }) =>
    workspaces.run(blas.lanes, (inputs[0]!.cols - 2) ** 2, async (buffer) => {
      const system = ridgeSystem(inputs, attrs, buffer);
      const { n, matrix, right, diagonal } = system;
      const info = await blas.solveSpdAsync(n, 1, matrix, right);
      checkCholesky('foldRidge', n, diagonal, matrix, info);
      return ridgeWeights(system, attrs);
    }),
};
