/**
 * Windows that move over one image, as loops of WebAssembly written for one geometry: depthwise
 * convolutions and their gradients, pools, and pixels copied side by side for products (im2col) and
 * added back. Channels of a pixel lie together, so lanes go along them. Sums go
 * tap by tap in the order of the window.
 */
import { tapsOf } from '../../../driver/operators/image-window.js';
import { op, simd } from './wasm.js';
import {
  FIRST,
  IMAGE,
  LAST,
  type LaneWindow,
  type LikeColumns,
  PLACES,
  SUMS,
  TAPS,
  UNROLLED,
  WindowLoops,
} from './window-loops.js';

/**
 * `sum`: places = what lies behind the last tap, plus the image times the taps, channel by channel.
 * `max`: places = the greatest cells of the image. `image`, `taps`: += the gradient of `sum`. `copy`:
 * taps = the pixels under the window, place by place, zeros beyond the border. `addBack`: the image
 * += those. `route`: taps, an image, += the places where `max` found them, the first of equal ones.
 */
export type WindowWork = 'sum' | 'max' | 'image' | 'taps' | 'copy' | 'addBack' | 'route';

/** Longer runs are copied in a loop. @units bytes */
const LONG_BYTES = 256;

/**
 * `run(first, last, image, places, taps)`: places of those rows of one image. Addresses are that of
 * the image, of the first of those places, and of the filters or of the first place's copies.
 */
export function windowModule(work: WindowWork, geometry: LaneWindow): Uint8Array<ArrayBuffer> {
  const loops = new WindowLoops(geometry);
  const code = loops.code;
  code.loopUntil(
    () => code.get(FIRST, LAST).do(op.i32GeU),
    () => {
      loops.findRows();
      if (work === 'taps') gradientOfTaps(loops);
      else if (work === 'sum' || work === 'max') foldPlaces(loops, work);
      else for (const columns of loops.columns()) eachPlace(loops, work, columns);
      loops.step(FIRST, 1);
    },
  );
  return code.module();
}

function eachPlace(loops: WindowLoops, work: WindowWork, columns: LikeColumns): void {
  alongPlaces(loops, columns, 1, () => {
    if (work === 'copy' || work === 'addBack') {
      moveTaps(loops, work, columns);
      return;
    }
    loops.eachRun((step, vectors) => {
      if (work === 'route') route(loops, columns, step, vectors);
      else spread(loops, columns, step, vectors);
    });
    loops.step(PLACES, loops.run);
  });
}

/** Runs the body for so many places side by side, then for those left one by one. */
function alongPlaces(
  loops: WindowLoops,
  { from, to, first }: LikeColumns,
  together: number,
  body: (count: number) => void,
): void {
  const { strideAcross, dilationAcross, left } = loops.window;
  const code = loops.code;
  const start = from * strideAcross - left + first * dilationAcross;
  code
    .get(loops.line)
    .int(start * loops.pixel)
    .do(op.i32Add)
    .set(loops.at);
  code.int(from).set(loops.column);
  for (const count of together > 1 ? [together, 1] : [1]) {
    code.loopUntil(
      () =>
        code
          .get(loops.column)
          .int(to - count + 1)
          .do(op.i32GeS),
      () => {
        body(count);
        loops.step(loops.at, count * strideAcross * loops.pixel);
        loops.step(loops.column, count);
      },
    );
  }
}

/**
 * A row of places, some channels after the other: the pixels of a few channels that neighbouring
 * places share stay in the nearest cache, which those of all channels would not.
 */
function foldPlaces(loops: WindowLoops, work: 'sum' | 'max'): void {
  const { outWidth } = loops.window;
  loops.eachRun((step, vectors) => {
    for (const columns of loops.columns()) {
      const isLoop = columns.last - columns.first > UNROLLED;
      alongPlaces(loops, columns, isLoop ? 1 : Math.floor(SUMS / vectors), (count) => {
        sums(loops, work, columns, step, vectors, count);
        loops.step(PLACES, count * loops.run);
      });
    }
    loops.step(PLACES, -outWidth * loops.run);
    // More places beside fewer channels read each tap for more sums.
  }, SUMS / 4);
  loops.step(PLACES, outWidth * loops.run);
}

