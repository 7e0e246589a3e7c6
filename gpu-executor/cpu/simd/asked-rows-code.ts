/**
 * Compressed rows against tables of factors, on lanes of float64: dot products of a row of one
 * factor with those rows of the other that the columns name, and rows added times a number a cell.
 * A row of a factor takes a multiple of 16 bytes.
 */
import { op, simd, WasmFunction } from './wasm.js';

const ADD = 0xf0;
const MULTIPLY = 0xf2;
const DIVIDE = 0xf3;
const LESS = 0x49;
const UNEQUAL = 0x48;
const SWAPPED = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];

/** Parameters of both functions. All are addresses but the last. */
const ENDS = 0;
const LAST = 1;
const COLUMN = 2;
const NUMBER = 3;
const ROW = 4;
const TABLE = 5;
const BYTES = 6;

/** Where the two rows of a cell lie, and how far the first goes. */
interface CellLocals {
  readonly at: number;
  /** The row of the table. */
  readonly other: number;
  readonly stop: number;
  /** The end of what is read 32 bytes at a time. */
  readonly wide: number;
}

/** Runs the body for each cell of each row, at the beginning of both rows. */
function eachCell(code: WasmFunction, body: (locals: CellLocals) => void): void {
  const locals = {
    at: code.integer(),
    other: code.integer(),
    stop: code.integer(),
    wide: code.integer(),
  };
  const end = code.integer();
  code.loopUntil(
    () => code.get(ENDS, LAST).do(op.i32GeU),
    () => {
      code.get(ENDS).do(op.i32Load, 0, 0).set(end);
      code.get(ROW, BYTES).do(op.i32Add).set(locals.stop);
      code.get(ROW, BYTES).int(-32).do(op.i32And, op.i32Add).set(locals.wide);
      code.loopUntil(
        () => code.get(COLUMN, end).do(op.i32GeU),
        () => {
          code.get(TABLE, COLUMN).do(op.i32Load, 0, 0).get(BYTES).do(op.i32Mul, op.i32Add);
          code.set(locals.other);
          code.get(ROW).set(locals.at);
          body(locals);
          step(code, COLUMN, 4);
          step(code, NUMBER, 8);
        },
      );
      code.get(ROW, BYTES).do(op.i32Add).set(ROW);
      step(code, ENDS, 4);
    },
  );
}

function step(code: WasmFunction, local: number, bytes: number): void {
  code.get(local).int(bytes).do(op.i32Add).set(local);
}

/**
 * `run(ends, last, column, number, row, table, bytes)`: writes the dot product of each row with the
 * table's row of each of its columns.
 * @param ends of the columns of each row, up to `last` @param bytes of a row of a factor
 */
export function dotRowsModule(): Uint8Array<ArrayBuffer> {
  const code = new WasmFunction(7);
  const sums = [code.vector(), code.vector()] as const;
  eachCell(code, ({ at, other, stop, wide }) => {
    const add = (sum: number, offset: number): void => {
      code.get(sum, at).simd(simd.load, 0, offset).get(other).simd(simd.load, 0, offset);
      code.simd(MULTIPLY).simd(ADD).set(sum);
    };
    for (const sum of sums) code.simd(simd.const, ...Array(16).fill(0)).set(sum);
    // Two sums, since each waits for its last addition.
    code.loopUntil(
      () => code.get(at, wide).do(op.i32GeU),
      () => {
        for (const [i, sum] of sums.entries()) add(sum, 16 * i);
        for (const local of [at, other]) step(code, local, 32);
      },
    );
    code.loopUntil(
      () => code.get(at, stop).do(op.i32GeU),
      () => {
        add(sums[0], 0);
        for (const local of [at, other]) step(code, local, 16);
      },
    );
    const [total, rest] = sums;
    code.get(total, rest).simd(ADD).set(total);
    code
      .get(NUMBER, total, total, total)
      .simd(simd.shuffle, ...SWAPPED)
      .simd(ADD);
    code.simd(simd.store64Lane, 0, 0, 0);
  });
  return code.module();
}

/**
 * The same parameters: adds, times the number of each cell, the table's row to the row or the row to
 * that of the table.
 */
export function addScaledRowsModule(isToRow: boolean): Uint8Array<ArrayBuffer> {
  const code = new WasmFunction(7);
  const number = code.vector();
  eachCell(code, ({ at, other, stop, wide }) => {
    const [to, from] = isToRow ? [at, other] : [other, at];
    const add = (offset: number): void => {
      code.get(to, to).simd(simd.load, 0, offset).get(number, from).simd(simd.load, 0, offset);
      code.simd(MULTIPLY).simd(ADD).simd(simd.store, 0, offset);
    };
    code.get(NUMBER).simd(simd.load64Splat, 0, 0).set(number);
    for (const [stride, end] of [
      [32, wide],
      [16, stop],
    ] as const) {
      code.loopUntil(
        () => code.get(at, end).do(op.i32GeU),
        () => {
          for (let offset = 0; offset < stride; offset += 16) add(offset);
          for (const local of [at, other]) step(code, local, stride);
        },
      );
    }
  });
  return code.module();
}

/**
 * `run(number, last, cell, guard)`: puts cell / max(number + plus, least) in the place of each number,
 * two at a time; 0 where the cell is 0.
 * @param guard where plus and least lie
 */
export function quotientsModule(): Uint8Array<ArrayBuffer> {
  const code = new WasmFunction(4);
  const [number, last, cell, guard] = [0, 1, 2, 3] as const;
  const [plus, least, zero] = [code.vector(), code.vector(), code.vector()];
  const [divisor, dividend] = [code.vector(), code.vector()];
  code.get(guard).simd(simd.load64Splat, 0, 0).set(plus);
  code.get(guard).simd(simd.load64Splat, 0, 8).set(least);
  code.simd(simd.const, ...Array(16).fill(0)).set(zero);
  code.loopUntil(
    () => code.get(number, last).do(op.i32GeU),
    () => {
      code.get(number).simd(simd.load, 0, 0).get(plus).simd(ADD).set(divisor);
      code.get(least, divisor, divisor, least).simd(LESS).simd(simd.bitselect).set(divisor);
      code.get(cell).simd(simd.load, 0, 0).set(dividend);
      code.get(number, dividend, divisor).simd(DIVIDE);
      code.get(dividend, zero).simd(UNEQUAL).simd(simd.and).simd(simd.store, 0, 0);
      for (const local of [number, cell]) step(code, local, 16);
    },
  );
  return code.module();
}
