/**
 * Copies of text files in a form that DuckDB reads, in `<home>/text`. Invariant: a copy is there
 * whole or not at all, and was made of the very bytes its name says.
 */
import { createHash, randomBytes } from 'node:crypto';
import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, RepriseError, ResourceError } from '../../../driver/errors.js';
import { env } from '../../../driver/support/env.js';
import { makeFolder } from '../../../driver/support/make-folder.js';
import type { LocalFile } from './csv-file.js';
import { prune } from './prune.js';

/**
 * Path of the copy, which is made where there is none yet.
 * @param way what the copy is, beside the file's content
 * @param write writes the copy and tells of every byte it read of the file
 * @throws DataError when the file changes meanwhile; ResourceError when there is no room
 */
export async function textCopy(
  { path, digest }: LocalFile,
  way: string,
  extension: string,
  write: (target: string, onRaw: (bytes: Buffer) => void) => Promise<void>,
): Promise<string> {
  const folder = join(env.home(), 'text');
  const short = createHash('sha256').update(way).digest('hex').slice(0, 16);
  const target = join(folder, `${digest}-${short}${extension}`);
  if ((await stat(target).catch(() => undefined)) !== undefined) return target;
  const temporary = `${target}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  const hash = createHash('sha256');
  try {
    await makeFolder(folder);
    await write(temporary, (bytes) => hash.update(bytes));
    if (hash.digest('hex') !== digest) {
      throw new DataError(
        `data: expected ${path} to stay as it was, it changed while being read (other content); run again once it is written`,
        { path },
      );
    }
    await rename(temporary, target);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (cause instanceof RepriseError || code === undefined) throw cause;
    throw new ResourceError(
      `data: expected to write a copy of ${path} that DuckDB can read into ${folder}, got ${code}`,
      { resource: 'disk' },
      { cause },
    );
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
  await prune(folder, target, extension);
  return target;
}
