/**
 * Ten gigabytes over the disk against computing again: results of 8 MB that memory can't hold are asked for twice, once with
 * and once without files for what leaves memory. Two to three minutes.
 */
import { performance } from 'node:perf_hooks';
import { matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { type Bench, checkAnswers, type Recorder } from './harness.js';

const SIZE = 1000;
const VALUE_BYTES = SIZE * SIZE * 8;
const CACHE_BYTES = 32 * VALUE_BYTES;

type Backend = Awaited<ReturnType<typeof createCpuBackend>>;

export const spill: Bench = {
  name: 'spill',
  summary: '10 GB of values over the local disk, against computing them again',
  run: async (recorder, options) => {
    const values = options.quick ? 60 : 660;
    const backend = await createCpuBackend();
    const kept = await twice(recorder, backend, values, true);
    const recomputed = await twice(recorder, backend, values, false);
    checkAnswers('read back', kept.answers, 'computed again', recomputed.answers, 0);
    await backend.close();
    recorder.figure('spill.traffic_gb', kept.trafficBytes / 1e9);
    recorder.figure('spill.kernels_again', kept.kernelsAgain);
    recorder.ratio('spill.recompute_vs_read', 'again.computed', 'again.read', { atLeast: 1 });
    recorder.ratio('spill.first_pass_overhead', 'first.read', 'first.computed');
    recorder.note(
      `disk as measured: write ${(kept.write / 1e6).toFixed(0)} MB/s, read ${(kept.read / 1e6).toFixed(0)} MB/s (page cache included)`,
    );
  },
};

/** Every value twice, in order, so that the oldest has left memory when it is asked for again. */
async function twice(recorder: Recorder, backend: Backend, values: number, toDisk: boolean) {
  const session = new Session({
    local: backend,
    cacheBytes: CACHE_BYTES,
    ...(toDisk ? {} : { spill: false }),
  });
  const side = toDisk ? 'read' : 'computed';
  const cells = Float64Array.from({ length: SIZE * SIZE }, (_, i) => Math.sin(i) / SIZE);
  const x = matrix(session, SIZE, SIZE, cells, { copy: false });
  const answers: number[] = [];
  let kernelsBefore = 0;
  for (const pass of ['first', 'again']) {
    kernelsBefore = session.statistics.kernels;
    const start = performance.now();
    for (let i = 0; i < values; i++) {
      // The middle product is made unequal by its factor, so that nothing else is shared.
      const y = x
        .mul(1 + i / values)
        .matmul(x)
        .matmul(x);
      answers.push((await y.value()).data[SIZE + 1]!);
    }
    recorder.sample(`${pass}.${side}`, (performance.now() - start) / 1000);
    recorder.progress(`${side}, ${pass} pass done`);
  }
  const tier = session.cache.spill;
  const found = {
    answers,
    kernelsAgain: session.statistics.kernels - kernelsBefore,
    trafficBytes: (tier?.writtenBytes ?? 0) + (tier?.readBytes ?? 0),
    write: tier?.writeBytesPerSecond ?? 0,
    read: tier?.readBytesPerSecond ?? 0,
  };
  session.cache.close();
  return found;
}
