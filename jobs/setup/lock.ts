/**
 * One set-up at a time on a machine: a lock folder with the holder's process id and boot. A holder
 * that died is noticed, so a killed set-up never blocks the next one.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RepriseError } from '../../driver/errors.js';
import { makeHomeFolder } from '../../driver/support/make-folder.js';
import { readOwnFile } from '../../driver/support/plain-file.js';

/** Another process holds the lock and did not let go in time. */
export class LockedError extends RepriseError {
  constructor(message: string, facts: Readonly<Record<string, unknown>> = {}) {
    super('LOCKED', message, facts);
  }
}

export interface LockOptions {
  /** @units ms; default ten minutes */
  readonly waitMs?: number;
  /** Called once when the lock is held by somebody else. */
  readonly onWait?: (holder: number) => void;
  readonly signal?: AbortSignal;
}

const POLL_MS = 200;
/** A lock without a readable holder is one being made or one whose maker died in between. */
const UNCLAIMED_MS = 5000;

/**
 * Runs `work` while holding the lock at `path`.
 * @throws LockedError when another live process keeps it longer than `waitMs`
 */
export async function withLock<T>(
  path: string,
  options: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  await acquire(path, options);
  try {
    return await work();
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function acquire(path: string, options: LockOptions): Promise<void> {
  await makeHomeFolder(dirname(path));
  const deadline = performance.now() + (options.waitMs ?? 600_000);
  let unclaimedSince: number | undefined;
  let told = false;
  for (;;) {
    options.signal?.throwIfAborted();
    if (await tryMake(path)) return;
    const holder = await readHolder(path);
    if (holder === undefined) unclaimedSince ??= performance.now();
    else unclaimedSince = undefined;
    const isUnclaimed =
      unclaimedSince !== undefined && performance.now() - unclaimedSince > UNCLAIMED_MS;
    if (isUnclaimed || (holder !== undefined && !isAlive(holder))) {
      await discard(path, holder);
      continue;
    }
    if (holder !== undefined && !told) {
      told = true;
      options.onWait?.(holder);
    }
    if (performance.now() > deadline)
      throw new LockedError(
        `set-up: expected the lock ${path} to be free, got it held by process ${holder ?? 'unknown'}; try again when that has ended`,
        { holder, path },
      );
    await sleep(POLL_MS, undefined, options.signal ? { signal: options.signal } : {});
  }
}

async function tryMake(path: string): Promise<boolean> {
  try {
    await mkdir(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw cause;
  }
  await writeFile(join(path, 'holder'), String(process.pid));
  return true;
}

async function readHolder(path: string): Promise<number | undefined> {
  const text = await readOwnFile(join(path, 'holder')).catch(() => '');
  const holder = Number(text);
  return Number.isSafeInteger(holder) && holder > 0 ? holder : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Takes a dead lock away. Renamed before it is removed, and put back when it turns out to be a live
 * one that somebody made in between.
 */
async function discard(path: string, expected: number | undefined): Promise<void> {
  const aside = `${path}.dead-${process.pid}-${Date.now()}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if ((await readHolder(aside)) !== expected) {
    await rename(aside, path).catch(() => undefined);
    return;
  }
  await rm(aside, { recursive: true, force: true });
}
