/**
 * Files of one record a line, appended and on the disk before anyone is told. Invariants: a record
 * that was acknowledged is read by every later reader; each line ends in a digest of its own text,
 * so what a kill or a full disk left half written is known as that.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { ResourceError } from '../../driver/errors.js';

/** A record as it stands in its file. */
export type Dated<T> = T & {
  /** When it was written. ISO 8601, UTC. */
  readonly at: string;
};

export interface RecordLine<T> {
  /** From 1. */
  readonly line: number;
  /** Undefined where the line is damaged. */
  readonly record: Dated<T> | undefined;
}

/** The lines of a file but empty ones, in order. */
export function parseRecords<T>(text: string): RecordLine<T>[] {
  return text
    .split('\n')
    .flatMap((line, i) => (line === '' ? [] : [{ line: i + 1, record: parseLine<T>(line) }]));
}

const SUM = /,"sum":"([0-9a-f]{8})"\}$/;

function parseLine<T>(line: string): Dated<T> | undefined {
  const [end, sum] = SUM.exec(line) ?? [];
  if (end === undefined) return undefined;
  const text = `${line.slice(0, -end.length)}}`;
  return digest(text) === sum ? (JSON.parse(text) as Dated<T>) : undefined;
}

function lineOf(record: object): string {
  const text = JSON.stringify({ ...record, at: new Date().toISOString() });
  return `${text.slice(0, -1)},"sum":"${digest(text)}"}\n`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** Appends records of one process. */
export class RecordWriter<T extends object> {
  readonly #file: FileHandle;
  readonly #remedy: string;
  #path: string;
  /** Up to where the file holds whole records. @units bytes */
  #end: number;
  #hasWritten = false;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(path: string, file: FileHandle, end: number, remedy: string) {
    this.#path = path;
    this.#file = file;
    this.#end = end;
    this.#remedy = remedy;
  }

  /** @param remedy what to do once there is room again @throws the file system's error */
  static async open<T extends object>(path: string, remedy: string): Promise<RecordWriter<T>> {
    const file = await open(path, 'a+', 0o600);
    return new RecordWriter(path, file, (await file.stat()).size, remedy);
  }

  /** The file has another name now. */
  moved(path: string): void {
    this.#path = path;
  }

  /** Resolves once the record is on the disk. @throws ResourceError when it can't be */
  append(record: T): Promise<void> {
    const turn = this.#last.then(() => this.#append(record));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #append(record: T): Promise<void> {
    const text = lineOf(record);
    // What another process left half written ends before the first record of this one.
    const bytes = Buffer.from(!this.#hasWritten && this.#end > 0 ? `\n${text}` : text);
    try {
      const { bytesWritten } = await this.#file.write(bytes);
      if (bytesWritten < bytes.length) throw Object.assign(new Error(), { code: 'ENOSPC' });
      await this.#file.sync();
      this.#hasWritten = true;
      this.#end = (await this.#file.stat()).size;
    } catch (cause) {
      // Half a record; the next may fit.
      await this.#file.truncate(this.#end).catch(() => undefined);
      const { code, message } = cause as NodeJS.ErrnoException;
      throw new ResourceError(
        `journal: expected to append to ${this.#path}, got ${code ?? message}; make room and ${this.#remedy}`,
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
