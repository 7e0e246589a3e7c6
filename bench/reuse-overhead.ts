/**
 * What keeping and looking for results costs, and what it gives, by operand size and by the share
 * of the work that was done before; after figures 11a and 11b of MEMPHIS (EDBT 2025). The same
 * calls run with reuse on and off, and once more as bare kernel calls with no session at all; then
 * SystemDS makes the same calls with its lineage cache on and off. A call is a training loop in
 * miniature. About eight minutes, half of them SystemDS.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  type DenseMatrix,
  dense,
  type Expr,
  type Matrix,
  matrix,
  type OpDef,
  ops,
  type ReuseSetting,
  Session,
  type Value,
} from '../driver/index.js';
import { Interner } from '../driver/ir/intern.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { type Bench, checkAnswers, type Recorder } from './harness.js';
import { runSystemDsChains } from './rivals/chains-rival.js';

interface Size {
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
  /** Calls in one sample. */
  readonly calls: number;
  /** Steps of a call, of two operators on operands of this size. */
  readonly steps: number;
  /** Most that looking and keeping may cost where nothing is reused. */
  readonly atMost: number;
  /** Shares of reusable work measured. Default: all, and SystemDS beside them. @units percent */
  readonly shares?: readonly number[];
  readonly rounds?: number;
}

const SIZES: readonly Size[] = [
  { name: '800B', rows: 10, cols: 10, calls: 1000, steps: 50, atMost: 1.3 },
  { name: '8KB', rows: 100, cols: 10, calls: 600, steps: 50, atMost: 1.3 },
  { name: '80KB', rows: 1000, cols: 10, calls: 100, steps: 50, atMost: 1.1 },
  { name: '8MB', rows: 10_000, cols: 100, calls: 10, steps: 20, atMost: 1.05 },
  // After figure 11b: whether a session that has seen a million operators looks and keeps as fast
  // as a young one.
  {
    name: 'million',
    rows: 100,
    cols: 10,
    calls: 10_000,
    steps: 50,
    atMost: 1.3,
    shares: [0],
    rounds: 3,
  },
];

/** Collections free memory and run finalizers, apart from the next sample. @units milliseconds */
const SETTLE_MS = 100;

const SHARES = [0, 20, 40, 80] as const;

type Backend = Awaited<ReturnType<typeof createCpuBackend>>;

export const reuseOverhead: Bench = {
  name: 'reuse-overhead',
  summary: 'cost of tracing and probing, gain of reuse: by operand size and reusable share',
  run: async (recorder, options) => {
    const rounds = options.quick ? 3 : 7;
    setFlagsFromString('--expose-gc');
    // Or each of our collections would age compiled code, and every sample start with what the one
    // before did not run cold.
    setFlagsFromString('--no-flush-bytecode');
    const backend = await createCpuBackend();
    try {
      for (const size of SIZES) await measure(recorder, backend, size, rounds, options.quick);
    } finally {
      await backend.close();
    }
    for (const size of SIZES) {
      if (size.shares === undefined) await measureSystemDs(recorder, size, options.quick);
    }
    recorder.note(
      'systemds: a process for each measurement, its first repetition thrown away; it fuses v * rate + x into one operator and uses two threads',
    );
    recorder.note(
      `a call is 101 operators (41 at 8 MB); .overhead is reuse on over off with nothing to reuse and .gain is off over on, both as medians over pairs of samples taken one after the other; .vs_kernels is reuse on over bare kernel calls`,
    );
  },
};

async function measure(
  recorder: Recorder,
  backend: Backend,
  size: Size,
  rounds: number,
  quick: boolean,
): Promise<void> {
  const calls = quick ? Math.ceil(size.calls / 5) : size.calls;
  const { steps, shares = SHARES } = size;
  const data = inputOf(size);
  const sides = shares.flatMap((share) => [
    {
      name: `${size.name}.${share}.on`,
      run: () => withSession(backend, data, { calls, share, steps, reuse: 'full' }),
    },
    {
      name: `${size.name}.${share}.off`,
      run: () => withSession(backend, data, { calls, share, steps, reuse: 'off' }),
    },
  ]);
  sides.push({
    name: `${size.name}.kernels`,
    run: async () => bareKernels(backend, data, calls, steps),
  });
  for (let round = -1; round < (size.rounds ?? rounds); round++) {
    const answers = new Map<string, readonly number[]>();
    for (const { name, run } of round % 2 === 0 ? sides : [...sides].reverse()) {
      // What the sample before left is not this one's to clear away.
      collectGarbage();
      await sleep(SETTLE_MS);
      const { seconds, sums } = await run();
      answers.set(name, sums);
      if (round >= 0) recorder.sample(name, seconds);
    }
    for (const share of shares) {
      const [on, off] = [`${size.name}.${share}.on`, `${size.name}.${share}.off`];
      checkAnswers(on, answers.get(on)!, off, answers.get(off)!, 0);
    }
    const [on, bare] = [`${size.name}.0.on`, `${size.name}.kernels`];
    checkAnswers(on, answers.get(on)!, bare, answers.get(bare)!, 0);
  }
  const at = `reuse-overhead.${size.name}`;
  recorder.pairedRatio(`${at}.overhead`, `${size.name}.0.on`, `${size.name}.0.off`, {
    atMost: size.atMost,
  });
  recorder.ratio(`${at}.vs_kernels`, `${size.name}.0.on`, `${size.name}.kernels`);
  const perOperator = recorder.summary(`${size.name}.0.on`).median / (calls * (2 * size.steps + 1));
  recorder.figure(`${at}.operator_us`, perOperator * 1e6, undefined, [`${size.name}.0.on`]);
  for (const share of shares.slice(1)) {
    const least = share === 20 ? 1.15 : 3;
    const target = size.name === '8MB' && share !== 40 ? { atLeast: least } : undefined;
    recorder.pairedRatio(
      `${at}.gain_${share}`,
      `${size.name}.${share}.off`,
      `${size.name}.${share}.on`,
      target,
    );
  }
}

