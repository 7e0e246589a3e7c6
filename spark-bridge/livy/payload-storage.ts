/**
 * Where payloads too large for statements meet: a place that driver and cluster can both reach. Invariant: a name is
 * an id of ours (base64url), so no path can leave the folder; what is read is checked by the caller's digest.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ResourceError } from '../../driver/errors.js';

export interface PayloadStorage {
  /** The folder as the cluster writes it (`file:/mnt/x`, `hdfs://..`); the shim puts large results there. */
  readonly folderUri: string;
  /** Leaves bytes for the shim. @returns the URI it opens */
  put(id: string, bytes: Uint8Array): Promise<string>;
  /** Bytes the shim left. @throws ResourceError when there are none, or more than `limitBytes` */
  get(id: string, limitBytes: number): Promise<Uint8Array>;
  /** Forgets both directions of `id`; never throws. */
  remove(id: string): Promise<void>;
}

/** File name of what the driver sends; the shim's results have the bare id. */
const requestName = (id: string): string => `${id}.request`;

/**
 * A folder that both sides mount (NFS, a DBFS or HDFS mount, or one machine's disk).
 * @param folder its path here @param folderUri its address in the cluster; default `file:<folder>`
 */
export function folderStorage(folder: string, folderUri = `file:${folder}`): PayloadStorage {
  const base = folderUri.replace(/\/+$/, '');
  return {
    folderUri: base,
    put: async (id, bytes) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const target = join(folder, requestName(id));
      const temporary = `${target}.${randomUUID()}`;
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, target);
      return `${base}/${requestName(id)}`;
    },
    get: async (id, limitBytes) => {
      const path = join(folder, id);
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
    remove: async (id) => {
      await rm(join(folder, id), { force: true }).catch(() => undefined);
      await rm(join(folder, requestName(id)), { force: true }).catch(() => undefined);
    },
  };
}
