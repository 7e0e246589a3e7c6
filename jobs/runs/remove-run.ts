/** Removes run folders. Invariant: a run is gone at once for all who look, or stays whole. */
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ownPath, sweepLeftovers } from '../../driver/support/leftovers.js';
import { requireFree } from './held-run.js';

/** Followed by the token of the process that removes the run. */
const REMOVED = '.removed-';

/** @throws LockedError when a process has the run */
export async function removeRun(folder: string): Promise<void> {
  await requireFree(folder);
  await sweepLeftovers(dirname(folder), [REMOVED]);
  // A process that is killed leaves what the next one sweeps.
  const removed = ownPath(dirname(folder), REMOVED);
  await rename(folder, removed);
  await rm(removed, { recursive: true, force: true });
}
