/**
 * Ten thousand trials in one plan, and then as many new ones again and again in the same session:
 * memory has to stay what it was. A trial is a ridge regression on a Gram matrix all share, with
 * its loss. About a minute.
 */
import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Matrix, rand, type Scalar, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import type { Bench } from './harness.js';

const FEATURES = 20;
/** Room for about one plan's results, so that memory is measured full. @units bytes */
const CACHE_BYTES_PER_TRIAL = 1500;
const MIB = 1024 * 1024;

export const trials: Bench = {
  name: 'trials',
  summary: 'a plan of 10,000 trials: time a trial, and memory after each of many such plans',
  run: async (recorder, options) => {
    const count = options.quick ? 1000 : 10_000;
    const plans = options.quick ? 4 : 8;
    const backend = await createCpuBackend();
    const session = new Session({ local: backend, cacheBytes: CACHE_BYTES_PER_TRIAL * count });
    const x = rand(session, 2000, FEATURES, { seed: 1 });
    const y = rand(session, 2000, 1, { seed: 2 });
    const problem = { gram: x.tsmm(), xty: x.t().matmul(y) };
    const before = heapMib();
    const heaps: number[] = [];
    for (let plan = 0; plan < plans; plan++) {
      const seconds = await runPlan(session, problem, plan * count, count);
      recorder.sample('trial_us', (seconds / count) * 1e6);
      heaps.push(heapMib() - before);
      recorder.sample('heap_mib', heaps.at(-1)!);
      recorder.progress(
        `plan ${plan + 1}: ${seconds.toFixed(2)} s, heap +${heaps.at(-1)!.toFixed(1)} MiB`,
      );
    }
    await session.close();
    const half = heaps.length / 2;
    const growth = (heaps.at(-1)! - heaps[half - 1]!) / half;
    recorder.medianFigure('trials.trial_us', 'trial_us');
    recorder.figure('trials.heap_mib', Math.max(...heaps), undefined, ['heap_mib']);
    recorder.figure('trials.heap_growth_mib_per_plan', growth, { atMost: 1 }, ['heap_mib']);
  },
};

/** @returns seconds */
async function runPlan(
  session: Session,
  { gram, xty }: { readonly gram: Matrix; readonly xty: Matrix },
  from: number,
  count: number,
): Promise<number> {
  const run = session.run();
  const start = performance.now();
  const losses: Scalar[] = [];
  const [own, ownXty] = [gram.in(run), xty.in(run)];
  for (let i = 0; i < count; i++) {
    const w = own.addDiag(1 + (from + i) / 1000).solve(ownXty, { assume: 'spd' });
    losses.push(w.t().matmul(own).matmul(w).sum());
  }
  await Promise.all(losses.map((loss) => loss.value()));
  return (performance.now() - start) / 1000;
}

/** Live bytes after full collections: heap and array buffers. @units MiB */
function heapMib(): number {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  gc();
  gc();
  const usage = process.memoryUsage();
  return (usage.heapUsed + usage.arrayBuffers) / MIB;
}
