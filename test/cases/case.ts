/** What a case is: data and a job as people have them, and the right outcome on each engine. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../driver/support/package-root.js';
import type { RunRecord } from '../../jobs/runs/record.js';
import type { JobFolder } from '../support/job-folder.js';

export type CaseEngine = 'local' | 'spark';

/** A run that ended: its record or its error, and what it warned of. */
export interface Outcome {
  readonly engine: CaseEngine;
  readonly record?: RunRecord;
  readonly error?: Error;
  readonly warnings: readonly string[];
}

export interface Case {
  readonly name: string;
  /** Writes data and `job.yaml` into the folder. */
  readonly prepare: (folder: JobFolder) => Promise<unknown> | unknown;
  /** Default: both. */
  readonly engines?: readonly CaseEngine[];
  readonly check: (outcome: Outcome) => void;
}

/** Copies a case of `test/fixtures/cases` into the folder. */
export function fixture(name: string): (folder: JobFolder) => void {
  const from = join(packageRoot(), 'test', 'fixtures', 'cases', name);
  return (folder) => cpSync(from, folder.path, { recursive: true });
}

/** The record of a run that should have succeeded. */
export function recordOf({ record, error }: Outcome): RunRecord {
  if (record === undefined) throw error ?? new Error('expected a record');
  return record;
}
