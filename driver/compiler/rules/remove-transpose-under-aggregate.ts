/** sum(t(X)) -> sum(X), and so for every aggregate over all cells: their order does not matter. */
import { ops } from '../../operators/index.js';
import type { Rule } from '../rule.js';

export const removeTransposeUnderAggregate: Rule = {
  name: 'remove-transpose-under-aggregate',
  direction: 'up',
  ops: [ops.sum, ops.sumSq, ops.min, ops.max],
  algebra: 'sum(t(X)) -> sum(X)',
  apply: ({ op, inputs: [x] }, context) =>
    x!.op === ops.transpose ? context.intern(op, [x!.inputs[0]!]) : undefined,
};
