/**
 * Chains of cell-wise steps as one generated kernel, also with a sum behind them, against NumPy in
 * place (`rivals/cells.py`, the fastest of its settings) and the processor's own fused chains, all
 * beside a plain copy of the same cells: what memory alone allows. Cells are where they are computed
 * before the clock starts, and results stay there. Two minutes.
 */
import { performance } from 'node:perf_hooks';
import type { Segment } from '../driver/backend/backend.js';
import { type Backend, dense, matrix, Session } from '../driver/index.js';
import { noAttrs } from '../driver/ir/attrs.js';
import { type DType, dtypeAttr } from '../driver/ir/dtype.js';
import type { Expr } from '../driver/ir/expr.js';
import { Interner } from '../driver/ir/intern.js';
import { cellsOf, type DenseMatrix, type Handle } from '../driver/ir/value.js';

import { ops } from '../driver/operators/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import type { DeviceBackend } from '../gpu-executor/device/index.js';
import { type BenchDevice, benchDevice } from './bench-device.js';
import { alternate, type Bench, type Recorder, type Sample, type Side } from './harness.js';
import { benchFile } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';

const STEPS = [2, 4, 8, 16] as const;
/** Cells of a row; sums of rows come before the sum of all. */
const COLUMNS = 256;
/** Answers are so many cells, or the sum. */
const SHOWN = 64;
const TOLERANCE = { float64: 1e-13, float32: 2e-6 } as const;
/** NumPy's: all cells at once, or blocks that stay in the cache, on one or two threads. */
const SETTINGS = [
  { name: 'whole', threads: 1, block: 0 },
  { name: 'blocks', threads: 1, block: 16_384 },
  { name: 'threads', threads: 2, block: 16_384 },
] as const;

interface Case {
  readonly dtype: DType;
  readonly steps: number;
  readonly isSummed: boolean;
}

interface Places {
  readonly local: Backend;
  readonly gpu: DeviceBackend;
  readonly device: BenchDevice;
  readonly rival: PythonRival;
}

export const deviceChains: Bench = {
  name: 'device-chains',
  summary: 'generated kernels of cell-wise chains against NumPy in place and a plain copy',
  run: async (recorder, options) => {
    const device = benchDevice(recorder, options);
    if (device === undefined) return;
    const isGpu = !device.properties.isProcessor;
    const rows = options.quick ? 512 : isGpu ? 2 ** 16 : 2 ** 14;
    recorder.note(`${(rows * COLUMNS).toLocaleString('en')} cells`);
    const rounds = options.quick ? 2 : 7;
    const places: Places = {
      ...{ device, local: await createCpuBackend(), rival: new PythonRival(undefined) },
      gpu: await device.backend({ compileSeconds: 0 }),
    };
    try {
      for (const dtype of ['float64', 'float32'] as const) {
        const cells = cellsOf(dtype, rows * COLUMNS).map(
          (_: number, i: number) => ((i * 7919) % 10007) / 10007 + 0.5,
        );
        const x = dense(rows, COLUMNS, cells);
        await compareCopies(recorder, x, places, rounds);
        for (const isSummed of [false, true]) {
          for (const steps of STEPS) {
            await compare(recorder, x, { dtype, steps, isSummed }, places, rounds, isGpu);
          }
        }
      }
    } finally {
      const { local, gpu, rival } = places;
      await Promise.all([local.close(), gpu.close(), rival.close()]);
    }
    recorder.figure('leaked_pointers', places.gpu.leaked, { atMost: 0 });
  },
};

/** What memory allows: of the device's own, and of this machine's. */
async function compareCopies(
  recorder: Recorder,
  { rows, dtype, data }: DenseMatrix,
  { rival, device }: Places,
  rounds: number,
): Promise<void> {
  const name = `copy_${dtype}`;
  const open = device.open();
  const [from, to] = [open.allocate(data.byteLength), open.allocate(data.byteLength)];
  try {
    await open.wait(open.write(from, data));
    const copied = async (): Promise<Sample> => {
      const start = performance.now();
      await open.wait(open.copy(from, to, data.byteLength));
      return { seconds: (performance.now() - start) / 1000 };
    };
    const given = { dtype, steps: 0, isSummed: false };
    const sides = SETTINGS.map((setting) => numpy(rival, name, 'copy', rows, given, setting));
    const all = [{ name: `${name}_device`, run: copied }, ...sides];
    await alternate(recorder, all, { rounds, tolerance: 0, pauseMs: 20 });
    recorder.medianFigure(`${name}_device_seconds`, `${name}_device`);
    recorder.medianFigure(`${name}_numpy_seconds`, recorder.fastest(sides.map((one) => one.name)));
  } finally {
    for (const pointer of [from, to]) open.free(pointer);
    open.close();
  }
}

