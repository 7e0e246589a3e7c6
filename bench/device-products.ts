/**
 * Products, Gram matrices and systems of a device as plans run them, memory taken and given back,
 * against cuBLAS and cuSOLVER called by themselves (`rivals/cublas.ts`) where the device is CUDA's, and
 * the processor's BLAS.
 * Operands are where they are multiplied before the clock starts. A sample is several products queued
 * one behind the other, so that what ours do on the host meanwhile is hidden where it can be.
 */
import { performance } from 'node:perf_hooks';
import type { Segment } from '../driver/backend/backend.js';
import { type Backend, dense } from '../driver/index.js';
import type { Attrs } from '../driver/ir/attrs.js';
import { DTYPES, type DType, dtypeAttr } from '../driver/ir/dtype.js';
import type { Expr } from '../driver/ir/expr.js';
import { Interner } from '../driver/ir/intern.js';
import type { OpDef } from '../driver/ir/op-def.js';
import { cellsOf, type DenseMatrix, type Handle } from '../driver/ir/value.js';
import { ops } from '../driver/operators/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import type { DeviceBackend } from '../gpu-executor/device/index.js';
import { benchDevice } from './bench-device.js';
import { alternate, type Bench, type Recorder, type Sample, type Side } from './harness.js';
import { openRawCuBlas, type RawCuBlas } from './rivals/cublas.js';

interface Product {
  readonly name: string;
  readonly op: OpDef;
  readonly attrs?: Attrs;
  /** Of the operands. */
  readonly shapes: readonly (readonly [rows: number, cols: number])[];
  readonly flops: number;
  /** Makes the first operand; default: numbers that repeat. */
  readonly first?: (dtype: DType) => DenseMatrix;
  /** Default both. */
  readonly dtypes?: readonly DType[];
  /** What queues it by cuBLAS or cuSOLVER; undefined where that is missing. */
  readonly raw: (
    blas: RawCuBlas,
    dtype: DType,
    operands: readonly Cells[],
    out: Cells,
  ) => (() => void) | undefined;
}

type Cells = ReturnType<RawCuBlas['allocate']>;

/** Sums of thousands of products, in any order. */
const TOLERANCE = { float64: 1e-11, float32: 2e-4 } as const;
const SHOWN = 16;
const RAW_TARGET = 1.2;

export const deviceProducts: Bench = {
  name: 'device-products',
  summary:
    "a device's products and systems against cuBLAS and cuSOLVER by themselves and the processor",
  run: async (recorder, options) => {
    const device = benchDevice(recorder, options);
    if (device === undefined) return;
    const isGpu = !device.properties.isProcessor && !options.quick;
    const [local, gpu] = [await createCpuBackend(), await device.backend()];
    // In the context of the device, which is open.
    const raw = device.properties.driver === 'cuda' ? openRawCuBlas() : undefined;
    if (typeof raw === 'string') recorder.note(`no cuBLAS: ${raw}`);
    const blas = typeof raw === 'string' ? undefined : raw;
    try {
      for (const dtype of DTYPES) {
        for (const product of products(isGpu ? 8 : options.quick ? 1 / 16 : 1)) {
          const [rounds, count] = [options.quick ? 2 : 7, isGpu ? 10 : 2];
          await compare(recorder, product, dtype, { local, gpu, blas }, rounds, count);
        }
      }
    } finally {
      blas?.close();
      await Promise.all([local.close(), gpu.close()]);
    }
    recorder.figure('leaked_pointers', gpu.leaked, { atMost: 0 });
  },
};

/** The shapes of searches and a square. @param scale of sizes: a processor's 1 */
function products(scale: number): readonly Product[] {
  const [n, rows, d, models] = [512 * scale, Math.round(25_000 * scale), 100, 200];
  const system = Math.max(64, 256 * scale);
  const multiply = (
    name: string,
    [m, k, cols]: readonly [number, number, number],
    transposeA = false,
  ): Product => ({
    ...{ name, op: ops.matmul, flops: 2 * m * k * cols },
    ...(transposeA ? { attrs: { transposeA } } : {}),
    shapes: [transposeA ? [k, m] : [m, k], [k, cols]],
    raw:
      (blas, dtype, [a, b], out) =>
      () =>
        blas.multiply(dtype, [m, k, cols], [a!, b!, out], transposeA),
  });
  return [
    multiply('square', [n, n, n]),
    // X %*% W and t(X) %*% R of two hundred models.
    multiply('decisions', [rows, d, models]),
    multiply('gradients', [d, rows, models], true),
    {
      ...{ name: 'gram', op: ops.tsmm, shapes: [[rows, 2 * d]], flops: rows * (2 * d) ** 2 },
      raw:
        (blas, dtype, [x], out) =>
        () =>
          blas.gram(dtype, rows, 2 * d, x!, out),
    },
    {
      // Of one column, which lies by rows as by columns.
      ...{ name: 'solve', op: ops.solve, attrs: { assume: 'spd' }, dtypes: ['float64'] },
      ...{
        shapes: [
          [system, system],
          [system, 1],
        ],
        flops: system ** 3 / 3,
      },
      first: (dtype) => definite(system, dtype),
      raw: (blas, _, [a, b], out) => blas.solver(system, 1, a!, b!, out),
    },
  ];
}

