/**
 * The local disk under host memory: values in files of a private folder that lives as long as the process. Invariants: a
 * value read back is the one written (length and CRC-32) or it is a miss; trouble with the disk never fails a run; what a
 * crashed process left is removed by the next one. Whether writing pays is judged by bandwidth measured on the way.
 * Source: MEMPHIS (EDBT 2025): spill when reading back beats recomputing; bandwidths averaged with each transfer.
 */
import { open, unlink } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { type DenseMatrix, dense } from '../runtime/value.js';
import { env } from '../support/env.js';
import type { SpillFile } from './cache-entry.js';
import { makeSpillFolder, removeSpillFolder, sweepSpillFolders } from './spill-folder.js';

export interface SpillOptions {
  /** Where the private folder is made. Default: the system's folder for temporary files. */
  readonly folder?: string;
  /** Default 16 GiB; never more than half of what is free. @units bytes */
  readonly budgetBytes?: number;
  /** Told once about each kind of trouble. */
  readonly onWarning?: (message: string) => void;
}

/** Optimistic, so that spilling starts and is measured. @units bytes per second */
const FIRST_WRITE = 450e6;
const FIRST_READ = 500e6;
/** Transfers smaller than this say more about the system call than about the disk. @units bytes */
const MEASURED_BYTES = 2e6;
/** Opening, closing and unlinking; smaller gains are not worth a file. @units seconds */
const FILE_SECONDS = 0.002;
/** Values waiting to be written hold memory; more than this and callers wait. @units bytes */
const MAX_WAITING_BYTES = 128 * 1024 * 1024;
/** Writes at work at once; a disk gains nothing from more. */
const WRITERS = 2;
const CHUNK_BYTES = 1 << 23;

export class SpillTier {
  readonly budgetBytes: number;
  /** In files, those being written included. */
  usedBytes = 0;
  writtenBytes = 0;
  readBytes = 0;
  /** Why nothing is written any more. */
  disabledReason: string | undefined;
  writeBytesPerSecond = FIRST_WRITE;
  readBytesPerSecond = FIRST_READ;
  readonly #options: SpillOptions;
  readonly #warned = new Set<string>();
  #folder: Promise<{ readonly path: string; readonly freeBytes: number }> | undefined;
  #path: string | undefined;
  #freeBytes = Number.POSITIVE_INFINITY;
  #nextFile = 1;
  #waitingBytes = 0;
  #writing = 0;
  readonly #queue: (() => void)[] = [];
  readonly #relieved: (() => void)[] = [];

  constructor(options: SpillOptions = {}) {
    this.#options = options;
    this.budgetBytes = options.budgetBytes ?? 16 * 1024 ** 3;
    void sweepSpillFolders(options.folder);
  }