/** Places side by side: their sums, or greatest cells, stay in registers. */
function sums(
  loops: WindowLoops,
  work: 'sum' | 'max',
  columns: LikeColumns,
  step: number,
  vectors: number,
  places: number,
): void {
  const code = loops.code;
  const isOne = step < 16;
  const { strideAcross } = loops.window;
  const each = (visit: (sum: number, place: number, vector: number) => void): void => {
    for (let place = 0; place < places; place++) {
      for (let v = 0; v < vectors; v++) visit(loops.cells[place * vectors + v]!, place, v);
    }
  };
  const target = loops.row;
  code.get(TAPS, loops.along).do(op.i32Add).set(target);
  each((sum, _place, v) => {
    if (work === 'sum') loops.load(target, tapsOf(loops.window) * loops.run + 16 * v, isOne);
    else code.simd(simd.const, ...loops.codes.least);
    code.set(sum);
  });
  loops.eachTap(columns, (pixel, tap) => {
    for (let v = 0; v < vectors; v++) {
      if (work === 'sum') {
        loops.load(loops.tap, tap + 16 * v, isOne);
        code.set(loops.value);
      }
      for (let place = 0; place < places; place++) {
        const sum = loops.cells[place * vectors + v]!;
        code.get(sum);
        loops.load(loops.row, pixel + place * strideAcross * loops.pixel + 16 * v, isOne);
        if (work === 'sum') code.get(loops.value).simd(loops.codes.mul).simd(loops.codes.add);
        else code.simd(loops.codes.max);
        code.set(sum);
      }
    }
  });
  code.get(PLACES, loops.along).do(op.i32Add).set(target);
  each((sum, place, v) => {
    code.get(target, sum);
    loops.store(place * loops.run + 16 * v, isOne);
  });
}

/** The place's cells times each tap, added to the pixels. */
function spread(loops: WindowLoops, columns: LikeColumns, step: number, vectors: number): void {
  const code = loops.code;
  const isOne = step < 16;
  code.get(PLACES, loops.along).do(op.i32Add).set(loops.row);
  for (let v = 0; v < vectors; v++) {
    loops.load(loops.row, 16 * v, isOne);
    code.set(loops.cells[v]!);
  }
  loops.eachTap(columns, (pixel, tap) => {
    for (let v = 0; v < vectors; v++) {
      code.get(loops.row);
      loops.load(loops.row, pixel + 16 * v, isOne);
      loops.load(loops.tap, tap + 16 * v, isOne);
      code.get(loops.cells[v]!).simd(loops.codes.mul).simd(loops.codes.add);
      loops.store(pixel + 16 * v, isOne);
    }
  });
}

/** The greatest cell under the window, then the place's cell to the first that equals it. */
function route(loops: WindowLoops, columns: LikeColumns, step: number, vectors: number): void {
  const { code, codes } = loops;
  const isOne = step < 16;
  const greatest = loops.cells.slice(0, vectors);
  const isOpen = loops.cells.slice(SUMS / 2, SUMS / 2 + vectors);
  for (const cell of greatest) code.simd(simd.const, ...codes.least).set(cell);
  loops.eachTap(columns, (pixel) => {
    for (const [v, cell] of greatest.entries()) {
      code.get(cell);
      loops.load(loops.row, pixel + 16 * v, isOne);
      code.simd(codes.max).set(cell);
    }
  });
  for (const open of isOpen) code.simd(simd.const, ...Array<number>(16).fill(0xff)).set(open);
  loops.eachTap(columns, (pixel) => {
    for (const [v, open] of isOpen.entries()) {
      loops.load(loops.row, pixel + 16 * v, isOne);
      code.set(loops.value);
      // NaN is the greatest of all.
      code.get(loops.value, greatest[v]!).simd(codes.equal);
      code.get(loops.value, loops.value).simd(codes.unequal).simd(simd.or);
      code.get(open).simd(simd.and).set(loops.value);
      code.get(open, loops.value).simd(simd.andNot).set(open);
      code.get(loops.row, TAPS).do(op.i32Add).get(IMAGE).do(op.i32Sub).set(loops.tap);
      code.get(loops.tap);
      loops.load(loops.tap, pixel + 16 * v, isOne);
      code.get(PLACES, loops.along).do(op.i32Add);
      loops.loadHere(16 * v, isOne);
      code.get(loops.value).simd(simd.and).simd(codes.add);
      loops.store(pixel + 16 * v, isOne);
    }
  });
}

/** The taps of one row of places are a sum of their own, which stays in registers. */
function gradientOfTaps(loops: WindowLoops): void {
  const code = loops.code;
  const { width, outWidth, windowWidth, strideAcross, left } = loops.window;
  const { dilationDown, dilationAcross } = loops.window;
  const y = loops.end;
  code.get(loops.from).set(y);
  code.loopUntil(
    () => code.get(y, loops.to).do(op.i32GeS),
    () => {
      for (let tap = 0; tap < windowWidth; tap++) {
        const beyond = left - tap * dilationAcross;
        const first = Math.max(0, Math.ceil(beyond / strideAcross));
        const last = Math.min(outWidth, Math.floor((width - 1 + beyond) / strideAcross) + 1);
        if (first >= last) continue;
        loops.eachRun((step, vectors) => {
          const isOne = step < 16;
          const start = first * strideAcross - beyond;
          code.get(loops.line, loops.along).int(start * loops.pixel);
          code.do(op.i32Add, op.i32Add).set(loops.row);
          code.get(PLACES, loops.along).int(first * loops.run);
          code.do(op.i32Add, op.i32Add).set(loops.place);
          for (const sum of loops.cells.slice(0, vectors)) code.get(loops.zero).set(sum);
          code.int(first).set(loops.column);
          code.loopUntil(
            () => code.get(loops.column).int(last).do(op.i32GeS),
            () => {
              for (const [v, sum] of loops.cells.slice(0, vectors).entries()) {
                code.get(sum);
                loops.load(loops.row, 16 * v, isOne);
                loops.load(loops.place, 16 * v, isOne);
                code.simd(loops.codes.mul).simd(loops.codes.add).set(sum);
              }
              loops.step(loops.row, strideAcross * loops.pixel);
              loops.step(loops.place, loops.run);
              loops.step(loops.column, 1);
            },
          );
          code
            .get(y)
            .int(windowWidth * loops.run)
            .do(op.i32Mul);
          code.get(TAPS, loops.along).do(op.i32Add, op.i32Add).set(loops.tap);
          for (const [v, sum] of loops.cells.slice(0, vectors).entries()) {
            code.get(loops.tap);
            loops.load(loops.tap, tap * loops.run + 16 * v, isOne);
            code.get(sum).simd(loops.codes.add);
            loops.store(tap * loops.run + 16 * v, isOne);
          }
        });
      }
      loops.step(loops.line, dilationDown * width * loops.pixel);
      loops.step(y, 1);
    },
  );
  loops.step(PLACES, outWidth * loops.run);
}

