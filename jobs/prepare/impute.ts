/**
 * Missing cells become a number of their column: scikit-learn's `SimpleImputer`. A column without
 * values in the training rows is left out of that fit, as there.
 */
import * as z from 'zod';
import { fill, presentModes } from '../../driver/index.js';
import { type Columns, quantilesOf } from './columns.js';
import { chosenColumns, type PrepareStep, someColumns } from './step.js';

const parameters = z.strictObject({
  strategy: z.enum(['mean', 'median', 'most_frequent', 'constant']).default('mean').meta({
    description: 'What stands for a missing cell, of the cells that are there.',
  }),
  fill_value: z.number().default(0).meta({ description: 'Of strategy constant.' }),
  ...someColumns,
});

export const imputeStep: PrepareStep = {
  name: 'impute',
  description: "Fills missing cells: scikit-learn's `SimpleImputer`.",
  main: 'strategy',
  parameters,
  readsWhole: ({ strategy }) => strategy === 'median' || strategy === 'most_frequent',
  apply: (all, given, { y }) => {
    const params = given as z.output<typeof parameters>;
    const { strategy, fill_value: constant } = params;
    const of = all.map((columns) => {
      const chosen = new Set(chosenColumns(columns, 'impute', params.columns));
      return columns.map.open.filter((column) => chosen.has(column));
    });
    if (of.every((own) => own.length === 0)) return [...all];
    const medians = strategy === 'median' ? quantilesOf(all, [0.5]) : undefined;
    return all.map((columns, i) => {
      const { session } = y;
      if (medians) return columns.filled(medians[i]!, of[i]!);
      if (strategy === 'most_frequent') return columns.filled(mode(columns), of[i]!);
      const { mean } = columns.spread(y);
      if (strategy === 'mean') return columns.filled(mean, of[i]!);
      const value = fill(session, 1, columns.width, constant);
      // NaN where there are no values, as the mean has.
      return columns.filled(mean.mul(0).add(value), of[i]!);
    });
  },
};

function mode(columns: Columns) {
  const { groupOf, groups, train } = columns.split;
  return presentModes(groupOf, columns.cells(), { groups, sets: [train] });
}
