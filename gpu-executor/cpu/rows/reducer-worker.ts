/** The thread of `reducer-thread.ts`. It loads no other kernels than it runs, and no library. */
import { parentPort } from 'node:worker_threads';
import type { Float64Matrix } from '../../../driver/ir/value.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import { loadKoffi } from '../../koffi.js';
import { besideKernels } from '../kernels/beside.js';
import { allocateFresh, type Reducer } from '../kernels/kernel.js';
import { JavaScriptRoutines } from '../native/js-blas.js';
import type { ReducerReport, ReducerTask } from './reducer-thread.js';
import { MatrixReader } from './sent-matrix.js';

const koffi = loadKoffi();
const reader = new MatrixReader((address, bytes) => koffi.view(address, bytes));
const context = { blas: new JavaScriptRoutines('unused'), allocate: allocateFresh };
/** Those of passes that were ended are never asked for their value. */
const reducers = new Map<number, Reducer>();
const MAX_REDUCERS = 256;

function answer({ reducer: number, made, inputs, block }: ReducerTask): Float64Matrix | undefined {
  if (made !== undefined) {
    const { op, attrs, out } = made;
    const call = { attrs, out: { ...out, dtype: 'float64' }, inputs: [], parallel: false } as const;
    reducers.set(number, besideKernels.get(op)!.reducer!(call, context));
    forgetOldest(reducers, MAX_REDUCERS);
  }
  const reducer = reducers.get(number)!;
  if (inputs !== undefined) {
    void reducer.add(inputs.map((input) => reader.matrix(input)) as Float64Matrix[], block!);
    return undefined;
  }
  reducers.delete(number);
  return reducer.result() as Float64Matrix;
}

parentPort!.on('message', (task: ReducerTask) => {
  const { id } = task;
  let report: ReducerReport;
  try {
    const value = answer(task);
    report = value === undefined ? { id } : { id, value };
  } catch (error) {
    report = { id, error };
  }
  parentPort!.postMessage(report);
});
