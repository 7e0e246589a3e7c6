/** t(X) %*% X -> tsmm(X): half the work, one pass over X, an exactly symmetric result. */
import { ops } from '../../operators/index.js';
import type { Rule } from '../rule.js';

export const fuseTsmm: Rule = {
  name: 'fuse-tsmm',
  direction: 'up',
  ops: [ops.matmul],
  algebra: 'matmul{transposeA}(X, X) -> tsmm(X)',
  apply: (expr, context) => {
    const [a, b] = expr.inputs;
    const isGram = a === b && expr.attrs.transposeA === true && expr.attrs.transposeB !== true;
    return isGram ? context.intern(ops.tsmm, [a!]) : undefined;
  },
};
