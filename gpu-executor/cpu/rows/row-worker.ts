/** A helper thread of `row-threads.ts`: runs chunks of the tasks it is sent. */
import { parentPort, workerData } from 'node:worker_threads';
import type { DenseMatrix } from '../../../driver/ir/value.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import { type BlasOptions, loadBlas } from '../native/load-blas.js';
import { loadTensorFlow } from '../providers/tensorflow.js';
import type { ChunkReport } from './chunk-results.js';
import type { RowProgram } from './row-program.js';
import { RowRunner } from './row-runner.js';
import { KEPT_PROGRAMS, type RowTask } from './row-threads.js';
import { MatrixReader, type SentMatrix } from './sent-matrix.js';

const blas = loadBlas({ ...(workerData as BlasOptions), threads: 1 });
const reader = new MatrixReader(blas.viewOf!);
const matrixOf = (sent: SentMatrix): DenseMatrix => reader.matrix(sent);
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
