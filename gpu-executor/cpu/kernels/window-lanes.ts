/**
 * Windows over images on lanes, image by image: depthwise convolutions, pools, and the copies of
 * pixels that products read. Images are computed where they lie if that is lane memory, and copied
 * there one by one if not.
 */
import { cellBytes, type DType } from '../../../driver/ir/dtype.js';
import { type Cells, dtypeOf } from '../../../driver/ir/value.js';
import {
  geometryKey,
  type ImageWindow,
  pixelsOf,
  placesOf,
  tapsOf,
} from '../../../driver/operators/image-window.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import { aligned, type LaneFunction, threadMemory } from '../simd/lane-memory.js';
import { engine, type WasmModule } from '../simd/wasm.js';
import { type WindowWork, windowModule } from '../simd/window-code.js';

const memory = threadMemory;

const MAX_MODULES = 256;
const modules = new Map<string, WasmModule>();
const known = new WeakMap<ImageWindow, Map<string, WasmModule>>();

/** @param taken of the image's channels */
export function windowFunction(
  work: WindowWork,
  window: ImageWindow,
  dtype: DType,
  taken = window.channels,
): LaneFunction {
  const form = `${work} ${dtype} ${taken}`;
  const own = known.get(window) ?? new Map<string, WasmModule>();
  known.set(window, own);
  let module = own.get(form);
  if (module === undefined) {
    const key = `${form} ${window.channels} ${geometryKey(window)}`;
    module = modules.get(key) ?? new engine.Module(windowModule(work, { window, dtype, taken }));
    modules.set(key, module);
    forgetOldest(modules, MAX_MODULES);
    own.set(form, module);
  }
  return memory.function(module);
}

export interface WindowOperands {
  /** All images, a row each. */
  readonly images: Cells;
  /** All places of all images, a row of them each. */
  readonly places: Cells;
  /** One run of channels a tap, and of `sum` one more, which sums begin with; of `route` images. */
  readonly taps?: Cells;
}

/** Which operand each work writes to, having read it. */
const WRITTEN = {
  ...{ sum: 'places', max: 'places', image: 'images', taps: 'taps', route: 'taps' },
} as const;

/** Of one image. @units bytes */
export function windowBytes(window: ImageWindow, dtype: DType): number {
  const run = window.channels * cellBytes({ dtype });
  const taps = Math.max(pixelsOf(window), tapsOf(window) + 1);
  return [pixelsOf(window), placesOf(window), taps].reduce(
    (bytes, runs) => bytes + aligned(runs * run),
    0,
  );
}

/** Channel by channel, so that images, places and taps have equally many. */
export function foldWindows(
  work: keyof typeof WRITTEN,
  window: ImageWindow,
  rows: number,
  { images, places, taps }: WindowOperands,
): void {
  const dtype = dtypeOf(images);
  const run = windowFunction(work, window, dtype);
  let free = memory.beyond(windowBytes(window, dtype));
  const written = WRITTEN[work];
  const placed = (cells: Cells, runs: number, isWritten: boolean): PlacedRows => {
    const one = new PlacedRows(cells, runs * window.channels, free, isWritten);
    free += aligned(one.bytes);
    return one;
  };
  const image = placed(images, pixelsOf(window), written === 'images');
  const place = placed(places, placesOf(window), written === 'places');
  const isOfEach = work === 'route';
  const runs = isOfEach ? pixelsOf(window) : tapsOf(window) + (work === 'sum' ? 1 : 0);
  const tap = taps && placed(taps, runs, written === 'taps');
  let tapsAt = tap?.load(0) ?? 0;
  for (let row = 0; row < rows; row++) {
    if (isOfEach && row > 0) tapsAt = tap!.load(row);
    run(0, window.outHeight, image.load(row), place.load(row), tapsAt);
    image.store(row);
    place.store(row);
    if (isOfEach) tap!.store(row);
  }
  if (!isOfEach) tap?.store(0);
}

/** Rows of cells, one at a time in lane memory. */
export class PlacedRows {
  readonly #cells: Cells;
  readonly #count: number;
  readonly #isWritten: boolean;
  /** Undefined where they lie in lane memory. */
  readonly #copy: Cells | undefined;

  constructor(cells: Cells, count: number, free: number, isWritten: boolean) {
    this.#cells = cells;
    this.#count = count;
    this.#isWritten = isWritten;
    this.#copy = memory.holds(cells) ? undefined : memory.cells(dtypeOf(cells), free, count);
  }

  get bytes(): number {
    return this.#count * this.#cells.BYTES_PER_ELEMENT;
  }

  /** Where the row is. */
  load(row: number): number {
    if (this.#copy === undefined) return this.#cells.byteOffset + row * this.bytes;
    this.#copy.set(this.#row(row));
    return this.#copy.byteOffset;
  }

  store(row: number): void {
    if (this.#copy !== undefined && this.#isWritten) this.#row(row).set(this.#copy);
  }

  #row(row: number): Cells {
    return this.#cells.subarray(row * this.#count, (row + 1) * this.#count);
  }
}
