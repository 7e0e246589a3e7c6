/**
 * A process of its own that works on a durable store, for tests with several processes and with
 * signals: `node store-process.js <command> <JSON of options>`. Says on standard output what it
 * did, a line each.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { contentDigest } from '../../driver/ir/lineage-key.js';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import { key, meta, tapped, value } from './store-files.js';

interface Options {
  readonly folder: string;
  readonly name?: string;
  readonly step?: number;
  readonly task?: 'gc' | 'clear';
  readonly log?: string;
  readonly leaseMs?: number;
  readonly maxBytes?: number;
  readonly count?: number;
  readonly cells?: number;
  /** Most files open at once. */
  readonly files?: number;
}

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

/** Ends itself by SIGKILL at the given file-system call of a task, in the middle of a write. */
async function die({ folder, step = 0, task }: Options): Promise<void> {
  let calls = 0;
  const fileSystem = tapped(async (name, writeHalf) => {
    if (++calls !== step) return;
    await writeHalf?.();
    say(name);
    process.kill(process.pid, 'SIGKILL');
    await new Promise(() => {});
  });
  const store = await DurableStore.open(folder, { fileSystem });
  if (task !== undefined) {
    await store[task]();
    say('survived');
    return;
  }
  const lease = await store.lease(key('new'));
  await store.put(key('new'), value(2), meta(), typeof lease === 'object' ? lease : undefined);
  if (typeof lease === 'object') await lease.release();
  say('survived');
}

/** Computes a key unless another does; leaves a line in `log` for each computation. */
async function race({ folder, log = '' }: Options): Promise<void> {
  const store = await DurableStore.open(folder);
  const lease = await store.lease(key('shared'));
  if (typeof lease === 'object') {
    appendFileSync(log, `${process.pid}\n`);
    await sleep(150);
    await store.put(key('shared'), value(3, 300, 100), meta(), lease);
    await lease.release();
  }
  const found = await store.get(key('shared'));
  say(found?.value.kind === 'dense' ? contentDigest(found.value) : 'nothing');
}

/** Takes a lease, then publishes when a line comes on standard input. */
async function hold({ folder, leaseMs = 500 }: Options): Promise<void> {
  const store = await DurableStore.open(folder, { leaseMs });
  const lease = await store.lease(key('held'));
  say(typeof lease === 'object' ? 'held' : String(lease));
  for await (const _ of createInterface({ input: process.stdin })) {
    const isStored = await store.put(
      key('held'),
      value(4),
      meta(),
      typeof lease === 'object' ? lease : undefined,
    );
    say(isStored ? 'published' : 'refused');
  }
}

/** Puts many entries of its own and reads others'. */
async function fill({ folder, name = '', count = 0, cells = 8, maxBytes = 1e9 }: Options) {
  const warnings: string[] = [];
  const store = await DurableStore.open(folder, {
    maxBytes,
    onWarning: (message) => warnings.push(message),
  });
  const put = (i: number): Promise<boolean> =>
    store.put(key(`${name}-${i}`), value(i, cells, 1), meta(i));
  const stored = await Promise.all(Array.from({ length: count }, (_, i) => put(i)));
  const read = await Promise.all(
    Array.from({ length: count }, (_, i) => store.get(key(`${name}-${i}`))),
  );
  say(
    JSON.stringify({
      stored: stored.filter(Boolean).length,
      read: read.filter(Boolean).length,
      disabled: store.disabledReason,
      warnings,
    }),
  );
}

/** One plan of many long results, twice, under a limit on open files set after loading. */
async function plan({ folder, count = 0, files = 0 }: Options): Promise<void> {
  // Only here: Node opens more than 64 files at once to load all of this.
  const { createNullBackend } = await import('./null-backend.js');
  const { rand, Session } = await import('../../driver/index.js');
  execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${files}:${files}`]);
  for (const _ of [1, 2]) {
    const warnings: string[] = [];
    const store = await DurableStore.open(folder, { onWarning: (text) => warnings.push(text) });
    const local = createNullBackend({ seconds: ({ inputs }) => inputs.length });
    const session = new Session({ local, store, spill: false });
    const sums = Array.from({ length: count }, (_, seed) =>
      rand(session, 3e7, 1, { seed }).sumSq(),
    );
    await session.evaluate(sums.map(({ expr }) => expr));
    const { kernels } = session.statistics;
    await session.close();
    const stored = (await store.entries()).length;
    say(JSON.stringify({ kernels, stored, disabled: store.disabledReason, warnings }));
  }
}

const commands: Readonly<Record<string, (options: Options) => Promise<void>>> = {
  die,
  race,
  hold,
  fill,
  plan,
};
const [, , command = '', options = '{}'] = process.argv;
await commands[command]?.(JSON.parse(options) as Options);
process.exit(0);
