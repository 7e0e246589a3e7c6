/** Keeps a folder of converted files within its limit. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Converted files kept; the least recently used go first. @units bytes */
const MAX_CACHE_BYTES = 20e9;

/** @param keep the file just written, which stays whatever its size */
export async function prune(folder: string, keep: string, extension: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(extension));
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const stats = await stat(path).catch(() => undefined);
      return { path, bytes: stats?.size ?? 0, usedAt: stats?.mtimeMs ?? 0 };
    }),
  );
  let total = 0;
  for (const file of files.sort((a, b) => b.usedAt - a.usedAt)) {
    total += file.bytes;
    if (total > MAX_CACHE_BYTES && file.path !== keep) await rm(file.path, { force: true });
  }
}
