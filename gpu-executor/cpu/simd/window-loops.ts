/**
 * What all loops over the windows of one image share: the rows of places, which taps lie inside the
 * image, runs of channels in vectors. Taps inside differ from column to column at the borders only:
 * columns of like taps share a loop, in which those taps stand one after the other.
 */
import { cellBytes, type DType } from '../../../driver/ir/dtype.js';
import type { ImageWindow } from '../../../driver/operators/image-window.js';
import { op, simd, unsigned, WasmFunction } from './wasm.js';

/** A window over images, and the channels of a pixel that are taken. */
export interface LaneWindow {
  readonly window: ImageWindow;
  readonly dtype: DType;
  /** Of the image's channels: those of a group. */
  readonly taken: number;
}

const CODES = {
  float32: {
    ...{ add: 0xe4, mul: 0xe6, max: 0xe9, equal: 0x41, unequal: 0x42 },
    least: [0, 0, 0x80, 0xff, 0, 0, 0x80, 0xff, 0, 0, 0x80, 0xff, 0, 0, 0x80, 0xff],
  },
  float64: {
    ...{ add: 0xf0, mul: 0xf2, max: 0xf5, equal: 0x47, unequal: 0x48 },
    least: [0, 0, 0, 0, 0, 0, 0xf0, 0xff, 0, 0, 0, 0, 0, 0, 0xf0, 0xff],
  },
} as const;

/** Vectors that hold sums at the same time. */
export const SUMS = 8;
/** Taps of a row that are written out one after the other; more are a loop. */
export const UNROLLED = 8;

/** LikeColumns of places [from, to) under whose window lie the taps [first, last) of each row. */
export interface LikeColumns {
  readonly from: number;
  readonly to: number;
  readonly first: number;
  readonly last: number;
}

/** Parameters of the function. */
export const [FIRST, LAST, IMAGE, PLACES, TAPS] = [0, 1, 2, 3, 4] as const;

export class WindowLoops {
  readonly window: ImageWindow;
  readonly code = new WasmFunction(5);
  readonly codes: (typeof CODES)[DType];
  readonly cell: number;
  /** Of a pixel of the image, and of what is taken of it. @units bytes */
  readonly pixel: number;
  readonly run: number;
  /** Rows of the window that lie inside the image: [from, to). */
  readonly from: number;
  readonly to: number;
  /** Where the first of them begins. */
  readonly line: number;
  /** The pixel under the first tap. */
  readonly at: number;
  readonly column: number;
  /** Bytes along the channels. */
  readonly along: number;
  readonly row: number;
  readonly tap: number;
  readonly place: number;
  /** A loop's end. */
  readonly end: number;
  readonly cells: readonly number[];
  readonly value: number;
  readonly zero: number;

  constructor({ window, dtype, taken }: LaneWindow) {
    this.window = window;
    this.codes = CODES[dtype];
    this.cell = cellBytes({ dtype });
    this.pixel = window.channels * this.cell;
    this.run = taken * this.cell;
    const code = this.code;
    [this.from, this.to, this.line, this.at, this.column] = Array.from({ length: 5 }, () =>
      code.integer(),
    ) as [number, number, number, number, number];
    [this.along, this.row, this.tap, this.place, this.end] = Array.from({ length: 5 }, () =>
      code.integer(),
    ) as [number, number, number, number, number];
    this.cells = Array.from({ length: SUMS }, () => code.vector());
    this.value = code.vector();
    this.zero = code.vector();
  }

  /** The rows of the window inside the image at this row of places, and where they begin. */
  findRows(): void {
    const code = this.code;
    const { height, width, strideDown, top, dilationDown, windowHeight } = this.window;
    const y = this.row;
    code.get(FIRST).int(strideDown).do(op.i32Mul).int(-top).do(op.i32Add).set(y);
    // ceil(-y / dilation) within [0, rows], min(rows, floor((height - 1 - y) / dilation) + 1)
    code
      .int(dilationDown - 1)
      .get(y)
      .do(op.i32Sub)
      .int(dilationDown)
      .do(op.i32DivS);
    code.set(this.from);
    code.get(this.from).int(0).get(this.from).int(0).do(op.i32GtS, op.select).set(this.from);
    code.get(this.from).int(windowHeight).get(this.from).int(windowHeight);
    code.do(op.i32LtS, op.select).set(this.from);
    code
      .int(height - 1 + dilationDown)
      .get(y)
      .do(op.i32Sub)
      .int(dilationDown)
      .do(op.i32DivS);
    code.set(this.to);
    code.get(this.to).int(windowHeight).get(this.to).int(windowHeight).do(op.i32LtS, op.select);
    code.set(this.to);
    code.get(this.from).int(dilationDown).do(op.i32Mul).get(y).do(op.i32Add);
    code
      .int(width * this.pixel)
      .do(op.i32Mul)
      .get(IMAGE)
      .do(op.i32Add)
      .set(this.line);
  }

