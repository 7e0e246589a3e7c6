/**
 * A process of its own that waits for something, for tests of signals: `node signal-process.js
 * <what> <grace in ms> [path]`. Says `waiting` once it does, and ends as `reprise` does.
 */
import { readFileSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { DuckDBInstance } from '@duckdb/node-api';
import { hardExit } from '../../jobs/cli/hard-exit.js';
import { InterruptError, interruptible } from '../../jobs/cli/interrupt.js';
import { whenWatching } from '../../jobs/cli/watchdog.js';

const [, , what = '', graceMs = '', path = ''] = process.argv;
const never = (): Promise<never> => new Promise(() => setInterval(() => {}, 1000));

/** Each is something that does not end when asked to. */
const waits: Readonly<Record<string, () => Promise<unknown>>> = {
  /** As a cluster that does not answer. */
  promise: never,
  loop: async () => {
    for (;;);
  },
  /** A native call on the main thread, as a BLAS routine. */
  native: async () => {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    for (;;) koffi.load(null).func('unsigned int sleep(unsigned int)')(1000);
  },
  duckdb: async () => {
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    return connection.run(
      'select sum(a.range * b.range) from range(1e7::bigint) a, range(1e7::bigint) b',
    );
  },
  /** Nobody writes to it. */
  fifo: async () => readFileSync(path),
  /** All threads of Node's pool, for which `process.exit` waits. */
  fifos: () => Promise.all(Array.from({ length: 4 }, () => open(path))),
  /** Nobody reads from it. */
  pipe: async () => {
    for (;;) writeSync(2, 'x'.repeat(4096));
  },
};

try {
  await interruptible(
    async () => {
      const alive = setInterval(() => {}, 1000);
      await whenWatching();
      clearInterval(alive);
      process.stdout.write('waiting\n');
      await waits[what]?.();
    },
    () => {},
    Number(graceMs),
  );
} catch (error) {
  hardExit(error instanceof InterruptError ? error.exitCode : 99);
}
