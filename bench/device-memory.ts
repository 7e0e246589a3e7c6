/**
 * What a device's memory manager is worth in a loop over batches of affine layers with ReLU. After
 * figure 2d of MEMPHIS (EDBT 2025): each operator with its own allocations, copies and frees
 * (`forced`), memory freed after each batch alone (`freed`), recycled. After its figure 12b: reuse
 * where 0, 20, 40 and 80 % of the batches come again. On PoCL the device is this processor:
 * allocating is free there, and the first write to fresh memory dear; a GPU has no such first write,
 * but calls to its driver that take long or wait, which are timed by themselves. Three minutes.
 */
import { performance } from 'node:perf_hooks';
import { createReferenceBackend } from '../driver/backend/reference-backend.js';
import { type DenseMatrix, dense, type Matrix, matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import type { DeviceBackend } from '../gpu-executor/device/backend.js';
import { DeviceMemory } from '../gpu-executor/device/memory/device-memory.js';
import { type BenchDevice, benchDevice } from './bench-device.js';
import { alternate, type Bench, checkAnswers, type Recorder, type Sample } from './harness.js';
import { randomOf } from './night-days.js';

/** Full after some dozen batches where their results are kept. */
const MEMORY_BYTES = 256 * 1024 * 1024;
const ROWS = 256;
/** Fresh memory of that size is mapped by the page. */
const LARGE_BYTES = 64 * 1024 * 1024;
const LARGE_TURNS = 8;
const WIDTHS = [512, 256, 128] as const;
const SHARES = [0, 20, 40, 80] as const;
const COUNTED = ['allocations', 'frees', 'recycled', 'copiesIn', 'launches', 'waits'] as const;
/** Sums of products, to those of the processor. */
const TOLERANCE = 1e-10;
const ALLOCATIONS = 200;

/** What these figures do not have. */
const GPU_ADDS =
  'a GPU adds, for each allocation and free of `forced` and `freed`, a call to its driver that may wait ' +
  'for all work (here `allocation_and_free_seconds`), and for each copy its bus; MEMPHIS saw allocating ' +
  'and freeing take 4.6 times as long as computing there, and copies 9 times (figure 2d)';

const weights = WIDTHS.slice(1).map((width, i) => {
  const next = randomOf(i + 1);
  return [cells(WIDTHS[i]!, width, next), cells(1, width, next)] as const;
});

interface Place {
  readonly session: Session;
  readonly gpu: DeviceBackend;
}

/** What answers are checked by: the processor alone. */
type Host = Pick<Place, 'session'>;

/** Answers the sum over each batch's outputs. */
type Loop = (place: Place, batches: readonly DenseMatrix[]) => Promise<number[]>;
type Sides = Readonly<Record<string, [Place, Loop]>>;

export const deviceMemory: Bench = {
  name: 'device-memory',
  summary: 'recycling and reuse of device memory in a loop over batches; on PoCL without a GPU',
  run: async (recorder, options) => {
    const device = benchDevice(recorder, options);
    if (device === undefined) return;
    const [rounds, count] = options.quick ? [2, 10] : [5, 40];
    const [off, on] = [await placeOn(device, false), await placeOn(device, true)];
    const local = await createCpuBackend();
    const host = { session: new Session({ local, spill: false, reuse: 'off' }) };
    recorder.note(`${count} batches a sample`);
    if (device.properties.isProcessor) recorder.note(GPU_ADDS);
    try {
      const freed: Loop = (place, batches) => byBatch(place, batches, () => place.gpu.tier.close());
      await timeAllocations(recorder, device, rounds);
      await compareLarge(recorder, device, rounds);
      const sides: Sides = {
        forced: [off, byOperator],
        freed: [off, freed],
        recycled: [off, byBatch],
      };
      await compare(recorder, host, sides, rounds, count, 0);
      recorder.pairedRatio('forced_over_recycled', 'forced', 'recycled', { atLeast: 1.3 });
      // The system gives small pieces again without faults of pages, as recycling does.
      recorder.pairedRatio('freed_over_recycled', 'freed', 'recycled', { atLeast: 0.9 });
      for (const share of SHARES) {
        const [without, reused] = [`recycled_${share}`, `reused_${share}`];
        const pair: Sides = { [without]: [off, byBatch], [reused]: [on, byBatch] };
        await compare(recorder, host, pair, rounds, count, share);
        const atLeast = share === 0 ? 0.9 : 0.8 / (1 - share / 100);
        recorder.pairedRatio(`gain_${share}`, without, reused, { atLeast });
      }
    } finally {
      await Promise.all([off, on, host].map(({ session }) => session.close()));
    }
    recorder.figure('leaked_pointers', off.gpu.leaked + on.gpu.leaked, { atMost: 0 });
  },
};

async function placeOn(device: BenchDevice, reuses: boolean): Promise<Place> {
  const gpu = await device.backend({ memoryBytes: MEMORY_BYTES });
  // So slow that all runs there: where it would run best is not the question.
  const local = { ...createReferenceBackend(), estimate: () => ({ seconds: 1 }) };
  const reuse = reuses ? 'full' : 'off';
  const session = new Session({ local, devices: [gpu], spill: false, reuse });
  return { session, gpu };
}

/** What a loop pays its driver for each piece of memory that is not recycled. */
async function timeAllocations(recorder: Recorder, { open }: BenchDevice, rounds: number) {
  const device = open();
  try {
    for (let round = 0; round < rounds; round++) {
      const start = performance.now();
      for (let i = 0; i < ALLOCATIONS; i++) {
        const pointer = device.allocate(ROWS * WIDTHS[0] * 8);
        // Work behind which the memory is freed.
        device.copy(pointer, pointer, 0);
        device.free(pointer);
      }
      await device.wait(device.copy(device.allocate(8), device.allocate(8), 8));
      recorder.sample('allocation', (performance.now() - start) / 1000 / ALLOCATIONS);
    }
  } finally {
    device.close();
  }
  recorder.medianFigure('allocation_and_free_seconds', 'allocation');
}

/** One large value after another is written: its memory fresh each time, or that of the one before. */
async function compareLarge(recorder: Recorder, { open }: BenchDevice, rounds: number) {
  const device = open();
  const budgetBytes = 2 * LARGE_BYTES;
  const memory = new DeviceMemory({ name: 'bench', device, budgetBytes, copySeconds: () => 0 });
  const host = Float64Array.from({ length: LARGE_BYTES / 8 }, (_, i) => i);
  const side = (name: string, after: () => void) => ({
    name,
    run: async (): Promise<Sample> => {
      const answers: number[] = [];
      const word = new Float64Array(1);
      let milliseconds = 0;
      for (let i = 0; i < LARGE_TURNS; i++) {
        const start = performance.now();
        const block = memory.take(LARGE_BYTES);
        await device.wait(device.write(block.pointer, host));
        milliseconds += performance.now() - start;
        const offsetBytes = (i + 1) * (LARGE_BYTES / LARGE_TURNS) - 8;
        await device.wait(device.read(block.pointer, word, { offsetBytes }));
        answers.push(word[0]!);
        memory.release(block);
        after();
      }
      return { seconds: milliseconds / 1000 / LARGE_TURNS, answers };
    },
  });
  const sides = [side('large_freed', () => memory.close()), side('large_recycled', () => {})];
  await alternate(recorder, sides, { rounds, tolerance: 0 });
  for (const { name } of sides) recorder.medianFigure(`${name}_seconds`, name);
  const target = { atLeast: 1.5 };
  recorder.pairedRatio('large_freed_over_recycled', 'large_freed', 'large_recycled', target);
  memory.close();
  device.close();
}

/** By turns, each over batches that it has not seen; then what a batch took, in counts. */
async function compare(
  recorder: Recorder,
  host: Host,
  sides: Sides,
  rounds: number,
  count: number,
  share: number,
): Promise<void> {
  const expected = await byBatch(host, batchesOf(count, share));
  const made = Object.entries(sides).map(([name, [place, loop]]) => ({
    name,
    run: async (): Promise<Sample> => {
      // Cells of their own each time, the same ones.
      const batches = batchesOf(count, share);
      const before = place.gpu.work();
      const start = performance.now();
      const answers = await loop(place, batches);
      const seconds = (performance.now() - start) / 1000;
      const after = place.gpu.work();
      checkAnswers(name, answers, 'the processor', expected, TOLERANCE);
      for (const key of COUNTED) {
        recorder.sample(`${name}_${key}`, (after[key] - before[key]) / count);
      }
      return { seconds, answers };
    },
  }));
  await alternate(recorder, made, { rounds, tolerance: 1e-12 });
  for (const { name } of made) {
    for (const key of COUNTED) recorder.medianFigure(`${name}_${key}_per_batch`, `${name}_${key}`);
  }
}

/** Of `share` percent the cells are those of an earlier batch, which is the same value then. */
function batchesOf(count: number, share: number): DenseMatrix[] {
  const next = randomOf(share);
  const fresh = Math.round(count * (1 - share / 100));
  const batches = Array.from({ length: fresh }, () => cells(ROWS, WIDTHS[0], next));
  const repeats = Array.from({ length: count - fresh }, () => batches[Math.floor(next() * fresh)]!);
  for (const repeat of repeats) {
    // Anywhere behind its first.
    const first = batches.indexOf(repeat);
    const at = first + 1 + Math.floor(next() * (batches.length - first));
    batches.splice(at, 0, repeat);
  }
  return batches;
}

function cells(rows: number, cols: number, next: () => number): DenseMatrix {
  return dense(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, () => next() - 0.4),
  );
}

