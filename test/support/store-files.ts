/** Helpers for durable-store tests: folders, keys, values, and a file system that reports calls. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DenseMatrix, dense } from '../../driver/ir/value.js';
import type { DurableStoreOptions } from '../../driver/reuse/store/durable-store.js';
import type { StoredMeta } from '../../driver/reuse/store/entry-format.js';
import {
  type FileSystem,
  nodeFileSystem,
  type OpenFile,
} from '../../driver/reuse/store/file-system.js';
import { packageRoot } from '../../driver/support/package-root.js';

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

/** A copy of a store whose file system fails. */
export interface FailingCopy {
  readonly folder: string;
  readonly fileSystem: FileSystem;
  /** Counted from 1. */
  readonly call: number;
  /** The call that failed last; empty while none has. */
  readonly failed: string;
}

/**
 * Works on copies of a store, the first, second, .. call of each failing, until one was not failed.
 * @returns calls there were to fail
 */
export function failAtEachCall(
  template: string,
  code: string,
  work: (copy: FailingCopy) => Promise<void>,
): Promise<number> {
  return onEachCopy(template, work, (call, failed) => {
    let count = 0;
    return tapped((name) => {
      if (++count !== call) return;
      failed(name);
      throw failure(code);
    });
  });
}

/** As `failAtEachCall`, but all later writes fail; on a full disk half of a write is done. */
export function failFromEachWrite(
  template: string,
  code: string,
  work: (copy: FailingCopy) => Promise<void>,
): Promise<number> {
  return onEachCopy(template, work, (call, failed) => {
    let count = 0;
    return tapped(async (name, writeHalf) => {
      if (!WRITES.has(name) || ++count < call) return;
      failed(name);
      if (code === 'ENOSPC') await writeHalf?.();
      throw failure(code);
    });
  });
}

async function onEachCopy(
  template: string,
  work: (copy: FailingCopy) => Promise<void>,
  fileSystemOf: (call: number, failed: (name: string) => void) => FileSystem,
): Promise<number> {
  for (let call = 1; ; call++) {
    const folder = await mkdtemp(`${template}-`);
    await cp(template, folder, { recursive: true });
    const copy = { folder, call, failed: '', fileSystem: nodeFileSystem };
    copy.fileSystem = fileSystemOf(call, (name) => {
      copy.failed = name;
    });
    await work(copy);
    await rm(folder, { recursive: true });
    if (copy.failed === '') return call - 1;
  }
}

/**
 * Kills processes that work on copies of a store, at their first, second, .. call, until one
 * survives.
 * @param options for `store-process.js die`
 * @param check what each left; `step` is the call it was killed at, or `survived`
 * @returns the steps, in order
 */
export async function killAtEachCall(
  template: string,
  options: object,
  check: (folder: string, step: string, call: number) => Promise<void>,
): Promise<string[]> {
  const steps: string[] = [];
  for (let call = 1; steps.at(-1) !== 'survived'; call++) {
    const folder = await mkdtemp(`${template}-`);
    await cp(template, folder, { recursive: true });
    const step = await killed({ ...options, folder, step: call });
    assert.notEqual(step, '', `call ${call}`);
    steps.push(step);
    await check(folder, step, call);
    await rm(folder, { recursive: true });
  }
  return steps;
}

/** @returns what it was killed at, or `survived` @throws when it ended in any other way */
function killed(options: object): Promise<string> {
  const script = join(packageRoot(), 'dist/test/support/store-process.js');
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, 'die', JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (text) => {
      said += String(text);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const expected = said === 'survived\n' ? code === 0 : signal === 'SIGKILL';
      if (expected) resolve(said.trim());
      else reject(new Error(`${JSON.stringify(options)}: ended with ${code} ${signal}: ${said}`));
    });
  });
}
