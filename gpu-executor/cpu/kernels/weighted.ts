/**
 * The weighted products of factorisation: only the cells asked about are computed, and each goes
 * straight into the sum or the product, so that nothing of the size of X is made. Plain loops: the
 * cells asked about are few and scattered.
 */

import { dense, type Float64Matrix } from '../../../driver/ir/value.js';
import { wdivmm } from '../../../driver/operators/wdivmm.js';
import { forEachAsked } from '../../../driver/operators/weighted.js';
import { wsloss } from '../../../driver/operators/wsloss.js';
import type { Kernel, Reducer } from './kernel.js';

const lossKernel: Kernel = {
  op: wsloss,
  reducer: (): Reducer => {
    let total = 0;
    return {
      add(inputs) {
        let own = 0;
        forEachAsked(inputs, (_row, _col, weight, cell, product) => {
          const residual = cell - product;
          own += weight * residual * residual;
        });
        total += own;
      },
      result: () => dense(1, 1, Float64Array.of(total)),
    };
  },
};

/** out[target(cell)] += p * factor[source(cell)], a row of `factor` a cell. */
function addProducts(
  inputs: readonly Float64Matrix[],
  isQuotient: boolean,
  isRight: boolean,
  out: Float64Array,
): void {
  const [, u, v] = inputs;
  const rank = u!.cols;
  const { data } = isRight ? v! : u!;
  forEachAsked(inputs, (row, col, weight, cell, product) => {
    const p = weight * (isQuotient ? cell / product : product - cell);
    const to = (isRight ? row : col) * rank;
    const from = (isRight ? col : row) * rank;
    for (let k = 0; k < rank; k++) out[to + k]! += p * data[from + k]!;
  });
}

const productKernel: Kernel = {
  op: wdivmm,
  run: ({ inputs, attrs, out }, context) => {
    const cells = context.allocate(out.rows * out.cols).fill(0);
    addProducts(inputs, attrs.cells === 'quotient', attrs.side === 'right', cells);
    return dense(out.rows, out.cols, cells);
  },
  reducer: ({ attrs, out }): Reducer => {
    const sums = new Float64Array(out.rows * out.cols);
    return {
      add: (inputs) => addProducts(inputs, attrs.cells === 'quotient', false, sums),
      result: () => dense(out.rows, out.cols, sums),
    };
  },
};

export const weightedKernels: readonly Kernel[] = [lossKernel, productKernel];
