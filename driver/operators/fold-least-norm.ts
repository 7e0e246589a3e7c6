/** Least squares of least norm on the rows of some groups: `fold-system.ts` and `least-norm.ts`. */
import { dense } from '../ir/value.js';
import { defineFoldFit, type FoldCall, type FoldSystem } from './fold-system.js';
import { type Eigensystem, jacobi, leastNormSolution } from './least-norm.js';

export const foldLeastNorm = defineFoldFit({
  name: 'foldLeastNorm',
  work: 'factorise',
  numbers: [],
  attrs: { tolerance: 1e-12 },
  flops: (n) => 9 * n ** 3,
  solve: (system, call) =>
    putSolution(system, jacobi(system.n, system.matrix.slice(0, system.n ** 2)), call),
});

export function putSolution(
  system: FoldSystem,
  eigen: Eigensystem,
  { attrs }: FoldCall,
): undefined {
  const right = dense(system.n, 1, system.right);
  system.right.set(leastNormSolution(eigen, right, attrs.tolerance as number).data);
}
