/** Reads and fills a cache of a million values in random order, also a full one. Half a minute. */
import { performance } from 'node:perf_hooks';
import { createReferenceBackend, dense, type Expr, ops, Session } from '../driver/index.js';
import type { Bench } from './harness.js';

const BATCH = 1000;

export const probe: Bench = {
  name: 'probe',
  summary: 'latency of a look-up, a put and an eviction with a million entries',
  run: async (recorder, options) => {
    const entries = options.quick ? 100_000 : 1_000_000;
    const cacheBytes = entries * (256 + 64);
    const session = new Session({ local: createReferenceBackend(), cacheBytes, spill: false });
    const { cache } = session;
    const nodes = Array.from({ length: entries + entries / 5 }, (_, i) =>
      session.intern(ops.fill, [], { rows: 8, cols: 1, value: i }),
    );
    const value = dense(8, 1);
    const put = (expr: Expr, i: number): void => {
      cache.claim(expr);
      cache.put(expr, value, (1 + (i % 97)) * 1e-4, 'cpu');
    };
    const held = nodes.slice(0, entries);
    const late = nodes.slice(entries);
    timed(held, put, (us) => recorder.sample('put_us', us));
    const order = held.map((_, i) => held[(i * 7_919) % entries]!);
    let found = 0;
    for (let round = 0; round < 3; round++) {
      const look = (expr: Expr): void => {
        if (cache.probe(expr) !== undefined) found++;
      };
      timed(order, look, (us) => recorder.sample('hit_us', us));
      timed(late, look, (us) => recorder.sample('miss_us', us));
    }
    timed(late, put, (us) => recorder.sample('put_and_evict_us', us));
    if (found !== 3 * entries || cache.evicted === 0 || cache.bytes > cacheBytes) {
      throw new Error('probe: expected every value to be found, and room to be made for more');
    }
    for (const name of ['hit_us', 'miss_us', 'put_us', 'put_and_evict_us']) {
      const isLook = name === 'hit_us' || name === 'miss_us';
      recorder.medianFigure(`probe.${name}`, name, isLook ? { atMost: 2 } : undefined);
    }
    recorder.figure('probe.worst_batch_us', recorder.summary('put_and_evict_us').max, undefined, [
      'put_and_evict_us',
    ]);
    recorder.note(`${entries} entries; a sample is the mean of ${BATCH}`);
  },
};

/** Mean microseconds of each batch. */
function timed(
  nodes: readonly Expr[],
  work: (expr: Expr, i: number) => void,
  sample: (us: number) => void,
): void {
  for (let from = 0; from < nodes.length; from += BATCH) {
    const to = Math.min(from + BATCH, nodes.length);
    const start = performance.now();
    for (let i = from; i < to; i++) work(nodes[i]!, i);
    sample(((performance.now() - start) * 1000) / (to - from));
  }
}