async function compare(
  recorder: Recorder,
  x: DenseMatrix,
  given: Case,
  { local, gpu, rival }: Places,
  rounds: number,
  isGpu: boolean,
): Promise<void> {
  const { dtype, steps, isSummed } = given;
  const name = `chain_${dtype}_${steps}${isSummed ? '_sum' : ''}`;
  // A GPU is lent for minutes, and far from these.
  const few = isGpu ? { rounds: 2 } : {};
  const rivals = SETTINGS.map((setting) => ({
    ...numpy(rival, name, 'chain', x.rows, given, setting),
    ...few,
  }));
  const own: readonly Side[] = [
    { name: `${name}_device`, run: onDevice(gpu, x, given), warmups: 2 },
    { name: `${name}_processor`, run: onProcessor(local, x, given), warmups: 2, ...few },
  ];
  const tolerance = TOLERANCE[dtype];
  await alternate(recorder, [...own, ...rivals], { rounds, tolerance, pauseMs: 20 });
  const best = recorder.fastest(rivals.map((one) => one.name));
  for (const side of ['device', 'processor']) {
    recorder.medianFigure(`${name}_${side}_seconds`, `${name}_${side}`);
  }
  recorder.medianFigure(`${name}_numpy_seconds`, best);
  recorder.ratio(`${name}_numpy_over_device`, best, `${name}_device`, { atLeast: 1 });
  // Summing neither writes; a chain of many steps is no longer bound by memory on a processor.
  const copy = `copy_${dtype}_device`;
  recorder.ratio(`${name}_over_copy`, `${name}_device`, copy, isGpu ? { atMost: 1.2 } : undefined);
}

/** The chain over a leaf, its steps as `rivals/cells.py` has them. */
function chainOf(maker: Interner, leaf: Expr, { dtype, steps, isSummed }: Case): readonly Expr[] {
  const nodes: Expr[] = [];
  const add = (expr: Expr): Expr => {
    if (!nodes.includes(expr)) nodes.push(expr);
    return expr;
  };
  const number = (value: number) =>
    add(maker.intern(ops.scalar, [], { value, ...dtypeAttr(dtype) }));
  let last = leaf;
  for (let i = 0; i < steps; i++) {
    if (i % 4 === 0) last = add(maker.intern(ops.mul, [last, number(1.25)]));
    else if (i % 4 === 1) last = add(maker.intern(ops.sub, [last, number(0.125)]));
    else if (i % 4 === 2) last = add(maker.intern(ops.maximum, [last, number(0.75)]));
    else last = add(maker.intern(ops.sqrt, [last]));
  }
  if (isSummed) add(maker.intern(ops.sum, [last], noAttrs));
  return nodes;
}

function onDevice(gpu: DeviceBackend, x: DenseMatrix, given: Case): () => Promise<Sample> {
  const maker = new Interner();
  const { rows, cols, dtype } = x;
  const leaf = maker.intern(ops.literal, [], { rows, cols, key: 'x', ...dtypeAttr(dtype) }, x);
  const nodes = chainOf(maker, leaf, given);
  const result = nodes.at(-1)!;
  const segment: Segment = {
    ...{ nodes, inputs: new Map([[leaf, x]]), outputs: [], persist: [result] },
    blocked: new Set(),
  };
  return async () => {
    const start = performance.now();
    const { values } = await gpu.run(segment, {});
    const handle = values.get(result) as Handle;
    await gpu.arrived(handle);
    const seconds = (performance.now() - start) / 1000;
    const value = await gpu.collect(handle);
    gpu.release(handle);
    return { seconds, answers: shown(value) };
  };
}

/** Through a session: what runs where and by which chain is the processor's to say. */
function onProcessor(local: Backend, x: DenseMatrix, given: Case): () => Promise<Sample> {
  return async () => {
    const session = new Session({ local, reuse: 'off', spill: false, placement: 'local' });
    const leaf = matrix(session, x);
    const result = chainOf(session.interner, leaf.expr, given).at(-1)!;
    const start = performance.now();
    const value = (await session.evaluate([result]))[0] as DenseMatrix;
    const seconds = (performance.now() - start) / 1000;
    const answers = shown(value);
    local.recycle?.(value);
    return { seconds, answers };
  };
}

function numpy(
  rival: PythonRival,
  name: string,
  mode: 'chain' | 'copy',
  rows: number,
  { dtype, steps, isSummed }: Case,
  setting: (typeof SETTINGS)[number],
): Side {
  const { threads, block } = setting;
  const sizes = [`cells=${rows * COLUMNS}`, `steps=${steps}`, `sum=${isSummed ? 1 : 0}`];
  const argv = [mode, `dtype=${dtype}`, ...sizes, `threads=${threads}`, `block=${block}`];
  const run = async (): Promise<Sample> => {
    const { seconds, answers } = await rival.run(benchFile('rivals/cells.py'), argv);
    return mode === 'copy' ? { seconds } : { seconds, answers: answers.flat() };
  };
  return { name: `${name}_numpy_${setting.name}`, run };
}

function shown({ data }: DenseMatrix): number[] {
  if (data.length === 1) return [...data];
  const every = Math.max(1, Math.floor(data.length / SHOWN));
  return Array.from({ length: Math.ceil(data.length / every) }, (_, i) => data[i * every]!);
}
