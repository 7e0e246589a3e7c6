/**
 * Private folders for spilled values, one a process. Invariant: a folder's name says which process
 * made it, and only a folder whose process is gone for certain is swept; nobody else can read what
 * lies in one.
 */
import { rmSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { makeOwnFolder, SCRATCH, sweepLeftovers } from '../support/leftovers.js';

/** File system type of memory posing as a disk: spilling to it frees nothing. */
const TMPFS = 0x01021994;
/** Usual on Unix for larger files; a real disk where `/tmp` is not. */
const ON_DISK = '/var/tmp';

const live = new Set<string>();
let isWatchingExit = false;

/** Removes a folder now. Never throws. */
export function removeSpillFolder(path: string): void {
  live.delete(path);
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // The next process sweeps it.
  }
}

/** Makes a folder that ends with the process; tells free space. @throws file-system errors */
export async function makeSpillFolder(
  parent?: string,
): Promise<{ readonly path: string; readonly freeBytes: number }> {
  const place = parent ?? (await defaultParent());
  const path = await makeOwnFolder(place, SCRATCH.spill);
  if (!isWatchingExit) process.once('exit', () => [...live].forEach(removeSpillFolder));
  isWatchingExit = true;
  live.add(path);
  return { path, freeBytes: await freeBytesOf(path) };
}

const swept = new Set<string>();

/** Removes folders of ended processes, once per process and place unless `again`. Never rejects. */
export async function sweepSpillFolders(parent?: string, again = false): Promise<void> {
  const known = parent === undefined ? [tmpdir(), ON_DISK] : [parent];
  const places = known.filter((place) => again || !swept.has(place));
  for (const place of new Set(places)) {
    swept.add(place);
    await sweepLeftovers(place, [SCRATCH.spill]);
  }
}

async function defaultParent(): Promise<string> {
  const usual = tmpdir();
  if ((await typeOf(usual)) !== TMPFS) return usual;
  const type = await typeOf(ON_DISK);
  return type === undefined || type === TMPFS ? usual : ON_DISK;
}

async function typeOf(path: string): Promise<number | undefined> {
  return statfs(path).then(
    ({ type }) => type,
    () => undefined,
  );
}

async function freeBytesOf(path: string): Promise<number> {
  return statfs(path).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => Number.POSITIVE_INFINITY,
  );
}
