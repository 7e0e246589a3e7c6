/**
 * What it takes to go on with a pipeline's run: the pipeline, from the journal, and the engine asked
 * for. Invariant: it is the one that began, whatever its file and the job files say by now; only
 * secrets, which a journal does not hold, are read from the file again.
 */
import { basename, dirname } from 'node:path';
import { stringify } from 'yaml';
import { lastAttempt, versionNotes } from '../runs/resume.js';
import type { EngineName } from '../runs/run-events.js';
import type { Pipeline } from './pipeline.js';
import { PipelineJournal } from './pipeline-journal.js';
import { parsePipeline, readPipeline } from './read-pipeline.js';
import { endsOfSteps, isSettled } from './step-ends.js';

export interface PipelineResume {
  readonly pipeline: Pipeline;
  readonly engine: EngineName;
  /** Takes the run up. @throws LockedError when another process has it */
  readonly begin: () => Promise<PipelineJournal>;
  /** What people should know first. */
  readonly notes: readonly string[];
}

/** @throws LockedError for a run that a living process has, ConfigError for one without a journal */
export async function openPipelineResume(folder: string): Promise<PipelineResume> {
  const { records, attempt } = await lastAttempt(folder);
  const { job, file, store, engine } = attempt;
  const own = await parsePipeline(basename(file), stringify(job), {
    cwd: dirname(file),
    isRecorded: true,
    ...(store ? {} : { store }),
  });
  const hasSecrets = JSON.stringify(own.spark ?? null).includes('"***"');
  const { spark } = hasSecrets ? await readPipeline(file) : own;
  const done = [...endsOfSteps(records).values()].filter(isSettled).length;
  return {
    pipeline: { ...own, output: dirname(folder), ...(spark ? { spark } : {}) },
    engine,
    begin: () => PipelineJournal.resume(folder),
    notes: [
      `resume: ${attempt.run}, attempt ${attempt.attempt + 1}; ${done} of ${own.steps.length} steps are done`,
      ...versionNotes(attempt),
    ],
  };
}
