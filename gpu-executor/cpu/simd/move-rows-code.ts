/** Rows that go from one sum to another, on lanes of float64. */
import { op, simd, WasmFunction } from './wasm.js';

/** Opcodes of two float64 at a time. */
const f64 = { add: 0xf0, sub: 0xf1, mul: 0xf2 } as const;

/** What is known of a move: addresses of the row and both sums, then its weight. @units bytes */
export const MOVE_BYTES = 24;
/** Rows and sums are multiples of it. @units cells */
export const MOVE_STEP = 4;

/**
 * `run(moves, end, bytes)`: takes each row, times its weight, from one sum and adds it to the other.
 * @param bytes of a row
 */
export function moveRowsModule(): Uint8Array<ArrayBuffer> {
  const code = new WasmFunction(3);
  const [move, end, bytes] = [0, 1, 2] as const;
  const [row, from, to, stop] = [0, 0, 0, 0].map(() => code.integer()) as [
    ...[number, number, number, number],
  ];
  const [weight, cells] = [code.vector(), code.vector()];
  const add = (sum: number, how: number, offset: number): void => {
    code.get(sum, sum).simd(simd.load, 0, offset).get(cells).simd(how).simd(simd.store, 0, offset);
  };
  code.loopUntil(
    () => code.get(move, end).do(op.i32GeU),
    () => {
      for (const [i, local] of [row, from, to].entries()) {
        code
          .get(move)
          .do(op.i32Load, 0, 4 * i)
          .set(local);
      }
      code.get(move).simd(simd.load64Splat, 0, 16).set(weight);
      code.get(row, bytes).do(op.i32Add).set(stop);
      code.loopUntil(
        () => code.get(row, stop).do(op.i32GeU),
        () => {
          for (let offset = 0; offset < 8 * MOVE_STEP; offset += 16) {
            code.get(row).simd(simd.load, 0, offset).get(weight).simd(f64.mul).set(cells);
            add(from, f64.sub, offset);
            add(to, f64.add, offset);
          }
          for (const local of [row, from, to]) {
            code
              .get(local)
              .int(8 * MOVE_STEP)
              .do(op.i32Add)
              .set(local);
          }
        },
      );
      code.get(move).int(MOVE_BYTES).do(op.i32Add).set(move);
    },
  );
  return code.module();
}
