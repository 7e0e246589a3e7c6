/**
 * t(X) %*% X on the executors of a real Livy (REPRISE_LIVY_URL), with the OpenBLAS that goes along
 * and with what they have: a session each, as a JVM keeps the BLAS it began with. What making the
 * random rows takes is measured by their sum and taken off. A few minutes, most of it the sessions'
 * start; without a server it says so and measures nothing.
 */
import { performance } from 'node:perf_hooks';
import { createReferenceBackend } from '../driver/backend/reference-backend.js';
import { rand } from '../driver/matrix/create.js';
import { Session } from '../driver/runtime/session.js';
import { env } from '../driver/support/env.js';
import { nativeBlasFiles } from '../spark-bridge/embedded/locations.js';
import { createLivyBackend } from '../spark-bridge/index.js';
import { memorySessionStore } from '../spark-bridge/livy/session-store.js';
import type { Bench, Recorder } from './harness.js';

const [ROWS, COLS] = [20_000, 1000];

async function secondsOf(value: { value(): Promise<unknown> }): Promise<number> {
  const started = performance.now();
  await value.value();
  return (performance.now() - started) / 1000;
}

async function measure(
  recorder: Recorder,
  side: string,
  blas: readonly string[],
  rounds: number,
): Promise<void> {
  const backend = await createLivyBackend({ key: side, store: memorySessionStore(), blas });
  try {
    recorder.note(
      `${side}: ${backend.survey.describe()}, ${backend.survey.blas(backend.description).text}`,
    );
    const local = createReferenceBackend();
    const session = new Session({ local, blocks: backend, placement: 'blocks', reuse: 'off' });
    const products: number[] = [];
    // The first round loads classes and libraries.
    for (let round = 0; round <= rounds; round++) {
      const x = rand(session, ROWS, COLS, { seed: round });
      const made = await secondsOf(x.sum());
      const whole = await secondsOf(x.tsmm());
      if (round === 0) continue;
      recorder.sample(side, whole);
      products.push(Math.max(whole - made, 1e-3));
    }
    products.sort((a, b) => a - b);
    const seconds = products[Math.floor(products.length / 2)]!;
    recorder.figure(`livy_gram_${side}_gflops`, (ROWS * COLS * COLS) / seconds / 1e9, undefined, [
      side,
    ]);
  } finally {
    await backend.close();
  }
}

export const livyBlas: Bench = {
  name: 'livy-blas',
  summary: 'a Gram matrix behind a real Livy: OpenBLAS sent along, and what executors have',
  run: async (recorder, options) => {
    const blas = nativeBlasFiles();
    if (env.livyUrl() === undefined || blas.length === 0) {
      recorder.note('SKIPPED: set REPRISE_LIVY_URL to an Apache Livy, and run `reprise setup`');
      return;
    }
    const rounds = options.quick ? 2 : 5;
    await measure(recorder, 'sent', blas, rounds);
    await measure(recorder, 'own', [], rounds);
  },
};
