/**
 * What is in the store, as a log that all processes append to and read on from where they stopped:
 * knowing the others' writes, the bytes used and what to evict costs the new lines, not a scan.
 * Invariants: a line this process wrote is in `records` once `append` returns, even if the file was
 * replaced or another machine's append fell on the same place; the files are the truth and the
 * index is made again from them when it is missing or damaged.
 */
import { randomBytes } from 'node:crypto';
import type { LineageKey } from '../../ir/lineage-key.js';
import { errorCode, type FileSystem, NOT_PLAIN, type OpenFile, withFile } from './file-system.js';
import {
  type IndexEntry,
  type IndexLine,
  type IndexRecord,
  parseLine,
  recordLine,
  removedLine,
  usedLine,
} from './index-record.js';

const HEADER = /^reprise-index 1 ([0-9a-f]{16}) (\d{13})\n$/;
const HEADER_BYTES = 47;
const CHUNK_BYTES = 1 << 20;
const LF = 10;
const APPEND_TRIES = 3;

/** There is no usable index file; it must be made again. */
export class NoIndex extends Error {
  constructor() {
    super('the index of the store is missing');
  }
}

export class StoreIndex {
  readonly path: string;
  readonly records = new Map<LineageKey, IndexRecord>();
  /** Sum over the records. */
  bytes = 0;
  /** Lines since the file was made, dead ones included. */
  lines = 0;
  damagedLines = 0;
  /** When the file was made. @units ms since 1970 */
  madeMs = 0;
  readonly #files: FileSystem;
  readonly #mode: number;
  /** Lines that this process adds, with the file that they were last read back from. */
  readonly #awaited = new Map<string, string>();
  #generation = '';
  #offset = 0;
  /** The file as last read, to see cheaply that it is still the same. */
  #last = '';
  #reading: Promise<unknown> = Promise.resolve();

  constructor(files: FileSystem, path: string, mode: number) {
    this.#files = files;
    this.path = path;
    this.#mode = mode;
  }

  /** Reads what was appended before. False if the index is unusable. @throws file-system errors */
  refresh(): Promise<boolean> {
    const run = this.#reading.then(() => this.#readOn());
    this.#reading = run.catch(() => {});
    return run;
  }

  /** Whether there was a usable file when last looked; without one nothing is known of sizes. */
  get isUsable(): boolean {
    return this.#generation !== '';
  }

  /** Whether an entry was in place when last looked. */
  has(key: LineageKey): boolean {
    const record = this.records.get(key);
    return record !== undefined && record.maker === undefined;
  }

  /** Adds an entry, on its way or in place, durably. @throws NoIndex, or the file system's error */
  async add(key: LineageKey, record: IndexRecord): Promise<void> {
    const line = recordLine(key, record);
    const awaited = line[0] + record.id;
    this.#awaited.set(awaited, '');
    try {
      // Others may evict it as soon as it is there, so its being there now is not the question. But
      // a reader that opened the file before it was replaced may see a line that came too late.
      await this.#append([line], true, () => this.#awaited.get(awaited) === this.#generation);
    } finally {
      this.#awaited.delete(awaited);
    }
  }

