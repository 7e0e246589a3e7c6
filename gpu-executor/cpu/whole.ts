/** Evaluates one operator over whole host values: at once when short, else on the thread pool. */
import { UnsupportedError } from '../../driver/errors.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { Cells, DenseMatrix } from '../../driver/ir/value.js';
import { kernelOf } from './kernels/index.js';
import type { Kernel, KernelCall, KernelContext } from './kernels/kernel.js';
import { planRows } from './rows/row-program.js';
import { runRows } from './rows/run-rows.js';
import { asExecutionError, type StreamContext } from './stream.js';
import type { StreamPass } from './stream-pass.js';

/** Longest work without an event-loop turn: 0.2 ms of BLAS, 2 ms of JavaScript. @units flops */
const SYNC_FLOPS = 4e6;

/** The value; undefined where `evaluateAsync` is better. @throws ExecutionError, SingularError */
export function evaluateSync(
  expr: Expr,
  inputs: readonly DenseMatrix[],
  context: KernelContext,
): DenseMatrix | undefined {
  const kernel = kernelFor(expr, context);
  return isLong(kernel, expr, inputs) ? undefined : runNow(kernel, expr, inputs, context);
}

/** `evaluateSync` of one node again and again: what follows from its shapes is found once. */
export function evaluatesAgain(
  expr: Expr,
  context: KernelContext,
): (inputs: readonly DenseMatrix[]) => DenseMatrix | undefined {
  let kernel: Kernel<Cells> | undefined;
  let isAsync = false;
  return (inputs) => {
    if (kernel === undefined) {
      kernel = kernelFor(expr, context);
      isAsync = isLong(kernel, expr, inputs);
    }
    return isAsync ? undefined : runNow(kernel, expr, inputs, context);
  };
}

/** Too long for a call that the event loop waits for, and there is another. */
function isLong(kernel: Kernel<Cells>, expr: Expr, inputs: readonly DenseMatrix[]): boolean {
  const hasOther = kernel.isThreaded ?? kernel.runAsync ?? reducerOf(kernel, expr);
  return Boolean(hasOther) && expr.op.flops(inputs, expr.attrs, expr) > SYNC_FLOPS;
}

/** @throws ExecutionError, SingularError */
export async function evaluateAsync(
  expr: Expr,
  inputs: readonly DenseMatrix[],
  stream: StreamContext,
): Promise<DenseMatrix> {
  const context = stream.kernels;
  const now = evaluateSync(expr, inputs, context);
  if (now !== undefined) return now;
  const kernel = kernelFor(expr, context);
  const reducer = reducerOf(kernel, expr);
  if (kernel.isThreaded && kernel.run && !reducer)
    return runByThreads(kernel, expr, inputs, stream);
  countProvided(kernel, expr, context);
  try {
    if (kernel.runAsync) return await kernel.runAsync(callOf(expr, inputs), context);
    const { attrs } = expr;
    const sums = reducer!({ inputs, attrs, out: expr, parallel: true }, context);
    await sums.add(inputs, { rowOffset: 0, rows: inputs[0]!.rows });
    return await sums.result();
  } catch (error) {
    throw asExecutionError(expr, error);
  }
}

/** Whether rows of it, once they are long, run side by side on threads. */
export function isThreaded(expr: Expr, context: KernelContext): boolean {
  return kernelFor(expr, context).isThreaded === true;
}

/** As a pass over its rows. */
async function runByThreads(
  kernel: Kernel<Cells>,
  expr: Expr,
  inputs: readonly DenseMatrix[],
  stream: StreamContext,
): Promise<DenseMatrix> {
  const values = new Map(expr.inputs.map((input, i) => [input, inputs[i]!]));
  const { rows } = expr;
  const pass = { rows, nodes: [expr], sinks: [], kept: [expr], values, parts: noParts };
  const plan = planRows(pass, stream.kernels.choice);
  if (plan === undefined) return runNow(kernel, expr, inputs, stream.kernels);
  return (await runRows(pass, plan, stream)).get(expr)!;
}

const noParts: StreamPass['parts'] = new Map();

function runNow(
  kernel: Kernel<Cells>,
  expr: Expr,
  inputs: readonly DenseMatrix[],
  context: KernelContext,
): DenseMatrix {
  countProvided(kernel, expr, context);
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

/** What reduces the rows of this node; its kernel may do so by other attributes only. */
function reducerOf({ reducer }: Kernel<Cells>, { op, inputs, attrs }: Expr): typeof reducer {
  return op.rowRule(inputs, attrs).kind === 'reduce' ? reducer : undefined;
}

function kernelFor(expr: Expr, { choice }: KernelContext): Kernel<Cells> {
  const kernel = choice?.kernelFor(expr) ?? kernelOf.get(expr.op.name);
  if (kernel !== undefined) return kernel;
  throw new UnsupportedError(
    `${expr.op.name}: expected an operator the local CPU has a kernel for`,
    {
      op: expr.op.name,
      backend: 'cpu',
    },
  );
}

function countProvided(kernel: Kernel<Cells>, expr: Expr, { choice }: KernelContext): void {
  if (kernel !== kernelOf.get(expr.op.name)) choice?.count(expr);
}

function callOf(expr: Expr, inputs: readonly DenseMatrix[]): KernelCall<Cells> {
  const block = { rowOffset: 0, rows: expr.rows, payload: expr.payload };
  return { inputs, attrs: expr.attrs, out: expr, block };
}
