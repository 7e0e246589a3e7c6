/**
 * How much memory the cache needs to be of use, after figure 12a of MEMPHIS (EDBT 2025): the same
 * calls, 40 % of which were made before, with caches of a tenth, half and twice of what they would
 * fill, and with none. About a minute.
 */
import { performance } from 'node:perf_hooks';
import { matrix, Session, type SessionOptions } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { type Bench, checkAnswers } from './harness.js';

const ROWS = 2000;
const COLS = 500;
/** Bytes of what one call leaves: the scaled matrix and its Gram matrix. */
const CALL_BYTES = (ROWS * COLS + COLS * COLS) * 8;

export const cacheSize: Bench = {
  name: 'cache-size',
  summary: 'calls of which 40 % repeat, by size of the cache, against reuse switched off',
  run: async (recorder, options) => {
    const calls = options.quick ? 30 : 100;
    const rounds = options.quick ? 1 : 5;
    const filled = calls * 0.6 * CALL_BYTES;
    const backend = await createCpuBackend();
    const cells = Float64Array.from({ length: ROWS * COLS }, (_, i) => Math.sin(i));
    const sides: Readonly<Record<string, Partial<SessionOptions>>> = {
      off: { reuse: 'off' },
      tenth: { cacheBytes: filled / 10 },
      half: { cacheBytes: filled / 2 },
      twice: { cacheBytes: filled * 2 },
      'tenth.memory_only': { cacheBytes: filled / 10, spill: false },
    };
    for (let round = 0; round <= rounds; round++) {
      let first: readonly number[] | undefined;
      for (const [name, side] of Object.entries(sides)) {
        const session = new Session({ local: backend, ...side });
        const x = matrix(session, ROWS, COLS, cells, { copy: false });
        const answers: number[] = [];
        const start = performance.now();
        for (let call = 0; call < calls; call++) {
          const gram = await x.mul(rateOf(call)).tsmm().value();
          answers.push(gram.data[COLS + 1]!);
        }
        const seconds = (performance.now() - start) / 1000;
        session.cache.close();
        first ??= answers;
        checkAnswers(name, answers, 'off', first, 0);
        if (round > 0) recorder.sample(name, seconds);
      }
    }
    await backend.close();
    for (const name of Object.keys(sides).slice(1)) {
      recorder.ratio(`cache-size.${name}.gain`, 'off', name);
    }
    recorder.note(`twice, half and a tenth of ${(filled / 1e6).toFixed(0)} MB`);
  },
};

/** Two of five calls repeat one of the eight before them. */
function rateOf(call: number): number {
  const isRepeat = call > 8 && call % 5 >= 3;
  return 1 + (isRepeat ? call - 3 - (call % 5) : call) / 1000;
}
