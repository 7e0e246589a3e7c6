/**
 * Columns to one scale: scikit-learn's `StandardScaler`, `MinMaxScaler` and `RobustScaler`. Cells that
 * are missing stay so. A column without spread in the training rows is only moved.
 */
import * as z from 'zod';
import type { Matrix } from '../../driver/index.js';
import { spreadScales } from '../estimators/wide-columns.js';
import { type Columns, quantilesOf, rowOf } from './columns.js';
import { chosenColumns, invalid, type PrepareStep, someColumns } from './step.js';

const range = z.tuple([z.number(), z.number()]);

const parameters = z.strictObject({
  method: z.enum(['standard', 'min-max', 'robust']).default('standard').meta({
    description: 'By mean and deviation, to a range, or by median and range between quantiles.',
  }),
  feature_range: range.default([0, 1]).meta({ description: 'Of method min-max.' }),
  quantile_range: range.default([25, 75]).meta({
    description: 'Of method robust: quantiles, in percent.',
  }),
  ...someColumns,
});

type ScaleParams = z.output<typeof parameters>;

/** z becomes (z - center) / scale. */
interface Scaling {
  readonly center: Matrix;
  readonly scale: Matrix;
}

export const scaleStep: PrepareStep = {
  name: 'scale',
  description: 'Standardises columns, or scales them to a range.',
  main: 'method',
  parameters,
  readsWhole: ({ method }) => method !== 'standard',
  apply: (all, given, { y }) => {
    const params = given as ScaleParams;
    const scalings = METHODS[params.method](all, params, y);
    return all.map((columns, i) => {
      const { center, scale: by } = scalings[i]!;
      const chosen = chosenColumns(columns, 'scale', params.columns);
      if (chosen.length === columns.width) return columns.scaled(center, by);
      const isChosen = rowOf(by.session, columns.width, chosen);
      return columns.scaled(isChosen.ifelse(center, 0), isChosen.ifelse(by, 1));
    });
  },
};

const METHODS: {
  readonly [method in ScaleParams['method']]: (
    all: readonly Columns[],
    params: ScaleParams,
    y: Matrix,
  ) => Scaling[];
} = {
  standard: (all, _params, y) =>
    all.map((columns) => {
      const { count, mean, spread } = columns.spread(y);
      const by = spreadScales({ count, mean: mean.t(), spread: spread.t() });
      return known({ center: mean, scale: by });
    }),
  'min-max': (all, { feature_range: [low, high] }) => {
    if (!(low < high)) {
      throw invalid('scale', '`feature_range` to ascend', JSON.stringify([low, high]));
    }
    return quantilesOf(all, [0, 1]).map((found) => {
      const [least, greatest] = [found.slice(0), found.slice(1)];
      const by = sizeOf(greatest.sub(least)).div(high - low);
      return known({ center: least.sub(by.mul(low)), scale: by });
    });
  },
  robust: (all, { quantile_range: [low, high] }) => {
    if (!(low >= 0 && low <= high && high <= 100)) {
      throw invalid('scale', '`quantile_range` to ascend in 0..100', JSON.stringify([low, high]));
    }
    return quantilesOf(all, [0.5, low / 100, high / 100]).map((found) =>
      known({ center: found.slice(0), scale: sizeOf(found.slice(2).sub(found.slice(1))) }),
    );
  },
};

/** 1 where there is no spread (`_handle_zeros_in_scale`). */
function sizeOf(spread: Matrix): Matrix {
  return spread.lt(10 * Number.EPSILON).ifelse(1, spread);
}

/** A column without values stays as it is: it is left out when it is imputed. */
function known({ center, scale: by }: Scaling): Scaling {
  const isEmpty = center.isNaN().or(by.isNaN());
  return { center: isEmpty.ifelse(0, center), scale: isEmpty.ifelse(1, by) };
}
