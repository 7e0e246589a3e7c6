/** Depthwise convolutions and pools on lanes, image by image. One memory a thread. */
import { cellBytes, type DType } from '../../../driver/ir/dtype.js';
import { type Cells, dtypeOf } from '../../../driver/ir/value.js';
import type { ImageWindow } from '../../../driver/operators/image-window.js';
import { LaneMemory } from '../simd/lane-memory.js';
import { engine, type WasmModule } from '../simd/wasm.js';
import { TASK_BYTES, type WindowFold, windowModule } from '../simd/window-code.js';
import { placeTasks, type WindowWork, windowTasks } from './window-tasks.js';

const memory = new LaneMemory();
const modules = new Map<string, WasmModule>();

function moduleOf(fold: WindowFold, dtype: DType): WasmModule {
  const key = `${fold} ${dtype}`;
  let module = modules.get(key);
  if (module === undefined) {
    module = new engine.Module(windowModule(fold, dtype));
    modules.set(key, module);
  }
  return module;
}

const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;

/** One operand: all rows, and the cells of one; a row that is all of it is the same for all. */
export interface LaneOperand {
  readonly data: Cells;
  readonly cols: number;
}

export interface LaneWork {
  readonly fold: WindowFold;
  readonly work: WindowWork;
  readonly window: ImageWindow;
  readonly rows: number;
  /** What `windowTasks` calls a and b. */
  readonly a: LaneOperand;
  readonly b?: LaneOperand;
}

/** Folds into the rows of `out`, or all rows into its only one; `out` has what it starts from. */
export function foldWindows(out: LaneOperand, { fold, work, window, rows, a, b }: LaneWork): void {
  const dtype = dtypeOf(out.data);
  const bytes = cellBytes({ dtype });
  const tasks = windowTasks(work, window);
  const atB = aligned(a.cols * bytes);
  const atOut = atB + aligned((b?.cols ?? 0) * bytes);
  const atList = atOut + aligned(out.cols * bytes);
  memory.reserve(atList + aligned(tasks.list.byteLength));
  placeTasks(memory.integers(atList, tasks.list.length), tasks, atList, window.channels * bytes);
  const [cellsA, cellsB, cellsOut] = [
    memory.cells(dtype, 0, a.cols),
    memory.cells(dtype, atB, b?.cols ?? 0),
    memory.cells(dtype, atOut, out.cols),
  ];
  const run = memory.function(moduleOf(fold, dtype));
  const isOfEach = ({ data, cols }: LaneOperand, row: number): boolean =>
    row === 0 || data.length > cols;
  const rowOf = ({ data, cols }: LaneOperand, row: number): Cells =>
    data.length > cols ? data.subarray(row * cols, (row + 1) * cols) : data;
  for (let row = 0; row < rows; row++) {
    if (isOfEach(a, row)) cellsA.set(rowOf(a, row));
    if (b !== undefined && isOfEach(b, row)) cellsB.set(rowOf(b, row));
    if (isOfEach(out, row)) cellsOut.set(rowOf(out, row));
    const end = atList + tasks.tasks * TASK_BYTES;
    run(atList, end, atOut, 0, atB, window.channels * bytes);
    if (out.data.length > out.cols || row === rows - 1) rowOf(out, row).set(cellsOut);
  }
}
