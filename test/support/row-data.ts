/** Rows as estimators that read rows take them, of a design that is the encoded columns. */
import type { Matrix } from '../../driver/index.js';
import type { RowData } from '../../jobs/estimators/estimator.js';

/** @param weight 0 for rows that are not training rows */
export function rowData(
  X: Matrix,
  y: Matrix,
  weight: Matrix,
  classes: number,
  models = 1,
): RowData {
  const count = weight.sum();
  const mean = X.t().matmul(weight).div(count);
  const target = y.mul(weight).sum().div(count);
  const centred = X.sub(mean.t()).mul(weight);
  const scatter = centred.t().matmul(X.sub(mean.t()));
  const targetScatter = centred.t().matmul(y.sub(target));
  const spread = scatter.diag();
  const same = (weights: Matrix): Matrix => weights;
  return {
    X,
    y,
    weight,
    classes,
    models,
    design: {
      columns: X.cols,
      isPlain: true,
      expand: same,
      rows: same,
      restored: same,
      contract: same,
      outputs: (weights) => ({
        coefficients: weights.slice([0, X.cols]),
        intercept: weights.slice(X.cols),
      }),
      moments: { count, mean, spread, target, products: { scatter, targetScatter } },
      all: { count, mean, spread, scatter },
    },
  };
}
