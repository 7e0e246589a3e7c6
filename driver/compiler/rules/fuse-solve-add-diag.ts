/** solve(A + diag(d), B) -> solve(A, B, d): solves with penalties write no penalised matrix. */
import { ops } from '../../operators/index.js';
import type { Rule } from '../rule.js';

export const fuseSolveAddDiag: Rule = {
  name: 'fuse-solve-add-diag',
  direction: 'up',
  ops: [ops.solve],
  algebra: 'solve(addDiag(A, d), B) -> solve(A, B, d)',
  apply: (expr, context) => {
    const [a, b, d] = expr.inputs;
    if (d !== undefined || a!.op !== ops.addDiag) return undefined;
    return context.intern(ops.solve, [a!.inputs[0]!, b!, a!.inputs[1]!], expr.attrs);
  },
};