  columns(): LikeColumns[] {
    const { outWidth, width, windowWidth, strideAcross, dilationAcross, left } = this.window;
    const all: { from: number; to: number; first: number; last: number }[] = [];
    for (let at = 0; at < outWidth; at++) {
      const x = at * strideAcross - left;
      const first = Math.min(windowWidth, Math.max(0, Math.ceil(-x / dilationAcross)));
      const inside = Math.floor((width - 1 - x) / dilationAcross) + 1;
      const last = Math.max(first, Math.min(windowWidth, inside));
      const before = all.at(-1);
      if (before?.first === first && before.last === last) before.to = at + 1;
      else all.push({ from: at, to: at + 1, first, last });
    }
    return all;
  }

  /** Vectors together, and how a run is divided: so many at once, then the rest, then cells. */
  #vectors(most: number): readonly [together: number, rest: number, cells: number] {
    const all = Math.floor(this.run / 16);
    const together = Math.min(most, all);
    return [together, together === 0 ? 0 : all % together, (this.run % 16) / this.cell];
  }

  /**
   * Runs the body for all parts of a run, `along` bytes from its start.
   * @param most vectors at once
   */
  eachRun(body: (step: number, vectors: number) => void, most = SUMS / 2): void {
    const code = this.code;
    const [together, rest, cells] = this.#vectors(most);
    code.int(0).set(this.along);
    const part = (bytes: number, vectors: number): void => {
      body(bytes, vectors);
      this.step(this.along, bytes);
    };
    const whole = together === 0 ? 0 : Math.floor(this.run / 16 / together);
    if (whole === 1) part(together * 16, together);
    else if (whole > 1) {
      const stop = whole * together * 16;
      code.loopUntil(
        () => code.get(this.along).int(stop).do(op.i32GeU),
        () => part(together * 16, together),
      );
    }
    if (rest > 0) part(rest * 16, rest);
    if (cells === 0) return;
    code.loopUntil(
      () => code.get(this.along).int(this.run).do(op.i32GeU),
      () => part(this.cell, 1),
    );
  }

  /** Runs the body for each tap of the window inside the image, from `at` and from `TAPS` on. */
  eachTap({ first, last }: LikeColumns, body: (pixel: number, tap: number) => void): void {
    const code = this.code;
    const { width, windowWidth, dilationDown, dilationAcross } = this.window;
    const [line, row] = [dilationDown * width * this.pixel, windowWidth * this.run];
    const across = dilationAcross * this.pixel;
    const y = this.end;
    code.get(this.at, this.along).do(op.i32Add).set(this.row);
    code
      .get(this.from)
      .int(row)
      .do(op.i32Mul)
      .int(first * this.run)
      .do(op.i32Add);
    code.get(TAPS, this.along).do(op.i32Add, op.i32Add).set(this.tap);
    code.get(this.from).set(y);
    code.loopUntil(
      () => code.get(y, this.to).do(op.i32GeS),
      () => {
        if (last - first <= UNROLLED) {
          for (let tap = 0; tap < last - first; tap++) body(tap * across, tap * this.run);
          this.step(this.row, line);
          this.step(this.tap, row);
        } else {
          const x = this.place;
          code.int(first).set(x);
          code.loopUntil(
            () => code.get(x).int(last).do(op.i32GeS),
            () => {
              body(0, 0);
              this.step(this.row, across);
              this.step(this.tap, this.run);
              this.step(x, 1);
            },
          );
          this.step(this.row, line - (last - first) * across);
          this.step(this.tap, row - (last - first) * this.run);
        }
        this.step(y, 1);
      },
    );
  }

  step(local: number, by: number): void {
    this.code.get(local).int(by).do(op.i32Add).set(local);
  }

  load(local: number, offset: number, isOne: boolean): void {
    this.code.get(local);
    this.loadHere(offset, isOne);
  }

  loadHere(offset: number, isOne: boolean): void {
    const splat = this.cell === 4 ? simd.load32Splat : simd.load64Splat;
    this.code.simd(isOne ? splat : simd.load, 0, ...unsigned(offset));
  }

  /** Of the vector on the stack, to the address below it. */
  store(offset: number, isOne: boolean): void {
    const lane = this.cell === 4 ? simd.store32Lane : simd.store64Lane;
    if (isOne) this.code.simd(lane, 0, ...unsigned(offset), 0);
    else this.code.simd(simd.store, 0, ...unsigned(offset));
  }
}
