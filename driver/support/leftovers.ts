/**
 * Folders and files of one process that others find after it was killed. Invariant: a name says
 * which process made it (`<prefix><token>`), and only what a process made that is gone for certain
 * is removed; a link is removed, not what it leads to.
 */
import { lstat, readdir, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from './make-folder.js';
import { isFromDeadProcess, processToken } from './process-token.js';

/** Folders for what does not fit memory: of the session, of DuckDB, of Spark. */
export const SCRATCH = {
  spill: 'reprise-spill-',
  duckdb: 'reprise-duckdb-',
  spark: 'reprise-spark-',
} as const;

/** A path in `parent` that says it is this process's; nothing is made. */
export function ownPath(parent: string, prefix: string): string {
  return join(parent, `${prefix}${processToken()}`);
}

/** Makes a folder of this process, for its owner only. @throws what the file system says */
export async function makeOwnFolder(parent: string, prefix: string): Promise<string> {
  const path = ownPath(parent, prefix);
  await makeFolder(path, 0o700);
  return path;
}

/** A folder to make something in; first clears leftovers in `parent`. @throws file-system errors */
export async function makeStaging(parent: string, prefix: string): Promise<string> {
  await sweepLeftovers(parent, [prefix]);
  return makeOwnFolder(parent, prefix);
}

/** Removes what processes left in a folder that ended without doing so. Never rejects. */
export async function sweepLeftovers(parent: string, prefixes: readonly string[]): Promise<void> {
  const uid = process.getuid?.();
  for (const name of await readdir(parent).catch(() => [])) {
    const prefix = prefixes.find((each) => name.startsWith(each));
    if (prefix === undefined || !isFromDeadProcess(name.slice(prefix.length))) continue;
    const path = join(parent, name);
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined || (uid !== undefined && found.uid !== uid)) continue;
    await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

let isSwept = false;

/** Where the text of a small file is before it is put in place. */
export const WRITING = '.write-';

/** Removes what killed processes left in the temp folder and `home`, once. Never rejects. */
export async function sweepScratch(home: string): Promise<void> {
  if (isSwept) return;
  isSwept = true;
  await sweepLeftovers(tmpdir(), Object.values(SCRATCH));
  await sweepLeftovers(home, [WRITING]);
}

const DAY_MS = 24 * 3_600_000;

/**
 * Marks a file as in use now, by when it was read: when it was written is what a JVM knows jars by.
 * Never rejects: a folder that can't be written is not swept either.
 */
export async function markUsed(path: string): Promise<void> {
  try {
    await utimes(path, Date.now() / 1000, (await stat(path)).mtimeMs / 1000);
  } catch {
    // As said.
  }
}

/** Removes files of a folder untouched for so many days, except the newest. Never rejects. */
export async function sweepOld(
  folder: string,
  isOurs: (name: string) => boolean,
  { days, newest }: { readonly days: number; readonly newest: number },
): Promise<void> {
  const found: { readonly path: string; readonly touchedMs: number }[] = [];
  for (const name of (await readdir(folder).catch(() => [])).filter(isOurs)) {
    const path = join(folder, name);
    const stats = await lstat(path).catch(() => undefined);
    if (stats?.isFile()) found.push({ path, touchedMs: Math.max(stats.mtimeMs, stats.atimeMs) });
  }
  found.sort((a, b) => b.touchedMs - a.touchedMs);
  for (const { path, touchedMs } of found.slice(newest)) {
    if (Date.now() - touchedMs > days * DAY_MS) await rm(path, { force: true }).catch(() => {});
  }
}
