/** Size of local data, for choosing an engine before anything is opened. */
import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Bytes of a file, of the files below a folder, or at most those of a glob (everything below its fixed part); 0 when
 * nothing is there, which opening the data will report. @units bytes
 */
export async function dataBytes(path: string): Promise<number> {
  const wildcard = path.search(/[*?[{]/);
  const base = wildcard < 0 ? path : dirname(`${path.slice(0, wildcard)}x`);
  const stats = await stat(base).catch(() => undefined);
  if (stats === undefined) return 0;
  if (!stats.isDirectory()) return stats.size;
  let bytes = 0;
  for (const entry of await readdir(base, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const file = await stat(join(entry.parentPath, entry.name)).catch(() => undefined);
    bytes += file?.size ?? 0;
  }
  return bytes;
}
