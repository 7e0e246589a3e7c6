/** -(-X) -> X. */
import { ops } from '../../operators/index.js';
import type { Rule } from '../rule.js';

export const removeDoubleNegation: Rule = {
  name: 'remove-double-negation',
  direction: 'up',
  ops: [ops.neg],
  algebra: '-(-X) -> X',
  apply: ({ inputs: [x] }) => (x!.op === ops.neg ? x!.inputs[0] : undefined),
};
