/** Writes small files whole: a reader finds the old text or the new one, never a part. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ownPath, WRITING } from './leftovers.js';
import { makeFolder } from './make-folder.js';

/** Puts a file with this text, readable by its owner only, in the place of what is there. @throws what the file system throws */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = ownPath(dirname(path), WRITING);
  try {
    await makeFolder(dirname(path));
    await writeFile(temporary, text, { mode: 0o600, flag: 'wx' });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
