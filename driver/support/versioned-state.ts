/**
 * A value on disk that many processes change, one change after another, without a lock: every
 * version is a file of its own number, and who makes the next number first has changed it.
 * Invariants: each version was computed from the one before it; a version is whole and on the disk
 * before it has its name; a process that was stopped for however long changes nothing by what it
 * remembers.
 */
import { link, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataError, ResourceError } from '../errors.js';
import { ownPath, sweepLeftovers, WRITING } from './leftovers.js';
import { makeFolder } from './make-folder.js';
import { readOwnFile } from './plain-file.js';
import { syncFolder, writeNewFile } from './replace-file.js';

const NAME = /^(\d{12})\.json$/;
/** Older ones go, but not so soon that a slow process misses the one it read. */
const KEPT_VERSIONS = 64;
const KEPT_MS = 10 * 60_000;
/** How often a change is tried again when others come first. */
const MOST_TRIES = 1000;

export class VersionedState<T> {
  readonly #folder: string;
  readonly #initial: T;
  readonly #place: string;
  #known: { readonly version: number; readonly value: T } | undefined;

  /**
   * @param initial what there is before the first change
   * @param place where messages say that something is wrong
   */
  constructor(folder: string, initial: T, place: string) {
    this.#folder = folder;
    this.#initial = initial;
    this.#place = place;
  }

  /** The newest version. @throws DataError for one that is damaged */
  async read(): Promise<T> {
    return (await this.#newest()).value;
  }

  /**
   * Changes the value and answers what it is then. `change` may be called several times, with newer
   * values, and must know a change of its own when it sees it; it answers undefined for none.
   * @throws ResourceError when the folder can't be written
   */
  async update(change: (value: T) => T | undefined): Promise<T> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const { version, value } = await this.#newest();
      const next = change(value);
      if (next === undefined) return value;
      if (await this.#publish(version, next)) return next;
      await sleep(Math.random() * Math.min(50, 2 + tries));
    }
    throw new ResourceError(
      `${this.#place}: expected to change ${this.#folder} within ${MOST_TRIES} tries, got others first each time`,
      { resource: 'disk', path: this.#folder },
    );
  }

  async #newest(): Promise<{ readonly version: number; readonly value: T }> {
    for (;;) {
      const version = (await this.#versions()).at(-1);
      if (version === undefined) return { version: 0, value: this.#initial };
      if (this.#known?.version === version) return this.#known;
      try {
        const value = this.#parse(version, await readOwnFile(this.#path(version)));
        this.#known = { version, value };
        return this.#known;
      } catch (cause) {
        // Gone since the folder was listed: there are much newer ones.
        if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
      }
    }
  }

  /** Ascending. */
  async #versions(): Promise<number[]> {
    const names = await readdir(this.#folder).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return [];
      throw cause;
    });
    return names
      .flatMap((name) => (NAME.test(name) ? [Number(name.slice(0, 12))] : []))
      .sort((a, b) => a - b);
  }

  #path(version: number): string {
    return join(this.#folder, `${String(version).padStart(12, '0')}.json`);
  }

  /** Answers false when somebody else made the next version. */
  async #publish(version: number, next: T): Promise<boolean> {
    const temporary = ownPath(this.#folder, WRITING);
    try {
      await makeFolder(this.#folder, 0o700);
      await writeNewFile(temporary, `${JSON.stringify(next)}\n`, true);
      await link(temporary, this.#path(version + 1));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw this.#unwritable(cause);
    } finally {
      await rm(temporary, { force: true }).catch(() => {});
    }
    if (!(await this.#follows(version))) {
      this.#known = undefined;
      return false;
    }
    // Some file systems refuse to, which does no harm.
    await syncFolder(this.#folder).catch(() => {});
    this.#known = { version: version + 1, value: next };
    if (version % 16 === 0) await this.#prune(version);
    return true;
  }

  /**
   * Whether the version after `version` was the newest when it was made. Files go from the oldest
   * on: where one is missing between here and the newest, the number was free only because its file
   * had been there and was removed.
   */
  async #follows(version: number): Promise<boolean> {
    const versions = await this.#versions();
    const from = version === 0 ? 0 : versions.indexOf(version);
    const there = from < 0 ? [] : versions.slice(from);
    const first = Math.max(1, version);
    if (there.length > 0 && there.every((one, i) => one === first + i)) return true;
    if (versions.at(-1) !== version + 1) await rm(this.#path(version + 1), { force: true });
    return false;
  }

  async #prune(newest: number): Promise<void> {
    await sweepLeftovers(this.#folder, [WRITING]);
    for (const version of await this.#versions()) {
      if (version > newest - KEPT_VERSIONS) return;
      const stats = await stat(this.#path(version)).catch(() => undefined);
      if (stats !== undefined && Date.now() - stats.mtimeMs < KEPT_MS) return;
      await rm(this.#path(version), { force: true });
    }
  }

  #parse(version: number, text: string): T {
    const path = this.#path(version);
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new DataError(
        `${this.#place}: expected a version of the state in ${path}, got damaged text; remove that file`,
        { path },
        { cause },
      );
    }
  }

  #unwritable(cause: unknown): ResourceError {
    const { code, message } = cause as NodeJS.ErrnoException;
    const links = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(code ?? '');
    const remedy = links
      ? 'the file system must have hard links'
      : 'make room, or let it be written';
    return new ResourceError(
      `${this.#place}: expected to write ${this.#folder}, got ${code ?? message}; ${remedy}`,
      { resource: 'disk', path: this.#folder, code },
      { cause },
    );
  }
}
