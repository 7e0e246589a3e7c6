/**
 * Poisson nonnegative factorisation in the `Matrix` API: X about W H, all from 0 up, by multiplicative
 * updates. Only the cells of X that are not zero are computed. Source: Lee and Seung, "Algorithms for
 * non-negative matrix factorization" (NIPS 2000), as SystemDS's `pnmf` has it.
 */
import { type Matrix, weightedCrossEntropy, weightedProduct } from '../../driver/index.js';

/** Added to W H where it divides. */
const EPSILON = 1e-8;
const QUOTIENTS = { cells: 'quotient', plus: EPSILON } as const;

/** Both with a column a component: [n, r] and [m, r]. */
export interface Factors {
  readonly W: Matrix;
  readonly H: Matrix;
}

/** The next H: times t(W) (X / W t(H)) over the sums of W. */
export function poissonH(X: Matrix, { W, H }: Factors): Matrix {
  const ratios = weightedProduct({ X, U: W, V: H }, { ...QUOTIENTS, side: 'left' });
  return H.mul(ratios).div(W.colSums());
}

/** The next W, of the H that is there. */
export function poissonW(X: Matrix, { W, H }: Factors): Matrix {
  const ratios = weightedProduct({ X, U: W, V: H }, { ...QUOTIENTS, side: 'right' });
  return W.mul(ratios).div(H.colSums());
}

export function poissonStep(X: Matrix, { W, H }: Factors): Factors {
  const next = poissonH(X, { W, H });
  return { W: poissonW(X, { W, H: next }), H: next };
}

/** sum(W H) - sum(X log(W H)): the deviance but for what X alone has of it. [1, 1] */
export function poissonObjective(X: Matrix, { W, H }: Factors): Matrix {
  const all = W.colSums().mul(H.colSums()).sum();
  return all.sub(weightedCrossEntropy({ X, U: W, V: H }, { plus: EPSILON })).asMatrix();
}
