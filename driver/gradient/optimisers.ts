/**
 * Steps of gradient descent as functions of a loop's state (`iterate`): plain expressions, so that a
 * step is one plan with the gradient, K models of a batch take it at once, and rates, moments and
 * penalties may be each model's own. They belong to the driver, since what trains by gradients need
 * not be an estimator. Names and defaults as in PyTorch.
 *
 * Sources: Sutskever et al., "On the importance of initialization and momentum" (ICML 2013); Kingma
 * and Ba, "Adam" (ICLR 2015); Loshchilov and Hutter, "Decoupled weight decay" (ICLR 2019).
 */
import { zeros } from '../matrix/create.js';
import type { Matrix } from '../matrix/matrix.js';

/** What a step knows besides the parameter: [1, 1] each. */
export interface StepNumbers {
  /** Size of the step. */
  readonly rate: Matrix;
  /** Steps taken before this one. */
  readonly taken: Matrix;
}

/** A parameter, and what its optimiser carries from one step to the next. */
export interface Descent {
  readonly parameter: Matrix;
  readonly moments: readonly Matrix[];
}

export interface Optimiser {
  /** Matrices of the parameter's shape that are carried. */
  readonly moments: number;
  readonly step: (now: Descent, gradient: Matrix, numbers: StepNumbers) => Descent;
}

/** A number, or [1, 1] where it is each model's own. */
type Factor = number | Matrix;

const complement = (factor: Factor): Factor =>
  typeof factor === 'number' ? 1 - factor : factor.neg().add(1);

/** In the dtype of what it meets. */
function beside({ dtype }: Matrix, factor: Matrix): Matrix;
function beside({ dtype }: Matrix, factor: Factor): Factor;
function beside({ dtype }: Matrix, factor: Factor): Factor {
  return typeof factor === 'number' ? factor : factor.cast(dtype);
}

/** Before the first step. */
export function descentFrom({ moments }: Optimiser, parameter: Matrix): Descent {
  const { session, rows, cols, dtype } = parameter;
  const none = zeros(session, rows, cols, { dtype });
  return { parameter, moments: Array.from({ length: moments }, () => none) };
}

export interface SgdOptions {
  /** Share of the last step that is taken again. Default 0. */
  readonly momentum?: Factor;
  /** The gradient is as if that were taken before. Default false. */
  readonly nesterov?: boolean;
}

/** Steps down the gradient; with momentum v' = m v - rate g, and w' = w + v'. */
export function sgd({ momentum = 0, nesterov = false }: SgdOptions = {}): Optimiser {
  if (momentum === 0) {
    const step: Optimiser['step'] = ({ parameter }, gradient, { rate }) => {
      return { parameter: parameter.sub(gradient.mul(beside(gradient, rate))), moments: [] };
    };
    return { moments: 0, step };
  }
  return {
    moments: 1,
    step: ({ parameter, moments: [before] }, gradient, { rate }) => {
      const share = beside(gradient, momentum);
      const down = gradient.mul(beside(gradient, rate));
      const velocity = before!.mul(share).sub(down);
      const taken = nesterov ? velocity.mul(share).sub(down) : velocity;
      return { parameter: parameter.add(taken), moments: [velocity] };
    },
  };
}

export interface AdamOptions {
  /** Share of the last mean of gradients that is kept. Default 0.9. */
  readonly beta1?: Factor;
  /** The same of their squares. Default 0.999. */
  readonly beta2?: Factor;
  /** Added to the root of the mean of squares. Default 1e-8. */
  readonly epsilon?: number;
  /**
   * Whether it is added before the means are corrected for having begun at 0, which is one division
   * less and what scikit-learn does; after it as PyTorch and JAX do. Default false.
   */
  readonly addsEarly?: boolean;
}

/** Steps by the mean of gradients over the root of the mean of their squares. */
export function adam(options: AdamOptions = {}): Optimiser {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, addsEarly = false } = options;
  return {
    moments: 2,
    step: ({ parameter, moments: [m, v] }, gradient, { rate, taken }) => {
      const own = (factor: Factor): Factor => beside(gradient, factor);
      const mean = m!.mul(own(beta1)).add(gradient.mul(own(complement(beta1))));
      const square = v!.mul(own(beta2)).add(gradient.square().mul(own(complement(beta2))));
      const left = (beta: Factor): Matrix => power(beta, taken.add(1)).neg().add(1);
      const root = left(beta2).sqrt();
      const size = beside(gradient, rate.mul(root).div(left(beta1)));
      const over = square.sqrt().add(addsEarly ? epsilon : own(root.mul(epsilon)));
      return { parameter: parameter.sub(mean.mul(size).div(over)), moments: [mean, square] };
    },
  };
}

/** beta^steps. @shape steps: [1, 1] */
function power(beta: Factor, steps: Matrix): Matrix {
  return typeof beta === 'number' ? steps.mul(0).add(beta).pow(steps) : beta.pow(steps);
}

export interface AdamWOptions extends AdamOptions {
  /** Share of the parameter that a step of rate 1 takes away. Default 0.01. */
  readonly weightDecay?: Factor;
}

/** Adam, and a decay of the parameter that does not go through the moments. */
export function adamW({ weightDecay = 0.01, ...options }: AdamWOptions = {}): Optimiser {
  const own = adam(options);
  return {
    ...own,
    step: ({ parameter, moments }, gradient, numbers) => {
      const decayed = parameter.sub(
        parameter.mul(beside(parameter, numbers.rate.mul(weightDecay))),
      );
      return own.step({ parameter: decayed, moments }, gradient, numbers);
    },
  };
}

/** The rate of a step by how many were taken before: [1, 1] -> [1, 1]. */
export type RateSchedule = (taken: Matrix) => Matrix;

/** As it begins. @param rate a number, or [1, 1] */
export function constantRate(rate: Factor): RateSchedule {
  return (taken) => taken.mul(0).add(rate);
}

/** rate / (taken + 1)^power: `invscaling` of scikit-learn. */
export function inverseScalingRate(rate: Factor, exponent: Factor): RateSchedule {
  return (taken) => taken.mul(0).add(rate).div(taken.add(1).pow(exponent));
}

/** Half a cosine from the rate to `least` over so many steps, and that from then on. */
export function cosineRate(rate: Factor, steps: number, least: Factor = 0): RateSchedule {
  return (taken) => {
    const share = taken.div(steps).minimum(1).mul(Math.PI);
    const range = share.mul(0).add(rate).sub(least);
    return range.mul(cosine(share).add(1).mul(0.5)).add(least);
  };
}

/**
 * The rate times `factor` to the number of whole runs of `every` steps: `StepLR` of PyTorch.
 */
export function stepRate(rate: Factor, every: number, factor: Factor): RateSchedule {
  return (taken) => power(factor, taken.div(every).floor()).mul(rate);
}

/**
 * cos of an angle in [0, pi], by the series of the sine of what it is short of pi / 2; 1e-16.
 * There is no cosine among the operators, which a schedule alone would be no reason for.
 */
function cosine(angle: Matrix): Matrix {
  const x = angle.neg().add(Math.PI / 2);
  const square = x.square();
  let sum = x.mul(0);
  for (let n = 21; n >= 3; n -= 2)
    sum = sum
      .add(1)
      .mul(square)
      .div(-n * (n - 1));
  return sum.add(1).mul(x);
}
