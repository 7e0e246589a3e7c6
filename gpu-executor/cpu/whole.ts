/** Evaluates one operator over whole host values: at once when short, else on the thread pool. */
import { UnsupportedError } from '../../driver/errors.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { Cells, DenseMatrix } from '../../driver/ir/value.js';
import { kernelOf } from './kernels/index.js';
import type { Kernel, KernelCall, KernelContext } from './kernels/kernel.js';
import { asExecutionError } from './stream.js';

/** Longest work without an event-loop turn: 0.2 ms of BLAS, 2 ms of JavaScript. @units flops */
const SYNC_FLOPS = 4e6;

/** The value; undefined where `evaluateAsync` is better. @throws ExecutionError, SingularError */
export function evaluateSync(
  expr: Expr,
  inputs: readonly DenseMatrix[],
  context: KernelContext,
): DenseMatrix | undefined {
  const kernel = kernelFor(expr);
  if (kernel.runAsync ?? kernel.reducer) {
    if (expr.op.flops(inputs, expr.attrs, expr) > SYNC_FLOPS) return undefined;
  }
  return runNow(kernel, expr, inputs, context);
}

/** @throws ExecutionError, SingularError */
export async function evaluateAsync(
  expr: Expr,
  inputs: readonly DenseMatrix[],
  context: KernelContext,
): Promise<DenseMatrix> {
  const now = evaluateSync(expr, inputs, context);
  if (now !== undefined) return now;
  const kernel = kernelFor(expr);
  try {
    if (kernel.runAsync) return await kernel.runAsync(callOf(expr, inputs), context);
    const { attrs } = expr;
    const reducer = kernel.reducer!({ inputs, attrs, out: expr, parallel: true }, context);
    await reducer.add(inputs, { rowOffset: 0, rows: inputs[0]!.rows });
    return await reducer.result();
  } catch (error) {
    throw asExecutionError(expr, error);
  }
}

function runNow(
  kernel: Kernel<Cells>,
  expr: Expr,
  inputs: readonly DenseMatrix[],
  context: KernelContext,
): DenseMatrix {
  try {
    if (kernel.run) return kernel.run(callOf(expr, inputs), context);
    const { attrs } = expr;
    const reducer = kernel.reducer!({ inputs, attrs, out: expr, parallel: false }, context);
    void reducer.add(inputs, { rowOffset: 0, rows: inputs[0]!.rows });
    return reducer.result() as DenseMatrix;
  } catch (error) {
    throw asExecutionError(expr, error);
  }
}

function kernelFor(expr: Expr): Kernel<Cells> {
  const kernel = kernelOf.get(expr.op.name);
  if (kernel !== undefined) return kernel;
  throw new UnsupportedError(
    `${expr.op.name}: expected an operator the local CPU has a kernel for`,
    {
      op: expr.op.name,
      backend: 'cpu',
    },
  );
}

function callOf(expr: Expr, inputs: readonly DenseMatrix[]): KernelCall<Cells> {
  const block = { rowOffset: 0, rows: expr.rows, payload: expr.payload };
  return { inputs, attrs: expr.attrs, out: expr, block };
}
