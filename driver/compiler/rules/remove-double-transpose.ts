/** t(t(X)) -> X. */
import { ops } from '../../operators/index.js';
import type { Rule } from '../rule.js';

export const removeDoubleTranspose: Rule = {
  name: 'remove-double-transpose',
  direction: 'up',
  ops: [ops.transpose],
  algebra: 't(t(X)) -> X',
  apply: ({ inputs: [x] }) => (x!.op === ops.transpose ? x!.inputs[0] : undefined),
};