async function compare(
  recorder: Recorder,
  product: Product,
  dtype: DType,
  { local, gpu, blas }: { local: Backend; gpu: DeviceBackend; blas: RawCuBlas | undefined },
  rounds: number,
  count: number,
): Promise<void> {
  const name = `${product.name}_${dtype}`;
  const maker = new Interner();
  if (!(product.dtypes ?? DTYPES).includes(dtype)) return;
  const values = product.shapes.map(([rows, cols], i) =>
    i === 0 && product.first ? product.first(dtype) : cellsAt(rows, cols, dtype, i),
  );
  const leaves = values.map(({ rows, cols }, i) =>
    maker.intern(ops.literal, [], { rows, cols, key: `${name}:${i}`, ...dtypeAttr(dtype) }),
  );
  const expr = maker.intern(product.op, leaves, product.attrs ?? {});
  const inputs = new Map(leaves.map((leaf, i) => [leaf, values[i]!]));
  const sides: Side[] = [
    { name: `${name}_device`, run: onDevice(gpu, expr, inputs, count), warmups: 2 },
    { name: `${name}_processor`, run: onProcessor(local, expr, inputs), rounds: 3 },
  ];
  const run = blas && byCuBlas(blas, product, dtype, expr, values, count);
  if (run) sides.push({ name: `${name}_raw`, run, warmups: 2 });
  await alternate(recorder, sides, { rounds, tolerance: TOLERANCE[dtype], pauseMs: 20 });
  for (const side of sides) {
    const rate = product.flops / recorder.summary(side.name).median / 1e9;
    recorder.figure(`${side.name}_gflops`, rate, undefined, [side.name]);
  }
  if (!run) return;
  const target = { atMost: RAW_TARGET };
  recorder.pairedRatio(`${name}_device_over_raw`, `${name}_device`, `${name}_raw`, target);
}

/** By a product of `count` that are queued. */
function onDevice(
  gpu: DeviceBackend,
  expr: Expr,
  inputs: ReadonlyMap<Expr, DenseMatrix>,
  count: number,
): () => Promise<Sample> {
  const segment: Segment = {
    ...{ nodes: [expr], inputs, outputs: [], persist: [expr], blocked: new Set() },
  };
  const queue = async (): Promise<Handle> => {
    const { values } = await gpu.run(segment, {});
    return values.get(expr) as Handle;
  };
  return async () => {
    // Operands are brought.
    const first = await queue();
    await gpu.arrived(first);
    gpu.release(first);
    const start = performance.now();
    for (let i = 1; i < count; i++) gpu.release(await queue());
    const last = await queue();
    await gpu.arrived(last);
    const seconds = (performance.now() - start) / 1000 / count;
    const { data } = await gpu.collect(last);
    gpu.release(last);
    return { seconds, answers: [...data.subarray(0, SHOWN)] };
  };
}

function byCuBlas(
  blas: RawCuBlas,
  { raw }: Product,
  dtype: DType,
  { rows, cols }: Expr,
  values: readonly DenseMatrix[],
  count: number,
): (() => Promise<Sample>) | undefined {
  const operands = values.map(({ data }) => blas.upload(data));
  const out = blas.allocate(cellsOf(dtype, rows * cols).byteLength);
  const queue = raw(blas, dtype, operands, out);
  if (queue === undefined) return undefined;
  return async () => {
    const start = performance.now();
    for (let i = 0; i < count; i++) queue();
    blas.synchronise();
    const seconds = (performance.now() - start) / 1000 / count;
    return { seconds, answers: blas.read(out, dtype, SHOWN) };
  };
}

function onProcessor(
  local: Backend,
  expr: Expr,
  inputs: ReadonlyMap<Expr, DenseMatrix>,
): () => Promise<Sample> {
  return async () => {
    const start = performance.now();
    const segment = {
      nodes: [expr],
      inputs,
      outputs: [expr],
      persist: [],
      blocked: new Set<Expr>(),
    };
    const { values } = await local.run(segment, {});
    const seconds = (performance.now() - start) / 1000;
    const { data } = values.get(expr) as DenseMatrix;
    return { seconds, answers: [...data.subarray(0, SHOWN)] };
  };
}

/** Symmetric, its diagonal larger than the rest of its row. */
function definite(n: number, dtype: DType): DenseMatrix {
  const cells = cellsOf(dtype, n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) cells[i * n + j] = (((i + j) * 37) % 101) / 101 + (i === j ? n : 0);
  }
  return dense(n, n, cells);
}

function cellsAt(rows: number, cols: number, dtype: DType, seed: number): DenseMatrix {
  const cells = cellsOf(dtype, rows * cols);
  for (let i = 0; i < cells.length; i++) cells[i] = ((i * 37 + seed) % 1009) / 1009 - 0.4;
  return dense(rows, cols, cells);
}
