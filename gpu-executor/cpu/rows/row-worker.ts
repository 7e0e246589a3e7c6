/** A helper thread of `row-threads.ts`: runs chunks of the tasks it is sent. */
import { parentPort, workerData } from 'node:worker_threads';
import { CsrMatrix } from '../../../driver/ir/csr.js';
import { cellBytes } from '../../../driver/ir/dtype.js';
import { cellsOf, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import { CodedRows } from '../kernels/coded-rows.js';
import { type BlasOptions, loadBlas } from '../native/load-blas.js';
import { loadTensorFlow } from '../providers/tensorflow.js';
import type { ChunkReport } from './chunk-results.js';
import type { RowProgram } from './row-program.js';
import { RowRunner } from './row-runner.js';
import {
  KEPT_PROGRAMS,
  type RowTask,
  type SentCodedRows,
  type SentCsr,
  type SentMatrix,
} from './row-threads.js';

const MAX_VIEWS = 256;

const blas = loadBlas({ ...(workerData as BlasOptions), threads: 1 });
/** Memory of the asking thread, by address and size. */
const views = new Map<string, ArrayBuffer>();

function matrixOf(sent: SentMatrix): DenseMatrix {
  const { rows, cols, dtype } = sent;
  if ('cells' in sent) return dense(rows, cols, sent.cells);
  if ('coded' in sent) return codedRowsOf(sent, sent.coded);
  if ('csr' in sent) return csrOf(sent, sent.csr);
  const memory = viewOf(sent.address, rows * cols * cellBytes({ dtype }));
  return dense(rows, cols, cellsOf(dtype, rows * cols, memory));
}

function csrOf({ rows, cols, dtype }: SentMatrix, sent: SentCsr): CsrMatrix {
  const { count } = sent;
  const starts = new Int32Array(viewOf(sent.rowStarts, 4 * (rows + 1)), 0, rows + 1);
  if (count === 0) return new CsrMatrix(rows, cols, starts, new Int32Array(0), cellsOf(dtype, 0));
  const columns = new Int32Array(viewOf(sent.columns, 4 * count), 0, count);
  const values = cellsOf(dtype, count, viewOf(sent.values, count * cellBytes({ dtype })));
  return new CsrMatrix(rows, cols, starts, columns, values);
}

function codedRowsOf({ rows, cols }: SentMatrix, sent: SentCodedRows): CodedRows {
  const numbers = sent.numbers.map(({ column, address }) => ({
    column,
    cells: new Float64Array(viewOf(address, rows * Float64Array.BYTES_PER_ELEMENT), 0, rows),
  }));
  const count = rows * sent.indicators;
  const memory = viewOf(sent.codes, count * Int32Array.BYTES_PER_ELEMENT);
  return new CodedRows(rows, cols, numbers, new Int32Array(memory, 0, count), sent.indicators);
}

function viewOf(address: bigint, bytes: number): ArrayBuffer {
  const key = `${address},${bytes}`;
  let view = views.get(key);
  if (view === undefined) {
    view = blas.viewOf!(address, bytes);
    views.set(key, view);
    forgetOldest(views, MAX_VIEWS);
  }
  return view;
}

const programs = new Map<number, RowProgram>();

async function runTask(task: RowTask): Promise<void> {
  const { id, operands, kept, next } = task;
  if (task.made !== undefined) programs.set(task.program, task.made);
  forgetOldest(programs, KEPT_PROGRAMS);
  const program = programs.get(task.program)!;
  const isProvided = [...program.steps, ...program.sinks].some(
    (step) => 'isProvided' in step && step.isProvided,
  );
  const provider = isProvided ? await loadTensorFlow() : undefined;
  // Whoever asked does what this thread can't.
  if (typeof provider === 'string') return;
  const count = Math.ceil(program.rows / program.chunkRows);
  // When all is taken already, the operands may be gone.
  if (Atomics.load(next, 0) >= count) return;
  const runner = new RowRunner(program, operands.map(matrixOf), kept.map(matrixOf), blas, provider);
  for (;;) {
    const chunk = Atomics.add(next, 0, 1);
    if (chunk >= count) return;
    const report = reportOf(id, chunk, runner);
    const moved = (report.results ?? []).map(({ data }) => data.buffer as ArrayBuffer);
    parentPort!.postMessage(report, [...new Set(moved)]);
  }
}

function reportOf(id: number, chunk: number, runner: RowRunner): ChunkReport {
  try {
    const steps = runner.chunk(chunk);
    let step = steps.next();
    while (!step.done) step = steps.next();
    return { id, chunk, results: step.value };
  } catch {
    return { id, chunk, results: undefined };
  }
}

parentPort!.on('message', (task: RowTask) => void runTask(task));
