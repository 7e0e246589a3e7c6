/** Size of local data, for choosing an engine before anything is opened. */
import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expandGlob, isGlob } from '../driver/frame/glob.js';

/** Entries examined below a folder: enough to see that data are large, few enough to be quick. */
const MAX_ENTRIES = 100_000;

/**
 * Bytes of a file, of the files below a folder, or of those that match a glob; 0 when nothing is
 * there, which opening the data will report. @units bytes
 * @throws ConfigError for a glob that leads too far
 */
export async function dataBytes(path: string): Promise<number> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined) return isGlob(path) ? sumOf(await expandGlob(path)) : 0;
  if (!stats.isDirectory()) return stats.size;
  const files: string[] = [];
  let entries = 0;
  try {
    for await (const entry of await opendir(path, { recursive: true })) {
      if (entry.isFile()) files.push(join(entry.parentPath, entry.name));
      if (++entries >= MAX_ENTRIES) break;
    }
  } catch {
    // What can't be read here is reported where it is needed.
  }
  return sumOf(files);
}

async function sumOf(files: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const file of files) bytes += (await stat(file).catch(() => undefined))?.size ?? 0;
  return bytes;
}
