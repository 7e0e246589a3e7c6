/**
 * What it takes to go on with a run: its job, from the journal, and the engine it ran on. Invariant:
 * the job is the one that began, whatever the job file says by now; only secrets, which a journal
 * does not hold, are read from the file again.
 */
import { dirname } from 'node:path';
import { stringify } from 'yaml';
import { ConfigError } from '../../driver/errors.js';
import { packageVersion } from '../../driver/support/package-root.js';
import type { Job } from '../job-file/job.js';
import { parseJob, readJob } from '../job-file/read-job.js';
import { requireFree } from './held-run.js';
import type { AttemptRecord, Journaled } from './journal.js';
import { RunJournal } from './run-journal.js';
import { attemptsOf, divisionOf, wavesKept } from './run-state.js';

export interface Resume {
  readonly job: Job;
  readonly engine: 'auto' | 'local' | 'spark';
  /** Takes the run up. @throws LockedError when another process has it */
  readonly begin: () => Promise<RunJournal>;
  /** What people should know first. */
  readonly notes: readonly string[];
}

/**
 * @param overrides of the run's own settings
 * @throws LockedError for a run that a living process has, ConfigError for one without a journal
 */
export async function openResume(folder: string, overrides: readonly string[]): Promise<Resume> {
  const { records, attempt } = await lastAttempt(folder);
  const data = records.find((record) => record.kind === 'data');
  const { job, notes } = await jobOf(attempt, overrides);
  const divided = divisionOf(records);
  return {
    job,
    engine: data?.engine ?? attempt.engine,
    begin: () => RunJournal.resume(folder),
    notes: [
      `resume: ${attempt.run}, attempt ${attempt.attempt + 1}; ${wavesKept(records).size} of ${divided?.waves.length || 'no'} waves are there`,
      ...notes,
    ],
  };
}

/**
 * What is known of a run at rest, and who had it last.
 * @throws LockedError for a run that a living process has, ConfigError for one without a journal
 */
export async function lastAttempt(
  folder: string,
): Promise<{ readonly records: readonly Journaled[]; readonly attempt: AttemptRecord }> {
  const records = await requireFree(folder);
  const attempt = attemptsOf(records).at(-1);
  if (attempt !== undefined) return { records, attempt };
  throw new ConfigError(
    `resume: expected the journal of a run in ${folder}, got none; run the job again`,
    { key: 'run', value: folder },
  );
}

/** A word on a run that another version began. */
export function versionNotes({ reprise }: AttemptRecord): string[] {
  if (reprise === packageVersion()) return [];
  return [
    `warning: the run began with Reprise ${reprise}, this is ${packageVersion()}: scores may differ from its own in the last digits`,
  ];
}

async function jobOf(
  attempt: AttemptRecord,
  overrides: readonly string[],
): Promise<{ readonly job: Job; readonly notes: readonly string[] }> {
  const { job, file, name, store } = attempt;
  const cwd = dirname(file);
  const own = parseJob(`${name}.yaml`, stringify(job), {
    cwd,
    overrides,
    isRecorded: true,
    ...(store ? {} : { store }),
  });
  const notes = versionNotes(attempt);
  if (!JSON.stringify(own.spark ?? null).includes('"***"')) return { job: own, notes };
  const { spark } = await readJob(file);
  return { job: { ...own, ...(spark ? { spark } : {}) }, notes };
}
