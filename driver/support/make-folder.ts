/**
 * Makes a folder and those above it. Node's own recursive `mkdir` never returns where a file system
 * answers that a folder is missing though the one above it is there (`/proc/x`): it tries both in
 * turn for ever.
 */
import { mkdirSync, statSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ConfigError, ResourceError } from '../errors.js';

/** Answers whether the folder was made. @throws the file system's error */
export async function makeFolder(path: string, mode = 0o777): Promise<boolean> {
  const folder = resolve(path);
  const once = async (): Promise<boolean> => {
    try {
      await mkdir(folder, mode);
      return true;
    } catch (cause) {
      // Others may have made it meanwhile.
      const stats = await stat(folder).catch(() => undefined);
      if (stats?.isDirectory()) return false;
      throw cause;
    }
  };
  try {
    return await once();
  } catch (cause) {
    if (!lacksParent(cause, folder)) throw cause;
    await makeFolder(dirname(folder), mode);
    return once();
  }
}

/** As `makeFolder`. */
export function makeFolderSync(path: string, mode = 0o777): void {
  const folder = resolve(path);
  const once = (): void => {
    try {
      mkdirSync(folder, mode);
    } catch (cause) {
      if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw cause;
    }
  };
  try {
    once();
  } catch (cause) {
    if (!lacksParent(cause, folder)) throw cause;
    makeFolderSync(dirname(folder), mode);
    once();
  }
}

/**
 * As `makeFolder`, for what is kept for later runs: programs among it, so nobody else writes there.
 * @throws ConfigError when REPRISE_HOME can't hold it, ResourceError when the disk is full
 */
export async function makeHomeFolder(path: string): Promise<void> {
  try {
    await makeFolder(path, 0o755);
  } catch (cause) {
    const { code = 'an unknown error' } = cause as NodeJS.ErrnoException;
    const message = `REPRISE_HOME: expected a folder that can be made and written at ${path}, got ${code}; set REPRISE_HOME to another`;
    const isFull = ['ENOSPC', 'EDQUOT', 'EMFILE', 'EIO'].includes(code);
    throw isFull
      ? new ResourceError(message, { resource: 'disk', path }, { cause })
      : new ConfigError(message, { key: 'REPRISE_HOME', value: path }, { cause });
  }
}

function lacksParent(cause: unknown, folder: string): boolean {
  return (cause as NodeJS.ErrnoException).code === 'ENOENT' && dirname(folder) !== folder;
}
