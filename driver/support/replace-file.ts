/** Writes files whole: a reader finds the old one or the new one, never a part. */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ownPath, WRITING } from './leftovers.js';
import { makeFolder } from './make-folder.js';

/**
 * Puts a file, readable by its owner only, in the place of what is there.
 * @param isDurable it stays even if the machine fails right after @throws the file system's error
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  isDurable = false,
): Promise<void> {
  const temporary = ownPath(dirname(path), WRITING);
  try {
    await makeFolder(dirname(path));
    await writeNewFile(temporary, content, isDurable);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (isDurable) await syncFolder(dirname(path));
}

/** A new file, readable by its owner only. @throws the file system's error, as where there is one */
export async function writeNewFile(
  path: string,
  content: string | Uint8Array,
  isDurable: boolean,
): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(content);
    if (isDurable) await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the names in a folder durable. @throws the file system's error: some refuse to */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}