/** SystemDS against itself without its lineage cache, and against our sessions with reuse on. */
async function measureSystemDs(recorder: Recorder, size: Size, quick: boolean): Promise<void> {
  const calls = quick ? Math.ceil(size.calls / 5) : size.calls;
  const { rows, cols, steps, name } = size;
  const repetitions = quick ? 1 : 3;
  for (const share of [0, 20, 80]) {
    const rates = Array.from({ length: calls }, (_, call) => settingOf(call, share));
    const sums: number[][] = [];
    for (const lineage of ['base', 'reuse_full'] as const) {
      const runs = await runSystemDsChains({ rows, cols, steps, rates, lineage, repetitions });
      recorder.sample(`${name}.${share}.systemds_${lineage}`, ...runs.map((run) => run.seconds));
      sums.push(runs.map((run) => run.sum));
    }
    checkAnswers('systemds reuse_full', sums[1]!, 'systemds base', sums[0]!, 1e-12);
    const [on, off] = [`${name}.${share}.systemds_reuse_full`, `${name}.${share}.systemds_base`];
    const at = `reuse-overhead.${name}`;
    if (share === 0) recorder.ratio(`${at}.systemds_overhead`, on, off);
    else recorder.ratio(`${at}.systemds_gain_${share}`, off, on);
    recorder.ratio(`${at}.systemds_vs_ours_${share}`, on, `${name}.${share}.on`);
  }
}

const collectGarbage = (): void => (runInNewContext('gc') as () => void)();

function inputOf({ rows, cols }: Size): DenseMatrix {
  return dense(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, (_, i) => Math.sin(i)),
  );
}

/** The settings of the calls: `share` percent repeat an earlier one, spread evenly. */
function settingOf(call: number, share: number): number {
  // Of n calls, share% are repeats, to the call.
  const repeats = (n: number): number => Math.floor((n * share) / 100);
  const distinct = (n: number): number => n - repeats(n);
  const isRepeat = repeats(call + 1) > repeats(call);
  // A repeat takes the newest earlier setting but a few, so that what is reused is not only the
  // last.
  const at = isRepeat ? Math.max(0, distinct(call) - 1 - (call % 4)) : distinct(call);
  return 0.5 + at / 1000;
}

interface Work {
  readonly calls: number;
  readonly share: number;
  readonly steps: number;
  readonly reuse: ReuseSetting;
}

async function withSession(
  backend: Backend,
  data: DenseMatrix,
  { calls, share, steps, reuse }: Work,
): Promise<{ seconds: number; sums: number[] }> {
  const session = new Session({ local: backend, reuse });
  const x = matrix(session, data, { copy: false });
  const sums: number[] = [];
  const start = performance.now();
  for (let call = 0; call < calls; call++) sums.push(await train(x, settingOf(call, share), steps));
  const seconds = (performance.now() - start) / 1000;
  session.cache.close();
  return { seconds, sums };
}

/** v <- v * rate + x, from x, then the sum of all cells. */
function train(x: Matrix, rate: number, steps: number): Promise<number> {
  let v = x;
  for (let step = 0; step < steps; step++) v = v.mul(rate).add(x);
  return v.sum().value();
}

/** The same arithmetic by the backend's kernels alone: nothing traced, planned or kept. */
function bareKernels(
  backend: Backend,
  data: DenseMatrix,
  calls: number,
  steps: number,
): { seconds: number; sums: number[] } {
  const interner = new Interner();
  const leaf = interner.intern(ops.literal, [], { ...shapeOf(data), key: 'bench' }, data);
  const rateExpr = interner.intern(ops.scalar, [], { value: 1 });
  const make = (op: OpDef, ...inputs: Expr[]): Expr => interner.intern(op, inputs);
  const [mul, add, sum] = [
    make(ops.mul, leaf, rateExpr),
    make(ops.add, leaf, leaf),
    make(ops.sum, leaf),
  ];
  const sums: number[] = [];
  const start = performance.now();
  for (let call = 0; call < calls; call++) {
    const rate = dense(1, 1, Float64Array.of(settingOf(call, 0)));
    let v: Value = data;
    for (let step = 0; step < steps; step++) {
      v = runKernel(backend, add, [runKernel(backend, mul, [v, rate]), data]);
    }
    sums.push((runKernel(backend, sum, [v]) as DenseMatrix).data[0]!);
  }
  return { seconds: (performance.now() - start) / 1000, sums };
}

function runKernel(backend: Backend, expr: Expr, inputs: readonly Value[]): Value {
  const value = backend.runSync?.(expr, inputs);
  if (value === undefined) throw new Error(`bench: expected ${expr.op.name} to run at once`);
  return value;
}

function shapeOf({ rows, cols }: DenseMatrix): { rows: number; cols: number } {
  return { rows, cols };
}
