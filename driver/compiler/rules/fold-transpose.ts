/** t(A) %*% B -> matmul{transposeA}(A, B), and so for B: BLAS and row blocks transpose for free. */
import { type Attrs, noAttrs } from '../../ir/attrs.js';
import { ops } from '../../operators/index.js';
import type { Rule } from '../rule.js';

/** The one attribute object for each pair of flags; flags that are off are left out. */
export function matmulAttrs(transposeA: boolean, transposeB: boolean): Attrs {
  if (!transposeA && !transposeB) return noAttrs;
  return { ...(transposeA && { transposeA }), ...(transposeB && { transposeB }) };
}

export const foldTranspose: Rule = {
  name: 'fold-transpose',
  direction: 'up',
  ops: [ops.matmul],
  algebra: 't(A) %*% B -> matmul{transposeA}(A, B); A %*% t(B) -> matmul{transposeB}(A, B)',
  apply: (expr, context) => {
    const [a, b] = expr.inputs;
    const foldA = a!.op === ops.transpose;
    const foldB = b!.op === ops.transpose;
    if (!foldA && !foldB) return undefined;
    const attrs = matmulAttrs(
      (expr.attrs.transposeA === true) !== foldA,
      (expr.attrs.transposeB === true) !== foldB,
    );
    const inputs = [foldA ? a!.inputs[0]! : a!, foldB ? b!.inputs[0]! : b!];
    return context.intern(ops.matmul, inputs, attrs);
  },
};
