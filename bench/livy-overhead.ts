/**
 * What a program costs on a real Livy (REPRISE_LIVY_URL; REPRISE_LIVY_JAR where uploads are not
 * wanted), in one session: a program that does nothing over statements, a bare `1+1` polled the
 * same way and as fast as it can be, and the direct channel. One to two minutes, most of it the
 * session's start; without a server it says so and measures nothing.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { env } from '../driver/support/env.js';
import { shimTarget } from '../spark-bridge/embedded/spark-lines.js';
import { buildShim } from '../spark-bridge/index.js';
import { connectLivy, type JarDelivery, type LivyLink } from '../spark-bridge/livy/connect.js';
import { memorySessionStore } from '../spark-bridge/livy/session-store.js';
import { noop } from './channel.js';
import { alternate, type Bench, type Sample } from './harness.js';

const sample = async (work: () => Promise<unknown>): Promise<Sample> => {
  const start = performance.now();
  await work();
  return { seconds: (performance.now() - start) / 1000 };
};

/** Runs `1+1` as a statement and looks for its result every `pollMs`. */
async function bareStatement({ client, session }: LivyLink, pollMs: number): Promise<void> {
  const { id } = await client.submitStatement(session.name, '1+1');
  for (;;) {
    await sleep(pollMs);
    const { state, output } = await client.statement(session.name, id);
    if (state !== 'available') continue;
    if (output?.status !== 'ok' || !output.text.includes('2')) throw new Error('expected 2');
    return;
  }
}

export const livyOverhead: Bench = {
  name: 'livy-overhead',
  summary: 'a program on a real Livy: over statements, a bare statement, direct',
  run: async (recorder, options) => {
    const url = env.livyUrl();
    if (url === undefined) {
      recorder.note(
        'SKIPPED: set REPRISE_LIVY_URL to the address of an Apache Livy on this machine',
      );
      return;
    }
    const uri = env.livyJar();
    const jar: JarDelivery = uri
      ? { by: 'uri', uri }
      : { by: 'upload', path: (running) => buildShim({ target: shimTarget(running, 'livy') }) };
    const started = performance.now();
    const link = await connectLivy({
      connection: { url },
      key: 'bench',
      store: memorySessionStore(),
      jar,
      spec: { driverMemory: '1g' },
      channelMode: 'direct',
    });
    try {
      recorder.sample('session start', (performance.now() - started) / 1000);
      const sides = [
        { name: 'statements', run: () => sample(() => noop(link.statements, 'noop')) },
        { name: 'bare statement', run: () => sample(() => bareStatement(link, 100)) },
        { name: 'bare statement, polled fast', run: () => sample(() => bareStatement(link, 5)) },
        { name: 'direct', run: () => sample(() => noop(link.channel, 'noop')) },
      ];
      await alternate(recorder, sides, { rounds: options.quick ? 5 : 25, tolerance: 0 });
      for (const { name } of sides) {
        const figure = `livy_${name.replaceAll(/[^a-z]+/g, '_')}_ms`;
        recorder.figure(figure, recorder.summary(name).median * 1e3, undefined, [name]);
      }
      recorder.ratio('livy_program_over_bare_statement', 'statements', 'bare statement');
      recorder.ratio('livy_statements_over_direct', 'statements', 'direct');
      recorder.medianFigure('livy_session_start_s', 'session start');
    } finally {
      await link.close();
    }
  },
};
