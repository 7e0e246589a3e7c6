/**
 * The weighted products of factorisation: only the cells asked about are computed, and each goes
 * straight into the sum or the product, so that nothing of the size of X is made. Plain loops: the
 * cells asked about are few and scattered.
 */

import type { Attrs } from '../../../driver/ir/attrs.js';
import { areFinite } from '../../../driver/ir/csr.js';
import type { OpDef } from '../../../driver/ir/op-def.js';
import { dense, type Float64Matrix } from '../../../driver/ir/value.js';
import { wcemm } from '../../../driver/operators/wcemm.js';
import { wdivmm } from '../../../driver/operators/wdivmm.js';
import { forEachAsked, type Guard, guarded, guardOf } from '../../../driver/operators/weighted.js';
import { wsloss } from '../../../driver/operators/wsloss.js';
import type { Kernel, Reducer } from './kernel.js';

/** What is weighed at a cell. */
export interface CellWeight {
  /** Of the cell of X and u v' there. */
  readonly of: (cell: number, product: number) => number;
  /** It is the cell over u v', guarded. */
  readonly quotient?: Guard;
}

interface WeightedSum {
  readonly op: OpDef;
  readonly weightOf: (attrs: Attrs) => CellWeight;
}

/** Operators that add up what is weighed. */
export const weightedSums: readonly WeightedSum[] = [
  { op: wsloss, weightOf: () => ({ of: (cell, product) => (cell - product) ** 2 }) },
  {
    op: wcemm,
    weightOf: (attrs) => {
      const guard = guardOf('wcemm', attrs);
      return { of: (cell, product) => cell * Math.log(guarded(product, guard)) };
    },
  },
];

function sumKernel({ op, weightOf }: WeightedSum): Kernel {
  return {
    op,
    reducer: ({ attrs }): Reducer => {
      const { of } = weightOf(attrs);
      let total = 0;
      return {
        add(inputs) {
          let own = 0;
          forEachAsked(inputs, (_row, _col, weight, cell, product) => {
            own += weight * of(cell, product);
          });
          total += own;
        },
        result: () => dense(1, 1, Float64Array.of(total)),
      };
    },
  };
}

/** out[target(cell)] += p * factor[source(cell)], a row of `factor` a cell. */
function addProducts(
  inputs: readonly Float64Matrix[],
  attrs: Attrs,
  isRight: boolean,
  out: Float64Array,
): void {
  const [, u, v] = inputs;
  const rank = u!.cols;
  const { data } = isRight ? v! : u!;
  if (!areFinite(data)) {
    // A cell that is not asked about is 0, which makes NaN of what is not finite.
    const shape = { rows: isRight ? u!.rows : v!.rows, cols: rank };
    const product = wdivmm.reference(inputs, attrs, shape).data;
    for (let at = 0; at < product.length; at++) out[at]! += product[at]!;
    return;
  }
  const { of } = cellWeight(attrs);
  forEachAsked(inputs, (row, col, weight, cell, product) => {
    const p = weight * of(cell, product);
    const to = (isRight ? row : col) * rank;
    const from = (isRight ? col : row) * rank;
    for (let k = 0; k < rank; k++) out[to + k]! += p * data[from + k]!;
  });
}

/** Of the products `wdivmm`. */
export function cellWeight(attrs: Attrs): CellWeight {
  if (attrs.cells === 'residual') return { of: (cell, product) => product - cell };
  const quotient = guardOf('wdivmm', attrs);
  return { of: (cell, product) => cell / guarded(product, quotient), quotient };
}

const productKernel: Kernel = {
  op: wdivmm,
  run: ({ inputs, attrs, out }, context) => {
    const cells = context.allocate(out.rows * out.cols).fill(0);
    addProducts(inputs, attrs, attrs.side === 'right', cells);
    return dense(out.rows, out.cols, cells);
  },
  reducer: ({ attrs, out }): Reducer => {
    const sums = new Float64Array(out.rows * out.cols);
    return {
      add: (inputs) => addProducts(inputs, attrs, false, sums),
      result: () => dense(out.rows, out.cols, sums),
    };
  },
};

export const weightedKernels: readonly Kernel[] = [productKernel, ...weightedSums.map(sumKernel)];
