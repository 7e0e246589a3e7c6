/** Helpers for tests of the durable store: folders, keys, values, and a file system that is told of every call. */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DurableStoreOptions } from '../../driver/reuse/store/durable-store.js';
import type { StoredMeta } from '../../driver/reuse/store/entry-format.js';
import {
  type FileSystem,
  nodeFileSystem,
  type OpenFile,
} from '../../driver/reuse/store/file-system.js';
import { type DenseMatrix, dense } from '../../driver/runtime/value.js';

export const key = (name: string | number): string =>
  createHash('sha256').update(String(name)).digest('hex');

export const meta = (seconds = 1): StoredMeta => ({
  op: 'tsmm',
  seconds,
  createdAt: '2026-01-02T03:04:05.000Z',
});

/** Cells that depend on the seed, with the values that are easily lost. */
export function value(seed: number, rows = 6, cols = 4): DenseMatrix {
  const data = Float64Array.from({ length: rows * cols }, (_, i) => Math.sin(seed * 1e3 + i));
  data.set([-0, Number.NaN, Number.POSITIVE_INFINITY, 5e-324].slice(0, data.length));
  return dense(rows, cols, data);
}

export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'reprise-store-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Options that keep what the store warns of. */
export function listening(options: DurableStoreOptions = {}): {
  options: DurableStoreOptions;
  warnings: string[];
} {
  const warnings: string[] = [];
  return { options: { ...options, onWarning: (message) => warnings.push(message) }, warnings };
}

export const entryPath = (folder: string, name: string): string =>
  join(folder, 'v1/objects', name.slice(0, 2), name);

/** Paths of all files of the store under one of its folders. */
export async function filesIn(folder: string, part: string): Promise<string[]> {
  const found = await readdir(join(folder, 'v1', part), { recursive: true, withFileTypes: true });
  return found.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
}

/** What the entries in place take. */
export async function bytesIn(folder: string): Promise<number> {
  const sizes = await Promise.all(
    (await filesIn(folder, 'objects')).map((file) =>
      stat(file).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Calls that change the disk. */
export const WRITES: ReadonlySet<string> = new Set([
  'create',
  'append',
  'write',
  'sync',
  'makeFolder',
  'rename',
  'remove',
  'removeFolder',
  'syncFolder',
  'touch',
  'setMode',
]);

/**
 * A file system that tells of each call before it is made; what `onCall` throws fails the call.
 * @param onCall name of the call, and for a write half of it, done when called
 */
export function tapped(
  onCall: (name: string, writeHalf?: () => Promise<void>) => void | Promise<void>,
): FileSystem {
  const before = <A extends unknown[], R>(
    name: string,
    call: (...args: A) => Promise<R>,
  ): ((...args: A) => Promise<R>) => {
    return async (...args) => {
      await onCall(name);
      return call(...args);
    };
  };
  const files = Object.fromEntries(
    Object.entries(nodeFileSystem).map(([name, call]) => [
      name,
      before(name, call as (...args: unknown[]) => Promise<unknown>),
    ]),
  ) as unknown as FileSystem;
  return {
    ...files,
    open: async (path, use, mode) => {
      await onCall(use === 'read' ? 'open' : use);
      const file: OpenFile = await nodeFileSystem.open(path, use, mode);
      return {
        stat: before('fstat', () => file.stat()),
        read: before('read', (into: Uint8Array, position: number) => file.read(into, position)),
        write: async (bytes) => {
          await onCall('write', () => file.write(bytes.subarray(0, bytes.length >> 1)));
          await file.write(bytes);
        },
        sync: before('sync', () => file.sync()),
        close: async () => {
          // Closed all the same, as the kernel does.
          await file.close();
          await onCall('close');
        },
      };
    },
  };
}

export function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code });
}
