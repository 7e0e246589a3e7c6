/**
 * Where a schedule's state is: `.reprise/schedule/<name>` beside its file. Holds the versions of the
 * state, what became of each time, the logs of runs, and the signs of life of schedulers. Invariant:
 * all of it is bounded, however long the schedule runs.
 */
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { readOwnFile } from '../../driver/support/plain-file.js';
import { isFromDeadProcess, isOfThisMachine } from '../../driver/support/process-token.js';
import { replaceFile } from '../../driver/support/replace-file.js';
import { VersionedState } from '../../driver/support/versioned-state.js';
import { slug, timeKey } from '../runs/run-id.js';
import { makeProject } from '../store-place.js';
import { newState, type ScheduleState, type SettledTime } from './state.js';

/** What became of the latest so many times is known. */
const MOST_TIMES_KEPT = 5000;
const MOST_LOGS = 200;
/** Silence after which a scheduler of another machine is gone. @units ms */
const SILENCE_MS = 120_000;

export class StateFolder {
  readonly path: string;
  readonly state: VersionedState<ScheduleState>;
  readonly #project: string;
  /** When a scheduler's sign of life was last seen to change, by this process's own clock. */
  readonly #seen = new Map<string, Sign>();
  readonly #silenceMs: number;
  #touchedAt = Number.NEGATIVE_INFINITY;
  #settledCount = 0;

  /**
   * @param folder of the schedule's file
   * @param file its name there
   * @param since from when times count if the schedule is new
   */
  constructor(
    folder: string,
    name: string,
    file: string,
    since: number,
    silenceMs: number = SILENCE_MS,
  ) {
    this.#silenceMs = silenceMs;
    this.#project = join(folder, '.reprise');
    this.path = join(this.#project, 'schedule', slug(name));
    this.state = new VersionedState(join(this.path, 'versions'), newState(file, since), 'schedule');
  }

  /** @throws the file system's error */
  async make(): Promise<void> {
    await makeProject(this.#project);
  }

  logPath(run: string): string {
    return join(this.path, 'logs', `${run}.log`);
  }

  /** What became of a time; undefined when nothing did, or it is long ago. */
  async settled(time: number): Promise<SettledTime | undefined> {
    try {
      return JSON.parse(await readOwnFile(this.#timePath(time))) as SettledTime;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw cause;
    }
  }

  /** Before the state says so. @throws the file system's error */
  async keep(settled: SettledTime): Promise<void> {
    await replaceFile(this.#timePath(settled.time), `${JSON.stringify(settled)}\n`, true);
    this.#settledCount++;
    if (this.#settledCount % 50 !== 1) return;
    await pruneOldest(join(this.path, 'times'), MOST_TIMES_KEPT);
    await pruneOldest(join(this.path, 'logs'), MOST_LOGS);
  }

  #timePath(time: number): string {
    return join(this.path, 'times', `${timeKey(time)}.json`);
  }

  /** Says that a scheduler lives, at most every few seconds. Never rejects. */
  async touch(token: string): Promise<void> {
    if (performance.now() - this.#touchedAt < this.#silenceMs / 24) return;
    this.#touchedAt = performance.now();
    const path = this.#signPath(token);
    const now = new Date();
    await utimes(path, now, now)
      .catch(() => replaceFile(path, ''))
      .catch(() => {});
  }

  /** The scheduler has ended. Never rejects. */
  async leave(token: string): Promise<void> {
    await rm(this.#signPath(token), { force: true }).catch(() => {});
  }

  #signPath(token: string): string {
    return join(this.path, 'schedulers', token);
  }

  /**
   * Whether the owner of a time is gone: its process on this machine has ended, or it gave no sign of
   * life for two minutes by this process's own clock, which no change of the time of day moves. One
   * that hangs and wakes later finds that its times are another's. False as long as it is not known.
   */
  async isGone(owner: string): Promise<boolean> {
    if (isFromDeadProcess(owner)) return true;
    const stats = await stat(this.#signPath(owner)).catch(() => undefined);
    const mtimeMs = stats?.mtimeMs ?? -1;
    const seen = this.#seen.get(owner);
    const now = performance.now();
    if (seen?.mtimeMs !== mtimeMs) {
      this.#seen.set(owner, { mtimeMs, at: now, hasChanged: seen !== undefined });
      return false;
    }
    return now - seen.at > this.#silenceMs;
  }

  /** Whether `isGone` has yet to find out: another machine's owner that was not seen to live. */
  isInDoubt(owner: string): boolean {
    const seen = this.#seen.get(owner);
    if (seen === undefined || seen.hasChanged || isOfThisMachine(owner)) return false;
    return performance.now() - seen.at <= this.#silenceMs;
  }
}

interface Sign {
  readonly mtimeMs: number;
  /** When it was first seen so, by this process's own clock. @units ms */
  readonly at: number;
  readonly hasChanged: boolean;
}

/** Names sort as their times do. */
async function pruneOldest(folder: string, most: number): Promise<void> {
  const names = (await readdir(folder).catch(() => []))
    .filter((name) => /^\d{8}T/.test(name))
    .sort();
  for (const name of names.slice(0, Math.max(0, names.length - most))) {
    await rm(join(folder, name), { force: true }).catch(() => {});
  }
}
