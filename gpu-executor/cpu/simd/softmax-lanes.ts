/**
 * Softmax of runs on lanes: as many runs at a time as a vector has lanes, a cell of each. Tiles are
 * copied into lane memory. Invariant: exponentials, sums and products are in float64 also where cells
 * are not, as in `softmaxInto`.
 */
import { cellBytes, type DType } from '../../../driver/ir/dtype.js';
import { type Cells, dtypeOf } from '../../../driver/ir/value.js';
import { expProgram } from '../../../driver/operators/cell-functions.js';
import { tileMemory } from './lane-memory.js';
import { Lanes } from './lanes.js';
import { engine, op, simd, WasmFunction, type WasmModule } from './wasm.js';

/** Cells of a tile, which stays in the second-level cache. */
const TILE_CELLS = 1 << 15;
/** Longer runs are left to the script. */
const MAX_WIDTH = TILE_CELLS / 4;

const modules = new Map<DType, WasmModule>();

export function fitsSoftmax(width: number): boolean {
  return width <= MAX_WIDTH;
}

/** exp(z) / sum exp(z) of each run of `width` cells. */
export function softmaxOnLanes(out: Cells, z: Cells, width: number): void {
  const dtype = dtypeOf(out);
  let module = modules.get(dtype);
  if (module === undefined) {
    module = new engine.Module(softmaxModule(dtype));
    modules.set(dtype, module);
  }
  const bytes = cellBytes({ dtype });
  const group = width * (16 / bytes);
  const tileCells = group * Math.floor(TILE_CELLS / group);
  tileMemory.reserve(tileCells * bytes);
  const run = tileMemory.function(module);
  const tile = tileMemory.cells(dtype, 0, tileCells);
  for (let from = 0; from < z.length; from += tileCells) {
    const cells = z.subarray(from, from + tileCells);
    tile.set(cells);
    // Of a last group that is not full, the other runs are what lies there.
    run(Math.ceil(cells.length / group), width * bytes);
    out.set(tile.subarray(0, cells.length), from);
  }
}

/** `run(groups, bytes of a run)`, in place from address 0 on. */
function softmaxModule(dtype: DType): Uint8Array<ArrayBuffer> {
  const isWide = dtype === 'float64';
  const code = new WasmFunction(2);
  const [groups, runBytes] = [0, 1];
  const bytes = cellBytes({ dtype });
  const [loadFirst, loadLane, storeLane] = isWide
    ? [simd.load64Splat, simd.load64Lane, simd.store64Lane]
    : [simd.load32Splat, simd.load32Lane, simd.store32Lane];
  const lanes = new Lanes(code, isWide);
  const wide = isWide ? lanes : new Lanes(code, true);
  const runs = Array.from({ length: 16 / bytes }, () => code.integer());
  const end = code.integer();
  const [cell, greatest] = [code.vector(), code.vector()];
  const sums = isWide ? [code.vector()] : [code.vector(), code.vector()];
  const factors = sums.map(() => code.vector());
  const halves = (a: number): readonly number[] => (isWide ? [a] : lanes.promoted(a));

  const load = (): void => {
    code.get(runs[0]!).memory(loadFirst).set(cell);
    for (const [lane, run] of runs.entries()) {
      if (lane > 0) code.get(run, cell).memory(loadLane, lane).set(cell);
    }
  };
  const store = (value: number): void => {
    for (const [lane, run] of runs.entries()) code.get(run, value).memory(storeLane, lane);
  };
  /** A cell of each run after the other. */
  const overCells = (body: () => void): void => {
    code.get(runs[0]!, runBytes).do(op.i32Add).set(end);
    code.loopUntil(
      () => code.get(runs[0]!, end).do(op.i32GeU),
      () => {
        load();
        body();
        for (const run of runs) code.get(run).int(bytes).do(op.i32Add).set(run);
      },
    );
    for (const run of runs) code.get(run, runBytes).do(op.i32Sub).set(run);
  };

  for (const [lane, run] of runs.entries()) {
    if (lane > 0)
      code
        .get(runs[lane - 1]!, runBytes)
        .do(op.i32Add)
        .set(run);
  }
  code.loopUntil(
    () => code.get(groups).do(op.i32Eqz),
    () => {
      load();
      code.get(cell).set(greatest);
      overCells(() => void code.get(lanes.max(greatest, cell)).set(greatest));
      const zero = wide.constant(0);
      for (const sum of sums) code.get(zero).set(sum);
      overCells(() => {
        const less = lanes.sub(cell, greatest);
        const power = isWide
          ? expProgram(lanes, less, less, less)
          : lanes.widened(expProgram, [less]);
        store(power);
        for (const [h, half] of halves(power).entries()) {
          code.get(wide.add(sums[h]!, half)).set(sums[h]!);
        }
      });
      const one = wide.constant(1);
      for (const [h, sum] of sums.entries()) code.get(wide.div(one, sum)).set(factors[h]!);
      overCells(() => {
        const scaled = halves(cell).map((half, h) => wide.mul(half, factors[h]!));
        store(isWide ? scaled[0]! : lanes.demoted(scaled as [number, number]));
      });
      for (const run of runs) {
        code.get(run, runBytes).int(runs.length).do(op.i32Mul, op.i32Add).set(run);
      }
      code.get(groups).int(1).do(op.i32Sub).set(groups);
    },
  );
  return code.module();
}
