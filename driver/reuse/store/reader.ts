/**
 * How results come out of the store. Invariant: a value is returned whole and verified, or not at
 * all; a file found damaged is put aside, so that its key is computed and stored again.
 */
import { join } from 'node:path';
import type { LineageKey } from '../../ir/lineage-key.js';
import {
  DamagedEntry,
  OtherFormat,
  readEntry,
  type StoredHeader,
  type StoredValue,
} from './entry-format.js';
import {
  describeError,
  errorCode,
  type FileStat,
  isThere,
  NOT_PLAIN,
  withFile,
} from './file-system.js';
import { recordOf } from './index-record.js';
import type { StoreParts } from './maintenance.js';
import type { Publisher } from './publisher.js';

export interface Found {
  readonly value: StoredValue;
  readonly header: StoredHeader;
  /** Of the whole file. */
  readonly bytes: number;
}

/** Why there is no value: absent, not ours to read, put aside as damaged, or now unreadable. */
export type Miss = 'missing' | 'refused' | 'aside' | 'unreadable';

const HOUR_MS = 3_600_000;

export interface ReaderOptions {
  readonly maxAgeSeconds: number;
  readonly counters: { damaged: number };
  /** Whether nothing may be written any more. */
  readonly isStopped: () => boolean;
  readonly warn: (kind: string, message: string) => void;
}

export class Reader {
  /** Files in place that are not ours to read: another user's, another version's. */
  readonly refused = new Set<LineageKey>();
  readonly #parts: StoreParts;
  readonly #publisher: Publisher;
  readonly #options: ReaderOptions;

  constructor(parts: StoreParts, publisher: Publisher, options: ReaderOptions) {
    this.#parts = parts;
    this.#publisher = publisher;
    this.#options = options;
  }

  /** The value of a key, or why there is none: `aside` for a damaged one that was put aside. */
  async read(key: LineageKey): Promise<Found | Miss> {
    const { files, folder } = this.#parts;
    let read: FileStat | undefined;
    try {
      return await withFile(files, folder.entry(key), 'read', folder.fileMode, async (file) => {
        const stat = await file.stat();
        read = stat;
        if (folder.isTrusted(stat.uid)) {
          return { ...(await readEntry(file, key)), bytes: stat.bytes };
        }
        this.refused.add(key);
        this.#options.warn('owner', `an entry of another user (${stat.uid}) was refused`);
        return 'refused';
      });
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT' || code === 'ESTALE') {
        await this.#forget(key);
        return 'missing';
      }
      if (code === NOT_PLAIN)
        this.#options.warn('plain', `${describeError(error)}; it was not opened`);
      if (code === NOT_PLAIN || error instanceof OtherFormat) {
        this.refused.add(key);
        return 'refused';
      }
      // What can't be read is as good as damaged; what can't even be opened can't be told from a
      // good one.
      const isDamaged = error instanceof DamagedEntry || (code === 'EIO' && read !== undefined);
      if (isDamaged) return this.#putAside(key, read, describeError(error));
      this.#options.warn('reading', `reading ended with ${describeError(error)}`);
      return 'unreadable';
    }
  }

  async #putAside(
    key: LineageKey,
    read: FileStat | undefined,
    why: string,
  ): Promise<'aside' | 'unreadable'> {
    const { files, folder } = this.#parts;
    this.#options.counters.damaged++;
    this.#options.warn(
      'damaged',
      `entry ${key.slice(0, 12)} is damaged (${why}) and is computed again`,
    );
    try {
      // Another process may have dropped it and stored a good one, in the same inode too.
      const now = await files.stat(folder.entry(key));
      const isSame =
        now.inode === read?.inode && now.bytes === read.bytes && now.modifiedMs === read.modifiedMs;
      if (!isSame) return 'aside';
      await files.rename(folder.entry(key), join(folder.quarantine, `${key}.${Date.now()}`));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') return 'unreadable';
    }
    await this.#forget(key);
    return 'aside';
  }

  /** Takes an entry without a file out of the index, unless another process stored it again. */
  async #forget(key: LineageKey): Promise<void> {
    const { files, folder, index } = this.#parts;
    await index.refresh().catch(() => {});
    const record = index.records.get(key);
    if (record === undefined || !index.has(key)) return;
    // A file is in place before its line is, so one that is missing now was gone before this line
    // could speak of another.
    if (await isThere(files, folder.entry(key)).catch(() => true)) return;
    if (!this.#options.isStopped()) await index.remove([[key, record]]).catch(() => {});
    if (index.records.get(key) === record) index.forget(key);
  }

  /** Notes the use of an entry, at most once an hour; takes into the index what it lacks. */
  async markUsed(key: LineageKey, { header, bytes }: Found): Promise<void> {
    const { index } = this.#parts;
    const record = index.records.get(key);
    const now = Date.now();
    if (!index.has(key) || record === undefined)
      await this.#publisher.adopt(key, recordOf(header, bytes, now));
    else if (now - record.usedMs > Math.min(HOUR_MS, this.#options.maxAgeSeconds * 100)) {
      record.usedMs = now;
      if (!this.#options.isStopped()) await index.markUsed(key, now).catch(() => {});
    }
  }
}
