/** `gramLoss` with each group's block times its models by BLAS; the rest is linear in models. */

import type { Float64Matrix } from '../../../driver/ir/value.js';
import { formSize, gramLoss, lossesFromGram } from '../../../driver/operators/gram-loss.js';
import type { Kernel } from './kernel.js';

export const gramLossKernel: Kernel = {
  op: gramLoss,
  run: ({ inputs, attrs }, { blas }) => {
    const [gram, w] = inputs as [Float64Matrix, Float64Matrix];
    const side = gram.cols;
    const p = formSize(side, attrs);
    return lossesFromGram(gram, w, attrs, (group, v) => {
      const models = v.length / p;
      const corner = gram.data.subarray((group * side + side - p) * side + side - p);
      const products = new Float64Array(v.length);
      blas.gemm(false, false, p, models, p, 1, corner, side, v, models, 0, products, models);
      return products;
    });
  },
};
