/**
 * Products of rows with weights and with numbers by row, [X 1] of the design: what a pass is made of.
 * They are made in the dtype of the rows; weights and gradients are float64 beside them.
 */
import type { Matrix } from '../../../driver/index.js';
import type { RowData } from '../estimator.js';

type Rows = Pick<RowData, 'X' | 'design'>;

/** Decision values by design weights, the intercept last: [design + 1, c] -> [n, c]. */
export function rowDecisions({ X, design }: Rows): (weights: Matrix) => Matrix {
  return (weights) => {
    const own = design.expand(weights).cast(X.dtype);
    return X.matmul(own.slice([0, X.cols])).add(own.slice(X.cols));
  };
}

/** [X 1]' g of the design. @shape g: [n, c] -> [design + 1, c] */
export function productsOf({ X, design }: Rows, g: Matrix): Matrix {
  return design.contract(X.t().matmul(g).rbind(g.colSums()).cast('float64'));
}

/** [X 1]' diag(g) [X 1] of encoded columns. @shape g: [n, 1] -> [encoded + 1, encoded + 1] */
export function encodedGram(X: Matrix, g: Matrix): Matrix {
  const across = X.t().matmul(g);
  return X.weightedGram(g).cbind(across).rbind(across.t().cbind(g.colSums()));
}
