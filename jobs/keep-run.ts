/**
 * Runs a job whose run is kept from the start. Invariant: however it ends, the journal says so, and
 * a folder is left only where there is something in it.
 */
import { dirname } from 'node:path';
import type { Job } from './job-file/job.js';
import type { RunJobOptions } from './open-job.js';
import { runJob } from './run-job.js';
import type { RunRecord } from './runs/record.js';
import type { RunJournal } from './runs/run-journal.js';
import { type WriteRunOptions, writeRun } from './runs/write-run.js';

export interface KeepRunOptions extends RunJobOptions {
  readonly journal: RunJournal;
  readonly renderReport: WriteRunOptions['renderReport'];
  /** What an error that ends the run means for what is left of it. */
  readonly judge: (error: unknown) => ErrorVerdict;
}

export interface ErrorVerdict {
  /** Job or data are wrong, or the run was stopped: it is worth its folder only if it has trials. */
  readonly isOfUser: boolean;
  /** Contact with the cluster was lost: what was asked of it may go on. */
  readonly isLost: boolean;
}

/** The record, and the path of the run folder. @throws as `runJob` and `writeRun` */
export async function keepRun(
  job: Job,
  { renderReport, judge, ...options }: KeepRunOptions,
): Promise<readonly [RunRecord, string]> {
  const { journal } = options;
  try {
    const record = await runJob(job, options);
    const output = dirname(journal.folder);
    const path = await writeRun(record, { output, renderReport, isJournaled: true });
    await journal.finished(record.search.partial !== undefined);
    await journal.close();
    return [record, path];
  } catch (error) {
    const { isOfUser, isLost } = judge(error);
    if (journal.hasTrials || (journal.hasBegun && !isOfUser)) {
      await journal.failed(error, isLost);
      await journal.close();
    } else await journal.discard();
    throw error;
  }
}
