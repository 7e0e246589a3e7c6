/**
 * Runs a job whose run is kept from the start. Invariant: however it ends, the journal says so, and
 * a folder is left only where there is something in it.
 */
import { ContactLostError, LivyError } from '../driver/errors.js';
import type { Job } from './job-file/job.js';
import type { RunJobOptions } from './open-job.js';
import { runJob } from './run-job.js';
import type { RunRecord } from './runs/record.js';
import type { RunJournal } from './runs/run-journal.js';
import { type WriteRunOptions, writeRun } from './runs/write-run.js';

export interface KeepRunOptions extends RunJobOptions {
  readonly journal: RunJournal;
  readonly renderReport: WriteRunOptions['renderReport'];
  /** Job or data are wrong, or the run was stopped: it is worth its folder only if it has trials. */
  readonly isOfUser: (error: unknown) => boolean;
}

/**
 * The record, and the path of the run folder.
 * @throws as `runJob` and `writeRun`; ContactLostError when the cluster fell silent in mid-run
 */
export async function keepRun(
  job: Job,
  { renderReport, isOfUser, ...options }: KeepRunOptions,
): Promise<readonly [RunRecord, string]> {
  const { journal } = options;
  try {
    const record = await runJob(job, options);
    const path = await writeRun(record, {
      output: job.output,
      path: journal.folder,
      renderReport,
      isJournaled: true,
    });
    await journal.finished(record.search.partial !== undefined);
    await journal.close();
    return [record, path];
  } catch (error) {
    const isLost = journal.hasBegun && isContactLost(error);
    if (journal.hasTrials || journal.isNamed || (journal.hasBegun && !isOfUser(error))) {
      await journal.failed(error, isLost);
      await journal.close();
    } else await journal.discard();
    if (!isLost) throw error;
    const { message } = error as Error;
    throw new ContactLostError(
      `run: expected to stay in contact with the cluster, lost it (${message}); its application is left running for \`reprise resume ${journal.attempt.run}\``,
      { cause: error },
    );
  }
}

/** Livy, or what is on the way to it, does not answer. */
function isContactLost(error: unknown): boolean {
  if (!(error instanceof LivyError)) return false;
  return ['network', 'timeout', 'server'].includes(String(error.facts.problem));
}
