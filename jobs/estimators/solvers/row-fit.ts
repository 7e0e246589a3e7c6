/** What estimators that read rows have in common: how a fit of design weights is answered. */
import type { Matrix } from '../../../driver/index.js';
import type { Fit, RowDesign } from '../estimator.js';

export interface Ended {
  /** Of the design columns, intercepts last: [design + 1, c]. */
  readonly weights: Matrix;
  /** Size of the step that was left, relative; NaN where there is no model: [1, 1]. */
  readonly ending: Matrix;
}

export interface Endings {
  readonly warn: (ending: number) => string | undefined;
  /** Why there is no model where the ending is NaN. */
  readonly fails: string;
}

export function rowFit(design: RowDesign, { weights, ending }: Ended, said: Endings): Fit {
  return {
    weights: design.expand(weights),
    outputs: design.outputs(weights),
    ending,
    warn: said.warn,
    fails: (value) => (Number.isNaN(value) ? said.fails : undefined),
  };
}
