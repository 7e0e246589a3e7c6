/**
 * Sums of columns, and of their squares, on lanes of float64: tiles of rows are copied into lane
 * memory where they do not lie in one, and eight columns at a time go over them, their totals in registers. Invariant: additions
 * have the order of the script's loops in `aggregates.ts`, so totals are the same to the last bit.
 */
import { cellBytes } from '../../../driver/ir/dtype.js';
import { type Cells, dtypeOf } from '../../../driver/ir/value.js';
import { aligned, standingMemory, tileMemory } from './lane-memory.js';
import { engine, op, simd, WasmFunction, type WasmModule } from './wasm.js';

export type LaneFold = 'sums' | 'squares';

/** Columns whose totals are in registers. */
const GROUP = 8;
const TOTAL_BYTES = 8;
/** Of fewer cells a tile is not set up. */
const MIN_CELLS = 2048;
/** Columns at most, of which some rows are a tile. */
const MAX_COLS = 1 << 13;
/** What totals take of a memory that cells stand in, at most. @units bytes */
export const TOTALS_BYTES = aligned(MAX_COLS * TOTAL_BYTES);
/** Cells of a tile, which stays in the second-level cache. */
const TILE_CELLS = 1 << 15;

const ADD = 0xf0;
const MUL = 0xf2;

/** Whether it pays for a matrix of that shape. */
export function fitsFolds(rows: number, cols: number): boolean {
  return cols >= GROUP && cols <= MAX_COLS && rows * cols >= MIN_CELLS;
}

const modules = new Map<string, WasmModule>();

/** @param totals overwritten, by column */
export function foldColumns(fold: LaneFold, totals: Float64Array, data: Cells): void {
  const dtype = dtypeOf(data);
  const key = `${fold} ${dtype}`;
  let module = modules.get(key);
  if (module === undefined) {
    module = new engine.Module(foldModule(fold, dtype === 'float64'));
    modules.set(key, module);
  }
  const cols = totals.length;
  const bytes = cellBytes({ dtype });
  const stride = cols * bytes;
  // Whole runs of four rows, as the script has them.
  const tileCells = cols * 4 * Math.floor(TILE_CELLS / cols / 4);
  // The last group may overlap the one before, so it has totals of its own.
  const groups = Math.ceil(cols / GROUP);
  const cellsFrom = aligned(groups * GROUP * TOTAL_BYTES);
  // Cells of a compiled loop are in such a memory already.
  const standing = standingMemory(data);
  const memory = standing ?? tileMemory;
  if (standing === undefined) memory.reserve(cellsFrom + tileCells * bytes);
  const totalsFrom = standing?.beyond(cellsFrom) ?? 0;
  const run = memory.function(module);
  const sums = memory.cells('float64', totalsFrom, groups * GROUP).fill(0);
  const tile = standing ? undefined : memory.cells(dtype, cellsFrom, tileCells);
  for (let from = 0; from < data.length; from += tileCells) {
    const count = Math.min(tileCells, data.length - from);
    tile?.set(data.subarray(from, from + count));
    const address = tile ? cellsFrom : data.byteOffset + from * bytes;
    for (let group = 0; group < groups; group++) {
      const first = address + Math.min(group * GROUP, cols - GROUP) * bytes;
      run(count / cols, stride, first, totalsFrom + group * GROUP * TOTAL_BYTES);
    }
  }
  totals.set(sums.subarray(0, cols));
  totals.set(sums.subarray((groups - 1) * GROUP), cols - GROUP);
}

/** `run(rows, stride, cells, totals)` of one group; stride and addresses in bytes. */
function foldModule(fold: LaneFold, isWide: boolean): Uint8Array<ArrayBuffer> {
  const code = new WasmFunction(4);
  const [rows, stride, cells, totals] = [0, 1, 2, 3] as const;
  const pairs = [0, 1, 2, 3];
  const sums = pairs.map(() => code.vector());
  const cell = code.vector();
  for (const pair of pairs)
    code
      .get(totals)
      .simd(simd.load, 0, 16 * pair)
      .set(sums[pair]!);
  const next = (): void => void code.get(cells, stride).do(op.i32Add).set(cells);
  /** What is added of two cells of the row at `cells`. */
  const load = (pair: number): void => {
    code.get(cells);
    if (isWide) code.simd(simd.load, 0, 16 * pair);
    else code.simd(simd.load64Splat, 0, 8 * pair).simd(simd.promoteLow);
    if (fold === 'squares') code.set(cell).get(cell, cell).simd(MUL);
  };
  const rowsOf = (count: number): void => {
    code.loopUntil(
      () => code.get(rows).int(count).do(op.i32LtU),
      () => {
        const parts = pairs.map(() => Array.from({ length: count }, () => code.vector()));
        for (let row = 0; row < count; row++) {
          for (const pair of pairs) {
            load(pair);
            code.set(parts[pair]![row]!);
          }
          next();
        }
        for (const pair of pairs) {
          const own = parts[pair]!;
          if (count === 4 && fold === 'sums') {
            code.get(sums[pair]!, own[0]!, own[1]!).simd(ADD).get(own[2]!, own[3]!).simd(ADD);
            code.simd(ADD).simd(ADD);
          } else {
            code.get(sums[pair]!);
            for (const one of own) code.get(one).simd(ADD);
          }
          code.set(sums[pair]!);
        }
        code.get(rows).int(count).do(op.i32Sub).set(rows);
      },
    );
  };
  rowsOf(4);
  rowsOf(1);
  for (const pair of pairs)
    code
      .get(totals)
      .get(sums[pair]!)
      .simd(simd.store, 0, 16 * pair);
  return code.module();
}