  /** What may be held in files: the budget, or half of what was free on the disk. @units bytes */
  get limitBytes(): number {
    return Math.min(this.budgetBytes, this.#freeBytes / 2);
  }

  /** Whether so many values wait to be written that more should not be made. */
  get isCongested(): boolean {
    return this.#waitingBytes > MAX_WAITING_BYTES;
  }

  /** Resolves when values may be made again. */
  relieved(): Promise<void> {
    if (!this.isCongested) return Promise.resolve();
    return new Promise((resolve) => this.#relieved.push(resolve));
  }

  /** Expected time to write a value and read it again. @units seconds */
  roundTripSeconds(bytes: number): number {
    return FILE_SECONDS + bytes / this.writeBytesPerSecond + bytes / this.readBytesPerSecond;
  }

  /** Whether a value that takes so long to compute is better written and read back. */
  pays(bytes: number, seconds: number): boolean {
    if (this.disabledReason !== undefined || bytes > this.limitBytes) return false;
    // Twice the bound only when nobody waits for room; then the value is computed again rather than held.
    if (this.#waitingBytes > 2 * MAX_WAITING_BYTES) return false;
    return seconds > this.roundTripSeconds(bytes);
  }

  /** Writes a value, which must not change meanwhile; undefined when it could not. Never rejects. */
  async write(value: DenseMatrix): Promise<SpillFile | undefined> {
    const bytes = value.data.byteLength;
    this.usedBytes += bytes;
    this.#waitingBytes += bytes;
    try {
      if (this.#writing >= WRITERS) await new Promise<void>((go) => this.#queue.push(go));
      else this.#writing++;
      const file = await this.#writeFile(value);
      this.writtenBytes += bytes;
      return file;
    } catch (error) {
      this.usedBytes -= bytes;
      this.#trouble('writing', error);
      return undefined;
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#writing--;
      else next();
      this.#waitingBytes -= bytes;
      if (!this.isCongested) for (const go of this.#relieved.splice(0)) go();
    }
  }

  /** The value of a file; undefined when it is gone or not what was written. Never rejects. */
  async read(file: SpillFile): Promise<DenseMatrix | undefined> {
    try {
      const start = performance.now();
      const data = new Float64Array(file.rows * file.cols);
      const checksum = await readAll(file.path, data);
      if (checksum !== file.checksum) throw new Error('other bytes than were written');
      this.readBytes += file.bytes;
      const measured = file.bytes / ((performance.now() - start) / 1000);
      if (file.bytes >= MEASURED_BYTES) {
        this.readBytesPerSecond = (this.readBytesPerSecond + measured) / 2;
      }
      return dense(file.rows, file.cols, data);
    } catch (error) {
      this.#warn('reading', error);
      return undefined;
    }
  }

  /** Forgets a file. */
  remove(file: SpillFile): void {
    this.usedBytes -= file.bytes;
    void unlink(file.path).catch(() => {});
  }

  /** Removes the folder. Idempotent. */
  close(): void {
    this.disabledReason ??= 'closed';
    if (this.#path !== undefined) removeSpillFolder(this.#path);
  }

  async #writeFile(value: DenseMatrix): Promise<SpillFile> {
    this.#folder ??= makeSpillFolder(this.#options.folder);
    const { path: folder, freeBytes } = await this.#folder;
    if (this.#path === undefined) {
      this.#path = folder;
      this.#freeBytes = freeBytes;
    }
    if (this.disabledReason !== undefined) throw new Error(this.disabledReason);
    const path = `${folder}/${this.#nextFile++}`;
    const start = performance.now();
    const bytes = new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength);
    const checksum = await writeAll(path, bytes);
    if (bytes.length >= MEASURED_BYTES) {
      const measured = bytes.length / ((performance.now() - start) / 1000);
      this.writeBytesPerSecond = (this.writeBytesPerSecond + measured) / 2;
    }
    return { path, rows: value.rows, cols: value.cols, bytes: bytes.length, checksum };
  }

  /** A disk that can't be written now is not tried again; what is on it can still be read. */
  #trouble(doing: string, error: unknown): void {
    if (this.disabledReason !== undefined) return;
    this.#warn(doing, error);
    this.disabledReason = describe(error);
  }

  #warn(doing: string, error: unknown): void {
    if (this.#warned.has(doing) || this.disabledReason === 'closed') return;
    this.#warned.add(doing);
    const what = doing === 'writing' ? 'evicted values are computed again' : 'it is computed again';
    this.#options.onWarning?.(`spilling: ${doing} ended with ${describe(error)}; ${what}`);
  }
}

/** Writes a new file for its owner only, and removes it when that fails. @returns CRC-32 */
async function writeAll(path: string, bytes: Uint8Array): Promise<number> {
  const file = await open(path, 'wx', 0o600);
  let checksum = 0;
  try {
    for (let at = 0; at < bytes.length; ) {
      const chunk = bytes.subarray(at, at + CHUNK_BYTES);
      const { bytesWritten } = await file.write(chunk);
      checksum = crc32(chunk.subarray(0, bytesWritten), checksum);
      at += bytesWritten;
    }
  } catch (error) {
    await unlink(path).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
  return checksum;
}

/** Fills `data` from a file of exactly its size. @returns CRC-32 */
async function readAll(path: string, data: Float64Array): Promise<number> {
  const bytes = new Uint8Array(data.buffer);
  const file = await open(path, 'r');
  try {
    let checksum = 0;
    for (let at = 0; at < bytes.length; ) {
      const chunk = bytes.subarray(at, at + CHUNK_BYTES);
      const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) throw new Error('file cut short');
      checksum = crc32(chunk.subarray(0, bytesRead), checksum);
      at += bytesRead;
    }
    return checksum;
  } finally {
    await file.close();
  }
}

function describe(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code ?? (error instanceof Error ? error.message : String(error));
}

/** The tier of a session, or none when it or the environment switches spilling off. */
export function spillTier(options: SpillOptions | false | undefined): SpillTier | undefined {
  const fromEnv = env.spill();
  if (options === false || (options === undefined && fromEnv === 'off')) return undefined;
  const folder = options?.folder ?? fromEnv;
  return new SpillTier({
    ...options,
    ...(folder === undefined || folder === 'off' || folder === 'on' ? {} : { folder }),
  });
}
