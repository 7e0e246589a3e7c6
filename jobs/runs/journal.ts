/**
 * A run's journal: one record a line in `journal.jsonl`, appended and on the disk before anyone is
 * told. Invariants: a record that was acknowledged is read by every later reader; each line ends in
 * a digest of its own text, so what a kill or a full disk left half written is known as that and
 * dropped, and damage anywhere else is an error.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, ResourceError } from '../../driver/errors.js';
import { readPlainFile } from '../../driver/support/plain-file.js';
import type { WaveResult } from '../search/wave-result.js';

/** A process took the run up. */
export interface AttemptRecord {
  readonly kind: 'run';
  /** From 1. */
  readonly attempt: number;
  readonly run: string;
  readonly name: string;
  /** When the first attempt began. ISO 8601, UTC. */
  readonly startedAt: string;
  readonly reprise: string;
  readonly engine: 'auto' | 'local' | 'spark';
  /** The job as it runs: paths absolute, secrets absent. */
  readonly job: unknown;
  /** False: `--no-store`. */
  readonly store: boolean;
  /** The job file, absolute. */
  readonly file: string;
  readonly host: string;
  readonly pid: number;
  /** Says whether the process lives, see `driver/support/process-token.ts`. */
  readonly token: string;
}

export interface FileRecord {
  readonly path: string;
  readonly digest: string;
  /** @units bytes */
  readonly bytes: number;
}

export type JournalRecord =
  | AttemptRecord
  /** The engine that was chosen, and the files as they were read. */
  | {
      readonly kind: 'data';
      readonly engine: 'local' | 'spark';
      readonly files: readonly FileRecord[];
    }
  /** How candidates were divided, and the metric they are chosen by. */
  | {
      readonly kind: 'waves';
      readonly waves: readonly (readonly number[])[];
      readonly metric: string;
    }
  | { readonly kind: 'begin'; readonly wave: number }
  | {
      readonly kind: 'trials';
      readonly wave: number;
      readonly result: WaveResult;
      /** @units seconds */
      readonly seconds: number;
    }
  /** Why the attempt is about to end, or ended. */
  | {
      readonly kind: 'state';
      readonly state: 'stopping' | 'failed' | 'lost';
      readonly error?: string;
      /** Of the error, such as `BACKEND_LOST`. */
      readonly code?: string;
    }
  /** `result.json` is there. */
  | { readonly kind: 'end'; readonly isPartial: boolean };

/** A record as it stands in the journal. */
export type Journaled = JournalRecord & {
  /** When it was written. ISO 8601, UTC. */
  readonly at: string;
};

const FILE = 'journal.jsonl';

export const journalPath = (folder: string): string => join(folder, FILE);

/**
 * The records of a run folder, in order; undefined without a journal.
 * @throws DataError for a damaged line that no kill can have left
 */
export async function readJournal(folder: string): Promise<Journaled[] | undefined> {
  try {
    return parseJournal(await readPlainFile(journalPath(folder)), journalPath(folder));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
}

/**
 * As `readJournal`, of text. A writer that takes over begins on a new line with a `run` record; of
 * two that take over at once, the second record of an attempt is that of one who withdrew.
 */
export function parseJournal(text: string, path: string): Journaled[] {
  const records: Journaled[] = [];
  const attempts = new Set<number>();
  let damaged: number | undefined;
  for (const [i, line] of text.split('\n').entries()) {
    if (line === '') continue;
    const record = parseLine(line);
    if (damaged !== undefined && record?.kind !== 'run') throw damage(path, damaged);
    damaged = record === undefined ? i + 1 : undefined;
    if (record === undefined) continue;
    if (record.kind === 'run' && attempts.has(record.attempt)) continue;
    if (record.kind === 'run') attempts.add(record.attempt);
    records.push(record);
  }
  if (damaged !== undefined && text.endsWith('\n')) throw damage(path, damaged);
  return records;
}

const SUM = /,"sum":"([0-9a-f]{8})"\}$/;

function parseLine(line: string): Journaled | undefined {
  const [end, sum] = SUM.exec(line) ?? [];
  if (end === undefined) return undefined;
  const text = `${line.slice(0, -end.length)}}`;
  return digest(text) === sum ? (JSON.parse(text) as Journaled) : undefined;
}

function lineOf(record: Journaled): string {
  const text = JSON.stringify(record);
  return `${text.slice(0, -1)},"sum":"${digest(text)}"}\n`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

function damage(path: string, line: number): DataError {
  return new DataError(
    `journal: expected a record in line ${line} of ${path}, got damaged text; put the file back from a copy, or run the job again (\`reprise runs rm\` removes the run)`,
    { path, line },
  );
}

/** Appends records of one process. */
export class JournalWriter {
  readonly #path: string;
  readonly #file: FileHandle;
  /** Up to where the file holds whole records. @units bytes */
  #end: number;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(path: string, file: FileHandle, end: number) {
    this.#path = path;
    this.#file = file;
    this.#end = end;
  }

  /** @throws the file system's error */
  static async open(folder: string): Promise<JournalWriter> {
    const path = journalPath(folder);
    const file = await open(path, 'a+', 0o600);
    return new JournalWriter(path, file, (await file.stat()).size);
  }

  /** Resolves once the record is on the disk. @throws ResourceError when it can't be */
  append(record: JournalRecord): Promise<void> {
    const turn = this.#last.then(() => this.#append(record));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #append(record: JournalRecord): Promise<void> {
    const text = lineOf({ ...record, at: new Date().toISOString() });
    // What another process left half written ends before the first record of this one.
    const bytes = Buffer.from(record.kind === 'run' && this.#end > 0 ? `\n${text}` : text);
    try {
      const { bytesWritten } = await this.#file.write(bytes);
      if (bytesWritten < bytes.length) throw Object.assign(new Error(), { code: 'ENOSPC' });
      await this.#file.sync();
      this.#end = (await this.#file.stat()).size;
    } catch (cause) {
      // Half a record; the next may fit.
      await this.#file.truncate(this.#end).catch(() => undefined);
      const { code, message } = cause as NodeJS.ErrnoException;
      throw new ResourceError(
        `journal: expected to append to ${this.#path}, got ${code ?? message}; make room and \`reprise resume\` the run`,
        { resource: 'disk', path: this.#path, code },
        { cause },
      );
    }
  }

  /** Says that the process lives, to those who can't ask it. Never rejects. */
  async touch(): Promise<void> {
    const now = new Date();
    await this.#file.utimes(now, now).catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#file.close();
  }
}
