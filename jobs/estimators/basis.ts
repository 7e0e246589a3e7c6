/**
 * What of the encoded columns a model's decision values are linear in. Most are linear in the
 * columns themselves; Gaussian naive Bayes also in their squares, Bernoulli naive Bayes in whether
 * they are above a threshold.
 */
import type { Matrix } from '../../driver/index.js';

export type Basis = 'linear' | 'squares' | { readonly above: number };

/** B(X): row i from row i of X alone. @shape X: [n, d] -> [n, d], of squares [n, 2 d]: [X, X * X] */
export function basisColumns(basis: Basis, X: Matrix): Matrix {
  if (basis === 'linear') return X;
  return basis === 'squares' ? X.cbind(X.square()) : X.gt(basis.above);
}

/** Columns of B(X). @param columns of X */
export function basisWidth(basis: Basis, columns: number): number {
  return basis === 'squares' ? 2 * columns : columns;
}
