/** Losses of a decision value z and a target y, cell by cell, as solvers of smooth problems need. */
import type { Matrix } from '../../../driver/index.js';

export interface SmoothLoss {
  /** The derivative by z of the loss of each cell. @shape z, y: [n, c] -> [n, c] */
  readonly slope: (z: Matrix, y: Matrix) => Matrix;
  /**
   * The second derivative, at least 0; absent where it may be less or joins columns.
   * @shape z, y: [n, c] -> [n, c]
   */
  readonly bend?: (z: Matrix, y: Matrix) => Matrix;
  /**
   * What curvature about z is guessed by, where that is not `bend`: of losses that join columns the
   * second derivative by each alone. @shape as `bend`
   */
  readonly ownBend?: (z: Matrix, y: Matrix) => Matrix;
  /** The z that is best for all rows together, by the mean of the target: [1, c]. */
  readonly best: (mean: Matrix) => Matrix;
  /** The mean second derivative where z is the same for all rows. @shape z, mean: [1, c] */
  readonly curvature: (z: Matrix, mean: Matrix) => Matrix;
}

/** -log P(y) of y in 0, 1 where P(1) = 1 / (1 + exp(-z)). */
export const logLoss: SmoothLoss = {
  slope: (z, y) => z.sigmoid().sub(y),
  bend: (z) => z.sigmoid().mul(z.neg().sigmoid()),
  best: (mean) => mean.div(mean.neg().add(1)).log(),
  curvature: (z) => z.sigmoid().mul(z.neg().sigmoid()),
};

/** max(0, 1 - s z)^2, s being -1 for y = 0 and 1 for y = 1. */
export const squaredHinge: SmoothLoss = {
  slope: (z, y) => {
    const sign = y.mul(2).sub(1);
    return z.sub(sign).mul(2).mul(z.mul(sign).lt(1));
  },
  bend: (z, y) => z.mul(y.mul(2).sub(1)).lt(1).mul(2),
  // Its mean over margins within a quarter: steps take rows across the edge.
  ownBend: (z, y) => z.mul(y.mul(-4).add(2)).add(2.5).maximum(0).minimum(1).mul(2),
  best: (mean) => mean.mul(2).sub(1),
  curvature: (z) => z.mul(0).add(2),
};

/** (z - y)^2 / 2. */
export const halfSquare: SmoothLoss = {
  slope: (z, y) => z.sub(y),
  bend: (z) => z.mul(0).add(1),
  best: (mean) => mean,
  curvature: (z) => z.mul(0).add(1),
};

/** Half the deviance of a Tweedie distribution of mean exp(z): power 1 is Poisson's, 2 gamma's. */
export function halfDeviance(power: number): SmoothLoss {
  const raised = (z: Matrix, exponent: number): Matrix =>
    exponent === 1 ? z.exp() : z.mul(exponent).exp();
  const curvature = (z: Matrix, y: Matrix): Matrix => {
    if (power === 1) return z.exp();
    const pull = raised(z, 1 - power)
      .mul(y)
      .mul(power - 1);
    return power === 2
      ? pull
      : raised(z, 2 - power)
          .mul(2 - power)
          .add(pull);
  };
  return {
    slope: (z, y) => {
      const pull = power === 1 ? y : y.mul(raised(z, 1 - power));
      return power === 2 ? pull.neg().add(1) : raised(z, 2 - power).sub(pull);
    },
    best: (mean) => mean.log(),
    curvature,
    ...(power < 1 || power > 2 ? {} : { bend: curvature }),
  };
}

/** -log P(class) where P is the softmax of the row; y is 1 in the column of its class. */
export const multinomialLoss: SmoothLoss = {
  slope: (z, y) => z.softmax().sub(y),
  ownBend: (z) => {
    const p = z.softmax();
    return p.sub(p.square());
  },
  best: (mean) => {
    // A class without rows has no best decision value: one far below all others.
    const z = mean.maximum(1e-300).log();
    return z.sub(z.mean());
  },
  // Of diag(p) - p p', what does not join classes: rows of steps sum to 0.
  curvature: (z) => z.softmax(),
};
