/** Rows that are added to other rows, on lanes of float64. */
import { op, simd, WasmFunction } from './wasm.js';

const ADD = 0xf0;

/** Two addresses: of the row that is added, and of the one it is added to. @units bytes */
export const ADD_BYTES = 8;

/**
 * `run(additions, end, bytes)`: makes one addition after the other.
 * @param bytes of a row of cells
 */
export function addRowsModule(): Uint8Array<ArrayBuffer> {
  const code = new WasmFunction(3);
  const [addition, end, bytes] = [0, 1, 2] as const;
  const [from, to] = [code.integer(), code.integer()];
  // Eight cells a turn, then two, then the last one.
  const steps = [64, 16, 8].map((step) => ({ step, stop: code.integer() }));
  code.loopUntil(
    () => code.get(addition, end).do(op.i32GeU),
    () => {
      code.get(addition).do(op.i32Load, 0, 0).set(from);
      code.get(addition).do(op.i32Load, 0, 4).set(to);
      for (const { step, stop } of steps) {
        code.get(from, bytes).int(-step).do(op.i32And, op.i32Add).set(stop);
      }
      for (const { step, stop } of steps) {
        code.loopUntil(
          () => code.get(from, stop).do(op.i32GeU),
          () => {
            for (let offset = 0; offset < step; offset += 16) {
              const load = step === 8 ? simd.load64Splat : simd.load;
              const store = step === 8 ? [simd.store64Lane, 0, 0, 0] : [simd.store, 0, offset];
              code.get(to, to).simd(load, 0, offset).get(from).simd(load, 0, offset);
              code.simd(ADD).simd(...(store as [number, ...number[]]));
            }
            for (const local of [from, to]) code.get(local).int(step).do(op.i32Add).set(local);
          },
        );
      }
      code.get(addition).int(ADD_BYTES).do(op.i32Add).set(addition);
    },
  );
  return code.module();
}
