/**
 * Writes a file that a program of its own fills, whole or not at all: it is made beside its place
 * under a name of this process, flushed, and renamed; on any failure, exit included, it is removed.
 */
import { rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ResourceError } from '../../driver/errors.js';
import { ownPath, sweepLeftovers } from '../../driver/support/leftovers.js';
import { makeFolder } from '../../driver/support/make-folder.js';

/** Followed by the token of the process that writes. */
const UNFINISHED = '.predict-';

/**
 * @param key what names the place, for messages
 * @throws ResourceError when the place can't be written; what `write` throws
 */
export async function writeWhole(
  path: string,
  write: (temporary: string) => Promise<void>,
  key = '--out',
): Promise<void> {
  const folder = dirname(path);
  const temporary = ownPath(folder, UNFINISHED);
  const removeNow = (): void => rmSync(temporary, { force: true });
  process.once('exit', removeNow);
  try {
    await placed(path, key, async () => {
      await makeFolder(folder);
      await sweepLeftovers(folder, [UNFINISHED]);
    });
    await write(temporary);
    await placed(path, key, async () => {
      const file = await open(temporary, 'r+');
      await file.sync().finally(() => file.close());
      await rename(temporary, path);
    });
  } finally {
    await rm(temporary, { force: true });
    process.off('exit', removeNow);
  }
}

async function placed(path: string, key: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new ResourceError(
      `${key}: expected to write ${path}, got ${code ?? message}; choose another place`,
      { resource: 'disk', path },
      { cause },
    );
  }
}
