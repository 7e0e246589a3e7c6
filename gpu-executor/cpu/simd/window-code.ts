/**
 * Sums of products of runs of cells, or their greatest, on lanes: what a depthwise convolution, its
 * gradients and a pool do at each place of a window, all channels of a pixel being a run. What is
 * summed stays in registers until it is written.
 */
import type { DType } from '../../../driver/ir/dtype.js';
import { op, simd, WasmFunction } from './wasm.js';

/**
 * `sum`: out += the products of the runs a and b of each pair. `max`: out = the greatest of out and
 * the runs a.
 */
export type WindowFold = 'sum' | 'max';

/** Of a task: what is added to the addresses of out, a and b, then its pairs [from, to). */
export const TASK_BYTES = 20;
/** Of a pair: a and b, counted from those of its task. @units bytes */
export const PAIR_BYTES = 8;

const CODES = {
  float32: { add: 0xe4, mul: 0xe6, max: 0xe9 },
  float64: { add: 0xf0, mul: 0xf2, max: 0xf5 },
} as const;

/** `run(task, lastTask, out, a, b, bytes)`: addresses; `bytes` of a run. */
export function windowModule(fold: WindowFold, dtype: DType): Uint8Array<ArrayBuffer> {
  const codes = CODES[dtype];
  const code = new WasmFunction(6);
  const [task, lastTask, out, a, b, bytes] = [0, 1, 2, 3, 4, 5] as const;
  const [to, firstA, firstB, firstPair, lastPair, pair] = Array.from({ length: 6 }, () =>
    code.integer(),
  ) as [number, number, number, number, number, number];
  const [at, fromA, fromB] = [code.integer(), code.integer(), code.integer()];
  const sums = Array.from({ length: 4 }, () => code.vector());
  const cellBytes = dtype === 'float32' ? 4 : 8;
  const field = (local: number, offset: number, base?: number): void => {
    code.get(task).do(op.i32Load, 2, offset);
    if (base !== undefined) code.get(base).do(op.i32Add);
    code.set(local);
  };
  const load = (from: number, offset: number, isSplat: boolean): void => {
    const splat = dtype === 'float32' ? simd.load32Splat : simd.load64Splat;
    code.get(from).simd(isSplat ? splat : simd.load, 0, offset);
  };
  /** One run of `step` bytes of each pair. */
  const columns = (step: number): void => {
    const isOne = step < 16;
    const used = sums.slice(0, Math.max(1, step / 16));
    for (const [i, sum] of used.entries()) {
      code.get(to, at).do(op.i32Add).set(fromA);
      load(fromA, 16 * i, isOne);
      code.set(sum);
    }
    code.get(firstPair).set(pair);
    code.loopUntil(
      () => code.get(pair, lastPair).do(op.i32GeU),
      () => {
        code.get(pair).do(op.i32Load, 2, 0).get(firstA, at).do(op.i32Add, op.i32Add).set(fromA);
        if (fold === 'sum') {
          code.get(pair).do(op.i32Load, 2, 4).get(firstB, at).do(op.i32Add, op.i32Add).set(fromB);
        }
        for (const [i, sum] of used.entries()) {
          code.get(sum);
          load(fromA, 16 * i, isOne);
          if (fold === 'sum') {
            load(fromB, 16 * i, isOne);
            code.simd(codes.mul).simd(codes.add);
          } else code.simd(codes.max);
          code.set(sum);
        }
        code.get(pair).int(PAIR_BYTES).do(op.i32Add).set(pair);
      },
    );
    for (const [i, sum] of used.entries()) {
      code.get(to, at).do(op.i32Add).get(sum);
      if (!isOne) code.simd(simd.store, 0, 16 * i);
      else code.simd(cellBytes === 4 ? simd.store32Lane : simd.store64Lane, 0, 0, 0);
    }
    code.get(at).int(step).do(op.i32Add).set(at);
  };
  const steps = [64, 16, cellBytes].map((step) => ({ step, stop: code.integer() }));
  for (const { step, stop } of steps) code.get(bytes).int(-step).do(op.i32And).set(stop);
  code.loopUntil(
    () => code.get(task, lastTask).do(op.i32GeU),
    () => {
      field(to, 0, out);
      field(firstA, 4, a);
      field(firstB, 8, b);
      field(firstPair, 12);
      field(lastPair, 16);
      code.int(0).set(at);
      for (const { step, stop } of steps) {
        code.loopUntil(
          () => code.get(at, stop).do(op.i32GeU),
          () => columns(step),
        );
      }
      code.get(task).int(TASK_BYTES).do(op.i32Add).set(task);
    },
  );
  return code.module();
}
