/**
 * The greatest of some columns, row by row, on lanes of float32: four rows at a time, without a
 * branch, which random data would mispredict at every new maximum.
 */
import { op, simd, WasmFunction } from './wasm.js';

/** Opcodes of four float32 at a time; the greater is `b` where a < b, so NaN is never chosen. */
const f32 = { add: 0xe4, sub: 0xe5, lesser: 0xea, greater: 0xeb, gt: 0x44 } as const;

/**
 * `run(cells, constants, bytes, columns, stride, places, bounds, slack)`, addresses and sizes in
 * bytes: of each row the greatest of 0 and, for every column, its cell and the column's constant.
 * Columns are `stride` apart, and `bytes` of each are read, in steps of 16. `places` get the place
 * of the greatest, 0 for that of 0; -1 where it is not above the second by more than the row's
 * bound and the slack.
 */
export function chooseModule(): Uint8Array<ArrayBuffer> {
  const code = new WasmFunction(8);
  const [cells, constants, bytes, columns, stride] = [0, 1, 2, 3, 4] as const;
  const [places, bounds, slack] = [5, 6, 7] as const;
  const [along, column, at, constant] = [0, 0, 0, 0].map(() => code.integer()) as Four;
  const [best, second, place, next] = [0, 0, 0, 0].map(() => code.vector()) as Four;
  const [one, lowest, value, least] = [0, 0, 0, 0].map(() => code.vector()) as Four;
  const splat = (number: number): void => {
    const cell = [...new Uint8Array(Float32Array.of(number).buffer)];
    code.simd(simd.const, ...cell, ...cell, ...cell, ...cell);
  };
  code.atStart(() => {
    splat(1);
    code.set(one);
    splat(Number.NEGATIVE_INFINITY);
    code.set(lowest);
    code.get(slack).memory(simd.load32Splat).set(least);
  });
  const step = (local: number, by: () => void): void => {
    code.get(local);
    by();
    code.do(op.i32Add).set(local);
  };
  code.loopUntil(
    () => code.get(along, bytes).do(op.i32GeU),
    () => {
      for (const zero of [best, place, next]) {
        splat(0);
        code.set(zero);
      }
      code.get(lowest).set(second);
      code.get(cells, along).do(op.i32Add).set(at);
      code.get(constants).set(constant);
      code.int(0).set(column);
      code.loopUntil(
        () => code.get(column, columns).do(op.i32GeU),
        () => {
          code.get(at).memory(simd.load);
          code.get(constant).memory(simd.load32Splat).simd(f32.add).set(value);
          code.get(next, one).simd(f32.add).set(next);
          code.get(second, best, value).simd(f32.lesser).simd(f32.greater).set(second);
          code.get(next, place, value, best).simd(f32.gt).simd(simd.bitselect).set(place);
          code.get(best, value).simd(f32.greater).set(best);
          step(at, () => code.get(stride));
          step(constant, () => code.int(4));
          step(column, () => code.int(1));
        },
      );
      code.get(places, along).do(op.i32Add).get(place);
      splat(-1);
      code.get(best, second).simd(f32.sub);
      code.get(bounds, along).do(op.i32Add).memory(simd.load).get(least).simd(f32.add);
      code.simd(f32.gt).simd(simd.bitselect).memory(simd.store);
      step(along, () => code.int(16));
    },
  );
  return code.module();
}

type Four = [number, number, number, number];
