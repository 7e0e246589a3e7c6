/**
 * Five hundred turns of a loop whose weights a Spark program reads whole: live broadcasts by
 * Spark's own count, memory of this process and the time of a turn stay what they were.
 */
import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { rand, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { createSparkBackend, startEmbeddedSpark } from '../spark-bridge/index.js';
import type { Bench } from './harness.js';

const MIB = 1024 ** 2;
const [ROWS, COLS, OUTPUTS] = [2100, 512, 20];
const CACHE_BYTES = 16 * MIB;

export const broadcasts: Bench = {
  name: 'broadcasts',
  summary: '500 iterations that broadcast: live broadcasts, memory, time a turn (1 minute)',
  run: async (recorder, options) => {
    const turns = options.quick ? 300 : 500;
    const probes = 10;
    const lateMemory: number[] = [];
    const local = await createCpuBackend();
    const spark = await startEmbeddedSpark({ memoryBytes: 1024 * MIB });
    try {
      const { channel } = spark;
      const blocks = await createSparkBackend({ channel, onClose: async () => {} });
      const session = new Session({
        local,
        blocks,
        placement: 'blocks',
        cacheBytes: CACHE_BYTES,
        spill: false,
      });
      const x = rand(session, ROWS, COLS, { seed: 4 });
      await session.persist([x.expr]);
      const xt = x.t();
      let w = rand(session, COLS, OUTPUTS, { seed: 5 });
      for (let turn = 0; turn < turns; turn++) {
        const start = performance.now();
        w = w.sub(xt.matmul(x.matmul(w)).mul(1e-6));
        await w.sum().value();
        const ms = performance.now() - start;
        // The first turns warm both JITs.
        if (turn >= turns / 5 && turn < (2 * turns) / 5) recorder.sample('early_ms', ms);
        if (turn >= (4 * turns) / 5) recorder.sample('late_ms', ms);
        if (turn % Math.ceil(turns / probes) !== 0) continue;
        const { liveBroadcasts } = (await channel.call('storage', {})).result;
        recorder.sample('live_broadcasts', liveBroadcasts);
        const memory = (await heapBytes()) / MIB;
        recorder.sample('memory_mib', memory);
        // From when the cache is full and the JIT has settled on.
        if (turn >= turns / 2) lateMemory.push(memory);
        recorder.progress(`turn ${turn}: ${liveBroadcasts} live broadcasts`);
      }
    } finally {
      await spark.close();
      await local.close();
    }
    const live = recorder.summary('live_broadcasts');
    recorder.figure('broadcasts.turns', turns);
    recorder.figure('broadcasts.most_live', live.max, { atMost: 70 }, ['live_broadcasts']);
    recorder.figure('broadcasts.memory_mib_most', recorder.summary('memory_mib').max);
    const growth = lateMemory.at(-1)! - lateMemory[0]!;
    recorder.figure('broadcasts.memory_growth_mib', growth, { atMost: 4 }, ['memory_mib']);
    recorder.ratio('broadcasts.late_vs_early_turn', 'late_ms', 'early_ms', { atMost: 1.2 });
    recorder.note(
      `the reuse cache may take ${CACHE_BYTES / MIB} MiB, and fills with the weights of each turn; at most 64 values stay broadcast`,
    );
  },
};

async function heapBytes(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  gc();
  // Finalizers run between turns of the event loop.
  await new Promise((resolve) => setTimeout(resolve, 20));
  gc();
  const usage = process.memoryUsage();
  return usage.heapUsed + usage.arrayBuffers;
}
