/**
 * Cells far from the others become the nearest that is not, zero, or missing. Far is what lies more
 * than `factor` interquartile ranges outside the quartiles (Tukey's fences), or beyond two quantiles,
 * of the training rows.
 */
import * as z from 'zod';
import { type Matrix, scalar } from '../../driver/index.js';
import { type Columns, quantilesOf, rowOf, Columns as StepColumns } from './columns.js';
import { cellRows } from './rows.js';
import { chosenColumns, invalid, type PrepareStep, someColumns } from './step.js';

const share = z.number().min(0).max(1);

const parameters = z.strictObject({
  method: z.enum(['iqr', 'quantile']).default('iqr').meta({
    description: 'Where outliers begin: by the range between quartiles, or at quantiles.',
  }),
  factor: z.number().nonnegative().default(1.5).meta({
    description: 'Of method iqr: so many interquartile ranges outside the quartiles.',
  }),
  lower: share.default(0.01).meta({ description: 'Of method quantile: the lower one.' }),
  upper: share.default(0.99).meta({ description: 'Of method quantile: the upper one.' }),
  action: z.enum(['clip', 'zero', 'missing']).default('clip').meta({
    description: 'What becomes of an outlier: where outliers begin, 0, or a missing cell.',
  }),
  ...someColumns,
});

type OutlierParams = z.output<typeof parameters>;

export const outliersStep: PrepareStep = {
  name: 'outliers',
  description: 'Clips, zeroes or removes cells far from the others.',
  main: 'method',
  parameters,
  readsWhole: () => true,
  makesRows: true,
  apply: (all, given) => {
    const params = given as OutlierParams;
    const { method, factor, lower, upper } = params;
    if (method === 'quantile' && lower > upper) {
      throw invalid('outliers', '`lower` of at most `upper`', `${lower} and ${upper}`);
    }
    const found = quantilesOf(all, method === 'iqr' ? [0.25, 0.75] : [lower, upper]);
    return all.map((columns, i) => {
      const [first, second] = [found[i]!.slice(0), found[i]!.slice(1)];
      if (method === 'quantile') return bounded(columns, first, second, params);
      const range = second.sub(first).mul(factor);
      return bounded(columns, first.sub(range), second.add(range), params);
    });
  },
};

function bounded(columns: Columns, low: Matrix, high: Matrix, params: OutlierParams): Columns {
  const { action } = params;
  const { leftOut, names, open } = columns.map;
  const chosen = chosenColumns(columns, 'outliers', params.columns);
  const { session } = low;
  const isChosen = chosen.length === columns.width ? null : rowOf(session, columns.width, chosen);
  const within = (bound: Matrix, none: number): Matrix => {
    const own = isChosen === null ? bound : isChosen.ifelse(bound, none);
    // Of a column without values nothing is far.
    return own.isNaN().ifelse(none, own);
  };
  const [least, greatest] = [
    within(low, Number.NEGATIVE_INFINITY),
    within(high, Number.POSITIVE_INFINITY),
  ];
  const before = columns.cells();
  const isFar = before.lt(least).or(before.gt(greatest));
  const cells =
    action === 'clip'
      ? before.maximum(least).minimum(greatest)
      : isFar.ifelse(action === 'zero' ? 0 : scalar(session, Number.NaN), before);
  const made = { of: columns, kind: 'outliers', facts: { action }, values: { low: least, high: greatest }, names } as const; // biome-ignore format: a record
  const missing = action === 'missing' ? [...new Set([...open, ...chosen])] : open;
  return new StepColumns(
    cellRows(
      cells,
      missing.toSorted((a, b) => a - b),
      names,
      made,
    ),
    columns.split,
    { leftOut },
  );
}
