/**
 * What each model of a stack has of its own: products where the operands lie, systems by the kernels
 * for one. Short ones run one after the other, long ones as many at once as there are lanes. A
 * singular model is NaN and leaves the others alone.
 */
import { SingularError } from '../../../driver/errors.js';
import type { Meta } from '../../../driver/ir/expr.js';
import { type Cells, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import {
  type ModelView,
  modelView,
  putModel,
  takeModel,
} from '../../../driver/operators/model-stack.js';
import {
  type StackedProduct,
  stackedProduct,
  stackProduct,
} from '../../../driver/operators/stack-product.js';
import {
  stackCholesky,
  stackedSystems,
  stackSolve,
} from '../../../driver/operators/stack-systems.js';
import { eachOnPool, type GemmArgs } from '../native/blas.js';
import type { Kernel, KernelCall, KernelContext } from './kernel.js';
import { RowSumReducer } from './products.js';
import { choleskyKernel, solveKernel } from './systems.js';

/** A model's work from which a call on the thread pool pays. @units flops */
const POOLED_FLOPS = 4e6;
/** Work between two turns of the event loop. @units flops */
const TURN_FLOPS = 4e6;

function productOf(
  { a, b, out, transposeA, transposeB, m, n, k }: StackedProduct,
  [left, right]: readonly DenseMatrix[],
  model: number,
  beta: number,
  cells: Cells,
): GemmArgs {
  const aCells = left!.data.subarray(model * a.step);
  const bCells = right!.data.subarray(model * b.step);
  return [
    ...([transposeA, transposeB, m, n, k, 1, aCells, a.stride, bCells, b.stride] as const),
    ...([beta, cells.subarray(model * out.step), out.stride] as const),
  ];
}

const stackProductKernel: Kernel<Cells> = {
  op: stackProduct,
  run: ({ inputs, attrs, out }, context) => {
    const product = stackedProduct(inputs, attrs);
    const cells = context.allocate(out.rows * out.cols, out.dtype);
    for (let k = 0; k < product.models; k++) {
      context.blas.gemm(...productOf(product, inputs, k, 0, cells));
    }
    return dense(out.rows, out.cols, cells);
  },
  runAsync: async ({ inputs, attrs, out }, context) => {
    const product = stackedProduct(inputs, attrs);
    const cells = context.allocate(out.rows * out.cols, out.dtype);
    const flops = 2 * product.m * product.n * product.k;
    const calls = Array.from({ length: product.models }, (_, k) =>
      productOf(product, inputs, k, 0, cells),
    );
    if (flops >= POOLED_FLOPS) await context.blas.gemmsAsync(calls);
    else await eachModel(calls.length, flops, context, (k) => context.blas.gemm(...calls[k]!));
    return dense(out.rows, out.cols, cells);
  },
  reducer: (call, context) => {
    const { models } = stackedProduct(call.inputs, call.attrs);
    return new RowSumReducer(call, context, (inputs, start, rows, sums, { gemm }) => {
      const parts = inputs.map((input) => {
        const { cols, data } = input;
        return dense(rows, cols, data.subarray(start * cols, (start + rows) * cols));
      });
      const product = stackedProduct(parts, call.attrs);
      const from = (k: number): void | Promise<void> => {
        for (let model = k; model < models; model++) {
          const running = gemm(...productOf(product, parts, model, 1, sums));
          if (running !== undefined) return running.then(() => from(model + 1));
        }
        return undefined;
      };
      return from(0);
    });
  },
};

/** Calls `work` for each model; on the thread pool where a model's work is long. */
async function eachModel(
  models: number,
  flops: number,
  { blas }: KernelContext,
  work: (model: number, isPooled: boolean) => void | Promise<void>,
): Promise<void> {
  if (flops < POOLED_FLOPS) {
    let sinceTurn = 0;
    for (let k = 0; k < models; k++) {
      await work(k, false);
      sinceTurn += flops;
      if (sinceTurn < TURN_FLOPS) continue;
      sinceTurn = 0;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return;
  }
  await eachOnPool(models, blas.lanes, (k) => work(k, true));
}

/** The operands of one model, its part of the result, and the kernel for it. */
interface StackOf {
  readonly kernel: Kernel<Cells>;
  readonly models: number;
  readonly view: ModelView;
  readonly operands: (model: number) => readonly DenseMatrix[];
  readonly attrs: KernelCall['attrs'];
}

function solveStack({ inputs, attrs }: KernelCall<Cells>): StackOf {
  const { models, assume } = attrs as { models: number; assume?: string };
  const { a, b, diagonal } = stackedSystems(inputs, models);
  const views = [a, b, ...(diagonal ? [diagonal] : [])];
  return {
    kernel: solveKernel,
    models,
    view: b,
    operands: (k) => views.map((view, i) => takeModel(inputs[i]!, view, k)),
    attrs: assume === undefined ? {} : { assume },
  };
}

function choleskyStack({ inputs: [a] }: KernelCall<Cells>): StackOf {
  const models = a!.rows / a!.cols;
  const view = modelView(a!, 'stack', models)!;
  return {
    kernel: choleskyKernel,
    models,
    view,
    operands: (k) => [takeModel(a!, view, k)],
    attrs: {},
  };
}

function stackKernel(
  op: Kernel['op'],
  stackOf: (call: KernelCall<Cells>) => StackOf,
): Kernel<Cells> {
  const callOf = ({ view, operands, attrs }: StackOf, { out }: KernelCall<Cells>, k: number) => ({
    inputs: operands(k),
    attrs,
    out: { rows: view.rows, cols: view.cols, dtype: out.dtype },
  });
  return {
    op,
    run: (call, context) => {
      const cells = context.allocate(call.out.rows * call.out.cols, call.out.dtype);
      const stack = stackOf(call);
      for (let k = 0; k < stack.models; k++) {
        const one = (): DenseMatrix => stack.kernel.run!(callOf(stack, call, k), context);
        putModel(cells, stack.view, k, orNaN(one, stack.view));
      }
      return dense(call.out.rows, call.out.cols, cells);
    },
    runAsync: async (call, context) => {
      const cells = context.allocate(call.out.rows * call.out.cols, call.out.dtype);
      const stack = stackOf(call);
      const flops = op.flops(call.inputs, call.attrs, call.out) / stack.models;
      await eachModel(stack.models, flops, context, async (k, isPooled) => {
        const one = callOf(stack, call, k);
        const { run, runAsync } = stack.kernel;
        const value = isPooled
          ? await runAsync!(one, context).then(({ data }) => data, nanWhereSingular(stack.view))
          : orNaN(() => run!(one, context), stack.view);
        putModel(cells, stack.view, k, value);
      });
      return dense(call.out.rows, call.out.cols, cells);
    },
  };
}

function orNaN(solve: () => DenseMatrix, view: Meta): Cells {
  try {
    return solve().data;
  } catch (error) {
    return nanWhereSingular(view)(error);
  }
}

function nanWhereSingular({ rows, cols }: Meta): (error: unknown) => Cells {
  return (error) => {
    if (error instanceof SingularError) return new Float64Array(rows * cols).fill(Number.NaN);
    throw error;
  };
}

export const stackKernels: readonly Kernel<Cells>[] = [
  stackProductKernel,
  stackKernel(stackSolve, solveStack),
  stackKernel(stackCholesky, choleskyStack),
];
