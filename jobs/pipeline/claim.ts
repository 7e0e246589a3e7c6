/**
 * One run of a pipeline at a time, as its steps leave their outputs in the same places. Invariant: of
 * processes that ask at once one gets it, and a run that is gone or ended holds nothing, however it
 * went. A claim is a numbered file that names a run's folder; the highest number counts and stays.
 */
import { link, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ownPath, WRITING } from '../../driver/support/leftovers.js';
import { makeFolder } from '../../driver/support/make-folder.js';
import { readOwnFile } from '../../driver/support/plain-file.js';
import { lives, overviewOf } from '../runs/run-state.js';
import { LockedError } from '../setup/lock.js';

const PREFIX = 'claim-';

/** Claims the folder for a run that is under way. @throws LockedError when another one has it */
export async function claimSteps(folder: string, runFolder: string): Promise<void> {
  await makeFolder(folder);
  const temporary = ownPath(folder, WRITING);
  await writeFile(temporary, runFolder);
  try {
    for (;;) {
      const numbers = await claims(folder);
      const last = numbers.at(-1) ?? 0;
      if (last > 0) await requireOver(join(folder, `${PREFIX}${last}`), runFolder);
      if (await isFirst(temporary, join(folder, `${PREFIX}${last + 1}`))) {
        for (const number of numbers) await rm(join(folder, `${PREFIX}${number}`), { force: true });
        return;
      }
    }
  } finally {
    await rm(temporary, { force: true });
  }
}

async function claims(folder: string): Promise<number[]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(PREFIX));
  return names.map((name) => Number(name.slice(PREFIX.length))).sort((a, b) => a - b);
}

async function requireOver(claim: string, own: string): Promise<void> {
  const holder = await readOwnFile(claim).catch(() => own);
  if (holder === own) return;
  const run = await overviewOf(holder).catch(() => undefined);
  if (run === undefined || !lives(run.state)) return;
  const { pid, host } = run.process ?? {};
  throw new LockedError(
    `run: expected no other run of this pipeline, got ${basename(holder)} running in process ${pid} on ${host}; \`reprise runs show ${holder} --follow\` watches it`,
    { run: basename(holder), pid, host },
  );
}

async function isFirst(temporary: string, claim: string): Promise<boolean> {
  try {
    await link(temporary, claim);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw cause;
  }
}