/** All taps of a place, row by row of the window: copied to where `TAPS` is, or added back. */
function moveTaps(loops: WindowLoops, work: WindowWork, { first, last }: LikeColumns): void {
  const code = loops.code;
  const { width, windowWidth, windowHeight, dilationDown, dilationAcross } = loops.window;
  const row = windowWidth * loops.run;
  const y = loops.end;
  const isCopy = work === 'copy';
  const rows = (until: () => void, body: () => void): void => {
    code.loopUntil(
      () => {
        code.get(y);
        until();
        code.do(op.i32GeS);
      },
      () => {
        body();
        loops.step(TAPS, row);
        loops.step(y, 1);
      },
    );
  };
  const empty = (): void => {
    if (isCopy) clear(loops, 0, row);
  };
  code.int(0).set(y);
  code.get(loops.at).set(loops.row);
  rows(() => code.get(loops.from), empty);
  rows(
    () => code.get(loops.to),
    () => {
      if (isCopy) clear(loops, 0, first * loops.run);
      // Neighbours lie one after the other where all channels are taken.
      const isWhole = dilationAcross === 1 && loops.run === loops.pixel;
      const runs = isWhole ? [last - first] : Array<number>(last - first).fill(1);
      for (const [i, count] of runs.entries()) {
        if (count > 0) {
          const tap = (first + i) * loops.run;
          move(loops, work, i * dilationAcross * loops.pixel, tap, count * loops.run);
        }
      }
      if (isCopy) clear(loops, last * loops.run, (windowWidth - last) * loops.run);
      loops.step(loops.row, dilationDown * width * loops.pixel);
    },
  );
  rows(() => code.int(windowHeight), empty);
}

/** Bytes between the pixels, from `#row` on, and the copies, from `TAPS` on. */
function move(
  loops: WindowLoops,
  work: WindowWork,
  pixel: number,
  tap: number,
  bytes: number,
): void {
  const code = loops.code;
  const isCopy = work === 'copy';
  inPieces(loops, bytes, (base, offset, isOne) => {
    code.get(isCopy ? TAPS : loops.row);
    if (base) code.get(loops.along).do(op.i32Add);
    const load = (local: number, at: number): void => {
      code.get(local);
      if (base) code.get(loops.along).do(op.i32Add);
      loops.loadHere(at, isOne);
    };
    load(loops.row, pixel + offset);
    if (!isCopy) {
      load(TAPS, tap + offset);
      code.simd(loops.codes.add);
    }
    loops.store((isCopy ? tap : pixel) + offset, isOne);
  });
}

function clear(loops: WindowLoops, tap: number, bytes: number): void {
  const code = loops.code;
  inPieces(loops, bytes, (base, offset, isOne) => {
    code.get(TAPS);
    if (base) code.get(loops.along).do(op.i32Add);
    code.get(loops.zero);
    loops.store(tap + offset, isOne);
  });
}

/** @param visit told whether `#along` counts, and an offset beside it */
function inPieces(
  loops: WindowLoops,
  bytes: number,
  visit: (isAlong: boolean, offset: number, isOne: boolean) => void,
): void {
  const code = loops.code;
  const looped = bytes > LONG_BYTES ? Math.floor(bytes / 64) * 64 : 0;
  if (looped > 0) {
    code.int(0).set(loops.along);
    code.loopUntil(
      () => code.get(loops.along).int(looped).do(op.i32GeU),
      () => {
        for (let offset = 0; offset < 64; offset += 16) visit(true, offset, false);
        loops.step(loops.along, 64);
      },
    );
  }
  let at = looped;
  for (; at + 16 <= bytes; at += 16) visit(false, at, false);
  for (; at < bytes; at += loops.cell) visit(false, at, true);
}
