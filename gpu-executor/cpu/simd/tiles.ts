/**
 * Chains over values that lie anywhere: tiles of rows are copied into lane memory, computed and
 * copied out, each small enough to stay in the nearest cache.
 */
import { cellBytes } from '../../../driver/ir/dtype.js';
import type { Cells } from '../../../driver/ir/value.js';
import { type ChainCode, chainModule, type Stretch } from './chain-code.js';
import { tileMemory as memory } from './lane-memory.js';
import { engine } from './wasm.js';

export type CellLoop = (out: Cells, rows: number, cols: number, operands: readonly Cells[]) => void;

/** Fewer cells are computed before a tile is set up. */
const MIN_CELLS = 256;
const TILE_CELLS = 2048;
/** Of wider rows a tile would be large. */
const MAX_COLS = 1 << 17;

/** Whether tiles pay for a result of that shape. */
export function fitsTiles(rows: number, cols: number): boolean {
  return rows * cols >= MIN_CELLS && (rows === 1 || cols <= MAX_COLS);
}

/** Of a chain with one output. */
export function tiledLoop(chain: ChainCode): CellLoop {
  const run = memory.function(new engine.Module(chainModule(chain)));
  const { operands: stretches, dtype } = chain;
  const isFlat = stretches.every((stretch) => stretch === 'full' || stretch === 'scalar');
  return (out, rows, cols, operands) => {
    const [height, width] = isFlat ? [1, rows * cols] : [rows, cols];
    const tileCells = isFlat ? TILE_CELLS : Math.max(TILE_CELLS, width);
    const tileBytes = Math.ceil((tileCells * cellBytes({ dtype })) / 16) * 16;
    memory.reserve(tileBytes * (operands.length + 1));
    const slots = [...operands, out].map((_, i) => memory.cells(dtype, i * tileBytes, tileCells));
    const addresses = slots.map((_, i) => i * tileBytes);
    const result = slots.at(-1)!;
    for (const [i, stretch] of stretches.entries()) {
      if (stretch === 'scalar' || stretch === 'row') slots[i]!.set(operands[i]!);
    }
    const tileRows = isFlat ? 1 : Math.max(1, Math.floor(tileCells / width));
    const tileCols = isFlat ? tileCells : width;
    for (let row = 0; row < height; row += tileRows) {
      const rowCount = Math.min(tileRows, height - row);
      for (let col = 0; col < width; col += tileCols) {
        const colCount = Math.min(tileCols, width - col);
        const at = { from: row * width + col, row, rows: rowCount, cells: rowCount * colCount };
        for (const [i, stretch] of stretches.entries()) {
          const part = partOf(stretch, operands[i]!, at);
          if (part !== undefined) slots[i]!.set(part);
        }
        run(rowCount, colCount, ...addresses);
        out.set(result.subarray(0, at.cells), at.from);
      }
    }
  };
}

interface Tile {
  readonly from: number;
  readonly row: number;
  readonly rows: number;
  readonly cells: number;
}

/** What differs from tile to tile. */
function partOf(stretch: Stretch, cells: Cells, tile: Tile): Cells | undefined {
  if (stretch === 'full') return cells.subarray(tile.from, tile.from + tile.cells);
  return stretch === 'column' ? cells.subarray(tile.row, tile.row + tile.rows) : undefined;
}
