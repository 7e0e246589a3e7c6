/**
 * Thousands of RDDs of which a third come again, after MEMPHIS (EDBT 2025) figure 2c: computing
 * each one every time, keeping every one when it is computed first, and delayed caching. A program
 * is twelve row-block operators and an action that is never asked twice; the first four operators
 * are one of a few preparations that programs share in a mixed order.
 */
import { performance } from 'node:perf_hooks';
import { type Backend, type Matrix, rand, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import {
  createSparkBackend,
  type EmbeddedSpark,
  type RddReuse,
  startEmbeddedSpark,
} from '../spark-bridge/index.js';
import { alternate, type Bench, type Recorder, type Sample } from './harness.js';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const ROWS = 72_000;
const COLS = 16;
const OPERATORS = 12;
const SHARED_OPERATORS = 4;

interface Size {
  readonly programs: number;
  readonly preparations: number;
  readonly rounds: number;
  /** Keeping everything writes gigabytes; it is run as often as the time allows. */
  readonly eagerRounds: number;
}

export const rddReuse: Bench = {
  name: 'rdd-reuse',
  summary: 'thousands of RDDs, a third reusable: no reuse, eager, delayed caching (3 minutes)',
  run: async (recorder, options) => {
    const size: Size = options.quick
      ? { programs: 40, preparations: 4, rounds: 1, eagerRounds: 1 }
      : { programs: 170, preparations: 10, rounds: 5, eagerRounds: 2 };
    const local = await createCpuBackend();
    const spark = await startEmbeddedSpark({ memoryBytes: 2 * GIB });
    try {
      const side = (policy: RddReuse, name: string, rounds: number) => ({
        name,
        rounds,
        warmups: policy === 'eager' ? 0 : 1,
        run: () => sample(recorder, spark, local, policy, name, size),
      });
      const sides = [
        side('off', 'none', size.rounds),
        side('delayed', 'delayed', size.rounds),
        side('eager', 'eager', size.eagerRounds),
      ];
      await alternate(recorder, sides, { rounds: size.rounds, tolerance: 1e-9 });
    } finally {
      await spark.close();
      await local.close();
    }
    recorder.figure('rdd-reuse.rdds', size.programs * OPERATORS);
    recorder.figure('rdd-reuse.reusable_share', SHARED_OPERATORS / OPERATORS);
    for (const name of ['none', 'eager', 'delayed']) {
      recorder.medianFigure(`rdd-reuse.${name}_s`, name);
      recorder.medianFigure(`rdd-reuse.${name}_storage_mib`, `${name}.storage_mib`);
      recorder.medianFigure(`rdd-reuse.${name}_kernels`, `${name}.kernels`);
    }
    recorder.ratio('rdd-reuse.none_vs_delayed', 'none', 'delayed', { atLeast: 2 });
    recorder.ratio('rdd-reuse.eager_vs_none', 'eager', 'none');
    recorder.note(
      'storage is what Spark stores in memory and on disk at the end of a run, after what was evicted has gone',
    );
  },
};

/** A new session over the same Spark: nothing of an earlier run is known to it. */
async function sample(
  recorder: Recorder,
  { channel }: EmbeddedSpark,
  local: Backend,
  policy: RddReuse,
  name: string,
  size: Size,
): Promise<Sample> {
  const blocks = await createSparkBackend({ channel, onClose: async () => {}, rddReuse: policy });
  const session = new Session({ local, blocks, placement: 'blocks', spill: false });
  try {
    const start = performance.now();
    const answers: number[] = [];
    for (let i = 0; i < size.programs; i++) answers.push(await program(session, i, size).value());
    const seconds = (performance.now() - start) / 1000;
    await blocks.tier.settle();
    const { handles } = (await channel.call('storage', {})).result;
    const stored = handles.reduce((sum, held) => sum + held.memoryBytes + held.diskBytes, 0);
    recorder.sample(`${name}.storage_mib`, stored / MIB);
    recorder.sample(`${name}.kernels`, session.statistics.counters().kernels);
    return { seconds, answers };
  } finally {
    session.cache.clear();
    await blocks.tier.settle();
    await emptied(channel);
  }
}

function program(session: Session, i: number, size: Size): ReturnType<Matrix['sum']> {
  // A mixed order, the same in every run: coprime steps visit all preparations evenly.
  const seed = 1 + ((i * 7) % size.preparations);
  let x = rand(session, ROWS, COLS, { seed, distribution: 'normal' }).abs().log().exp();
  for (let k = SHARED_OPERATORS; k < OPERATORS; k++) {
    x = k % 2 === 0 ? x.mul(1 + 1 / (i + k)) : x.add(1 / (1 + i + k));
  }
  return x.sum();
}

async function emptied(channel: EmbeddedSpark['channel']): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if ((await channel.call('storage', {})).result.handles.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
