/**
 * Where payloads too large for statements meet: a place that driver and cluster can both reach.
 * Invariant: names are plain file names, so no path can leave the folder; what is read is checked
 * by the caller's digest.
 */
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InternalError, ResourceError } from '../../driver/errors.js';
import { makeFolder } from '../../driver/support/make-folder.js';
import { replaceFile } from '../../driver/support/replace-file.js';

export interface PayloadStorage {
  /** The folder as the cluster writes it (`file:/mnt/x`, `hdfs://..`), for large results. */
  readonly folderUri: string;
  /** Leaves bytes for the cluster under a plain file name. @returns the URI it opens */
  put(name: string, bytes: Uint8Array): Promise<string>;
  /** Bytes the shim left. @throws ResourceError when there are none, or more than `limitBytes` */
  get(id: string, limitBytes: number): Promise<Uint8Array>;
  /** Deletes these files, if they are there; never throws. */
  remove(...names: readonly string[]): Promise<void>;
}

function plainName(name: string): string {
  if (/^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200}$/.test(name)) return name;
  throw new InternalError(
    `shared storage: expected a plain file name, got ${JSON.stringify(name)}`,
  );
}

/**
 * A folder that both sides mount (NFS, a DBFS or HDFS mount, or one machine's disk).
 * @param folder its path here @param folderUri its address in the cluster; default `file:<folder>`
 */
export function folderStorage(folder: string, folderUri = `file:${folder}`): PayloadStorage {
  const base = folderUri.replace(/\/+$/, '');
  return {
    folderUri: base,
    put: async (name, bytes) => {
      await makeFolder(folder, 0o700);
      await replaceFile(join(folder, plainName(name)), bytes, true);
      return `${base}/${name}`;
    },
    get: async (id, limitBytes) => {
      const path = join(folder, plainName(id));
      let size: number;
      try {
        ({ size } = await stat(path));
      } catch (cause) {
        throw new ResourceError(
          `shared storage: expected the shim's result in ${path}, found none; does ${base} name the same folder in the cluster?`,
          { resource: 'shared storage', path },
          { cause },
        );
      }
      if (size > limitBytes) {
        throw new ResourceError(
          `shared storage: expected at most ${limitBytes} bytes in ${path}, got ${size}`,
          { resource: 'shared storage', requestedBytes: limitBytes, availableBytes: size },
        );
      }
      return await readFile(path);
    },
    remove: async (...names) => {
      for (const name of names) {
        await rm(join(folder, plainName(name)), { force: true }).catch(() => undefined);
      }
    },
  };
}