/** A batch is one plan; its value stays on the device. */
async function byBatch(
  { session }: Host,
  batches: readonly DenseMatrix[],
  after?: () => void,
): Promise<number[]> {
  const layers = weights.map((layer) => layer.map((one) => matrix(session, one)));
  const leaves = new Map(batches.map((batch) => [batch, matrix(session, batch)]));
  const sums: number[] = [];
  for (const batch of batches) {
    let x: Matrix = leaves.get(batch)!;
    for (const [w, b] of layers) x = x.matmul(w!).add(b!).maximum(0);
    sums.push(await x.sum().value());
    after?.();
  }
  return sums;
}

/** Each operator alone: operands come from the host, the result goes there, all memory is freed. */
async function byOperator(place: Place, batches: readonly DenseMatrix[]): Promise<number[]> {
  const { session, gpu } = place;
  const alone = async (build: (...operands: Matrix[]) => Matrix, ...operands: DenseMatrix[]) => {
    const copies = operands.map(({ rows, cols, data }) => dense(rows, cols, data.slice()));
    const value = await build(...copies.map((one) => matrix(session, one))).value();
    gpu.tier.close();
    return value;
  };
  const sums: number[] = [];
  for (const batch of batches) {
    let x = batch;
    for (const [w, b] of weights) {
      x = await alone((m, by) => m!.matmul(by!), x, w);
      x = await alone((m, by) => m!.add(by!), x, b);
      x = await alone((m) => m!.maximum(0), x);
    }
    sums.push(await matrix(session, x).sum().value());
    gpu.tier.close();
  }
  return sums;
}
