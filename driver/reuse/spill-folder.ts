/**
 * Private folders for spilled values, one a process. Invariant: a folder's name says which process made it, and only a
 * folder whose process is gone for certain is swept; nobody else can read what lies in one.
 */
import { mkdir, readdir, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isFromDeadProcess, processToken } from './store/process-token.js';

const PREFIX = 'reprise-spill-';
/** File system type of memory posing as a disk: spilling to it frees nothing. */
const TMPFS = 0x01021994;
/** Usual on Unix for larger files; a real disk where `/tmp` is not. */
const ON_DISK = '/var/tmp';

/** Makes the folder of this process and says what is free beside it. @throws what the file system says */
export async function makeSpillFolder(
  parent?: string,
): Promise<{ readonly path: string; readonly freeBytes: number }> {
  const place = parent ?? (await defaultParent());
  const path = join(place, `${PREFIX}${processToken()}`);
  await mkdir(path, { recursive: true, mode: 0o700 });
  return { path, freeBytes: await freeBytesOf(path) };
}

/** Removes the folders of processes that ended without doing so. Never rejects. */
export async function sweepSpillFolders(parent?: string): Promise<void> {
  const places = parent === undefined ? [tmpdir(), ON_DISK] : [parent];
  const uid = process.getuid?.();
  for (const place of new Set(places)) {
    const names = await readdir(place).catch(() => []);
    for (const name of names) {
      if (!name.startsWith(PREFIX) || !isFromDeadProcess(name.slice(PREFIX.length))) continue;
      const path = join(place, name);
      const isOurs = await stat(path).then(
        (found) => uid === undefined || found.uid === uid,
        () => false,
      );
      if (isOurs) await rm(path, { recursive: true, force: true }).catch(() => {});
    }
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