  async remove(entries: readonly IndexEntry[]): Promise<void> {
    const lines = entries.map(([key, { id }]) => removedLine(key, id));
    await this.#append(lines, false, () =>
      entries.every(([key, { id }]) => this.records.get(key)?.id !== id),
    );
  }

  async markUsed(key: LineageKey, usedMs: number): Promise<void> {
    await this.#append([usedLine(key, usedMs)], false, () => true);
  }

  /** Takes a record into memory only; for folders that can't be written. */
  adopt(key: LineageKey, record: IndexRecord): void {
    this.#apply({ op: '=', key, record });
  }

  /** Forgets an entry in memory only. */
  forget(key: LineageKey): void {
    const record = this.records.get(key);
    if (record !== undefined) this.#apply({ op: '-', key, id: record.id });
  }

  async #append(
    lines: readonly string[],
    isDurable: boolean,
    isSeen: () => boolean,
  ): Promise<void> {
    const bytes = Buffer.from(lines.join(''), 'latin1');
    for (let tries = 0; tries < APPEND_TRIES; tries++) {
      try {
        await withFile(this.#files, this.path, 'append', this.#mode, async (file) => {
          await file.write(bytes);
          if (isDurable) await file.sync();
        });
      } catch (error) {
        if (isNoFile(error)) throw new NoIndex();
        throw error;
      }
      if (!(await this.refresh())) throw new NoIndex();
      if (isSeen()) return;
    }
    throw new Error(`the index did not keep what was appended in ${APPEND_TRIES} tries`);
  }

  /**
   * Writes a new index file and puts it in place, with what others appended to the old one
   * meanwhile. Only for the holder of the index's lease.
   * @param made path in that lease's folder
   * @param choose what to keep of the records read by now
   */
  async replace(
    made: string,
    choose: (records: ReadonlyMap<LineageKey, IndexRecord>) => IndexEntry[],
  ): Promise<void> {
    const old = await this.#openOld();
    try {
      // Taken together, without a pause: what is read later counts as appended meanwhile.
      const from = this.#offset;
      const records = choose(this.records);
      await withFile(this.#files, made, 'create', this.#mode, (file) => writeIndex(file, records));
      // Open before it is in place: without a descriptor for them later, late lines would be lost.
      await withFile(this.#files, made, 'append', this.#mode, async (file) => {
        await this.#files.rename(made, this.path);
        // Whoever appended to the old file and saw its line there, did so before the rename.
        const late = old === undefined ? [] : await wholeLines(old, from);
        if (late.length === 0) return;
        await file.write(Buffer.from(late.map((line) => `${line}\n`).join(''), 'latin1'));
      });
    } finally {
      await old?.close().catch(() => {});
    }
    await this.refresh();
  }

  /** The present file, read up to `#offset`; undefined if there are no lines to carry over. */
  async #openOld(): Promise<OpenFile | undefined> {
    if (!(await this.refresh())) return undefined;
    return this.#files.open(this.path, 'read', this.#mode);
  }

  async #readOn(): Promise<boolean> {
    let name: string;
    try {
      const { inode, bytes, modifiedMs } = await this.#files.stat(this.path);
      name = `${inode} ${bytes} ${modifiedMs}`;
      // The same time twice is possible within the clock's grain, the same size too only if nothing
      // was appended.
      if (name === this.#last) return true;
      return await withFile(this.#files, this.path, 'read', this.#mode, async (file) => {
        const isUsable = await this.#readFile(file);
        this.#last = isUsable ? name : '';
        return isUsable;
      });
    } catch (error) {
      if (!isNoFile(error)) throw error;
      this.#reset();
      return false;
    }
  }

  async #readFile(file: OpenFile): Promise<boolean> {
    const head = Buffer.alloc(HEADER_BYTES);
    await file.read(head, 0);
    const [, generation, madeMs] = HEADER.exec(head.toString('latin1')) ?? [];
    if (generation === undefined) {
      this.#reset();
      return false;
    }
    const { bytes } = await file.stat();
    if (generation !== this.#generation || bytes < this.#offset) {
      this.#reset();
      this.#generation = generation;
      this.madeMs = Number(madeMs);
      this.#offset = HEADER_BYTES;
    }
    await eachLine(file, this.#offset, bytes, (line, next) => {
      this.#offset = next;
      this.lines++;
      const parsed = parseLine(line);
      if (parsed === undefined) this.damagedLines++;
      else this.#apply(parsed);
    });
    return true;
  }

  #apply(line: IndexLine): void {
    const before = this.records.get(line.key);
    if (line.op === '+' || line.op === '=') {
      const awaited = line.op + line.record.id;
      if (this.#awaited.has(awaited)) this.#awaited.set(awaited, this.#generation);
      this.bytes += line.record.bytes - (before?.bytes ?? 0);
      this.records.set(line.key, line.record);
    } else if (before === undefined) return;
    else if (line.op === 'u') before.usedMs = Math.max(before.usedMs, line.usedMs);
    else if (line.op === '-' && before.id === line.id) {
      this.bytes -= before.bytes;
      this.records.delete(line.key);
    }
  }

  #reset(): void {
    this.records.clear();
    this.bytes = 0;
    this.lines = 0;
    this.damagedLines = 0;
    this.#generation = '';
    this.#offset = 0;
    this.#last = '';
  }
}

/** Something else in the place of the file goes when the index is next made again. */
function isNoFile(error: unknown): boolean {
  return ['ENOENT', NOT_PLAIN].includes(errorCode(error) ?? '');
}

async function writeIndex(file: OpenFile, records: readonly IndexEntry[]): Promise<void> {
  const madeMs = String(Date.now()).padStart(13, '0');
  let text = `reprise-index 1 ${randomBytes(8).toString('hex')} ${madeMs}\n`;
  for (const [key, record] of records) {
    text += recordLine(key, record);
    if (text.length < CHUNK_BYTES) continue;
    await file.write(Buffer.from(text, 'latin1'));
    text = '';
  }
  await file.write(Buffer.from(text, 'latin1'));
  await file.sync();
}

/** Complete lines from a position on; a line still being written is left for the next look. */
async function eachLine(
  file: OpenFile,
  from: number,
  bytes: number,
  take: (line: Buffer, next: number) => void,
): Promise<void> {
  let position = from;
  // One byte more than is there, so that the end shows as a short read.
  let chunk = Buffer.alloc(Math.min(CHUNK_BYTES, Math.max(0, bytes - from) + 1));
  for (;;) {
    const length = await file.read(chunk, position);
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0 && end < length; end = chunk.indexOf(LF, start)) {
      take(chunk.subarray(start, end), position + end + 1);
      start = end + 1;
    }
    if (length < chunk.length) return;
    // A line longer than a chunk is not ours, but must not stop the reading.
    if (start === 0) chunk = Buffer.alloc(chunk.length * 2);
    position += start;
  }
}

async function wholeLines(file: OpenFile, from: number): Promise<string[]> {
  const lines: string[] = [];
  const { bytes } = await file.stat();
  await eachLine(file, from, bytes, (line) => lines.push(line.toString('latin1')));
  return lines;
}
