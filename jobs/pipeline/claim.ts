/**
 * One run of a pipeline at a time, as its steps leave their outputs in the same places. Invariant: of
 * processes that ask at once one gets it, and a run that is gone or ended holds nothing, however it
 * went. The last claim stays and names a run's folder, which says whether a process has it.
 */
import { basename, join } from 'node:path';
import { processToken } from '../../driver/support/process-token.js';
import { VersionedState } from '../../driver/support/versioned-state.js';
import { lives, overviewOf } from '../runs/run-state.js';
import { LockedError } from '../setup/lock.js';

interface Claim {
  /** The run's folder. */
  readonly run: string;
  /** Tells claims of one run apart, which is resumed. */
  readonly token: string;
}

/** Claims the folder for a run that is under way. @throws LockedError when another one has it */
export async function claimSteps(folder: string, runFolder: string): Promise<void> {
  const claims = new VersionedState<Claim | null>(join(folder, 'claims'), null, 'run');
  const own = { run: runFolder, token: processToken() };
  for (;;) {
    const last = await claims.read();
    if (last !== null && last.run !== runFolder) await requireOver(last.run);
    // Another claim may have come in between: then that one is looked at.
    const now = await claims.update((one) => (one?.token === last?.token ? own : undefined));
    if (now === own) return;
  }
}

async function requireOver(holder: string): Promise<void> {
  const run = await overviewOf(holder).catch(() => undefined);
  if (run === undefined || !lives(run.state)) return;
  const { pid, host } = run.process ?? {};
  throw new LockedError(
    `run: expected no other run of this pipeline, got ${basename(holder)} running in process ${pid} on ${host}; \`reprise runs show ${holder} --follow\` watches it`,
    { run: basename(holder), pid, host },
  );
}
