/** `blockProducts`: one product a block, with its columns gathered side by side. */
import { type Cells, cellsOf, dense } from '../../../driver/ir/value.js';
import { blockProducts } from '../../../driver/operators/block-products.js';
import { routinesOf } from '../native/blas.js';
import type { Kernel, KernelCall, KernelContext } from './kernel.js';

/** Operations from which a block's product is one on the thread pool. */
const POOLED_FLOPS = 4e6;

/** @returns one that multiplies block c */
function products(
  { inputs, out }: KernelCall<Cells>,
  { blas }: KernelContext,
  cells: Cells,
  isPooled: boolean,
): (c: number) => void | Promise<void> {
  const [blocks, q] = inputs;
  const [p, cols] = [q!.rows, q!.cols];
  const count = blocks!.rows / p;
  const models = cols / count;
  const { gemm } = routinesOf(blas, isPooled);
  return (c) => {
    const own = cellsOf(out.dtype, p * models);
    const made = cellsOf(out.dtype, p * models);
    for (let i = 0, at = 0; i < p; i++) {
      for (let k = 0; k < models; k++) own[at++] = q!.data[i * cols + k * count + c]!;
    }
    const block = blocks!.data.subarray(c * p * p);
    const scatter = (): void => {
      for (let i = 0, at = 0; i < p; i++) {
        for (let k = 0; k < models; k++) cells[i * cols + k * count + c] = made[at++]!;
      }
    };
    return (
      gemm(false, false, p, models, p, 1, block, p, own, models, 0, made, models)?.then(scatter) ??
      scatter()
    );
  };
}

export const blockProductsKernel: Kernel<Cells> = {
  op: blockProducts,
  run: (call, context) => {
    const { rows, cols, dtype } = call.out;
    const cells = context.allocate(rows * cols, dtype);
    const multiply = products(call, context, cells, false);
    for (let c = 0; c < call.inputs[0]!.rows / rows; c++) void multiply(c);
    return dense(rows, cols, cells);
  },
  runAsync: async (call, context) => {
    const { rows, cols, dtype } = call.out;
    const cells = context.allocate(rows * cols, dtype);
    const count = call.inputs[0]!.rows / rows;
    const multiply = products(call, context, cells, (2 * rows ** 2 * cols) / count > POOLED_FLOPS);
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < count) await multiply(next++);
    };
    await Promise.all(Array.from({ length: context.blas.lanes + 1 }, lane));
    return dense(rows, cols, cells);
  },
};
