/**
 * Activations and losses of neural networks, as compositions of cells, products and sums: what the
 * operators have of gradients, batching and kernels they have too. Losses are means over rows.
 * Sources: Goodfellow, Bengio and Courville, "Deep Learning" (2016), 6; names as in PyTorch.
 */
import { seq, uniformAt } from './create.js';
import type { Matrix, Scalar } from './matrix.js';

/** max(z, 0); the derivative at 0 is 0, as in PyTorch, JAX and scikit-learn. */
export function relu(z: Matrix): Matrix {
  return z.maximum(0);
}

/**
 * z P(N(0, 1) <= z), by default with the approximation of Hendrycks and Gimpel, "Gaussian Error
 * Linear Units" (2016), as in JAX; `none`, which PyTorch has by default, is by the error function.
 */
export function gelu(z: Matrix, approximate: 'tanh' | 'none' = 'tanh'): Matrix {
  if (approximate === 'none') return z.mul(0.5).mul(z.mul(Math.SQRT1_2).erf().add(1));
  const inner = z.mul(z.square().mul(0.044715).add(1)).mul(Math.sqrt(2 / Math.PI));
  return z.mul(0.5).mul(inner.tanh().add(1));
}

/** Logarithms of `softmax` over each row, which neither overflow nor lose small probabilities. */
export function logSoftmax(z: Matrix): Matrix {
  // Any number near the greatest cell does; a whole one is a constant to the gradient.
  const shifted = z.sub(z.rowMaxs().floor());
  return shifted.sub(shifted.exp().rowSums().log());
}

/** 1 in the column of the class number of each row, else 0. @shape y: [n, 1] -> [n, classes] */
export function oneHot(y: Matrix, classes: number): Matrix {
  const numbers = seq(y.session, 0, classes - 1).t();
  return y.eq(numbers.cast(y.dtype));
}

/**
 * Mean over rows of -sum_c p_c log softmax(z)_c.
 * @param shares of the classes of each row, as `oneHot` gives them: [n, classes]
 */
export function crossEntropy(z: Matrix, shares: Matrix): Scalar {
  return logSoftmax(z).mul(shares).sum().div(-z.rows);
}

/** The same of two classes by one decision value a row. @param y shares of class 1: [n, 1] */
export function binaryCrossEntropy(z: Matrix, y: Matrix): Scalar {
  return z.softplus().sub(z.mul(y)).sum().div(z.rows);
}

/** Mean over cells of (z - y)^2. */
export function squaredLoss(z: Matrix, y: Matrix): Scalar {
  return z.sub(y).square().mean();
}

/** Mean over rows of 1 - cos(a, b), the angle between the rows; no row may be zero. */
export function cosineLoss(a: Matrix, b: Matrix): Scalar {
  const lengths = a.rowSumSqs().mul(b.rowSumSqs()).sqrt();
  return a.mul(b).rowSums().div(lengths).mean().neg().add(1);
}

/** What is dropped of which rows. */
export interface DropoutOptions {
  /** Probability that a cell is dropped, from 0 and below 1; a matrix is [1, 1]. */
  readonly rate: number | Matrix;
  /** Numbers of the rows among all of the data: [n, 1], whole numbers from 0. */
  readonly rows: Matrix;
  /** Of this layer in this step: [1, 1], a whole number from 0. */
  readonly seed: Matrix;
}

/**
 * Cells set to 0 at random, the rest divided by what is left of their expected sum. Which cells
 * follows from seed, row number and column alone: not from the batch a row is in.
 * Source: Srivastava et al., "Dropout" (JMLR 2014), in the inverted form of PyTorch.
 */
export function dropout(x: Matrix, { rate, rows, seed }: DropoutOptions): Matrix {
  const isKept = uniformAt(rows, seed, x.cols).ge(rate).cast(x.dtype);
  const left = typeof rate === 'number' ? 1 - rate : rate.neg().add(1).cast(x.dtype);
  return x.mul(isKept).div(left);
}
