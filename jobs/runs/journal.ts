/**
 * A run's journal, `journal.jsonl`: what is told of a run stands there first. Invariant: what a kill
 * or a full disk left half written is dropped, and damage anywhere else is an error.
 */
import { join } from 'node:path';
import { DataError } from '../../driver/errors.js';
import { readPlainFile } from '../../driver/support/plain-file.js';
import type { StepEnd } from '../pipeline/step-record.js';
import type { WaveResult } from '../search/wave-result.js';
import { type Dated, parseRecords, RecordWriter } from './record-lines.js';

/** A process took the run up. */
export interface AttemptRecord {
  readonly kind: 'run';
  /** From 1. */
  readonly attempt: number;
  readonly run: string;
  readonly name: string;
  /** When the first attempt began. ISO 8601, UTC. */
  readonly startedAt: string;
  readonly reprise: string;
  readonly engine: 'auto' | 'local' | 'spark';
  /** The job as it runs: paths absolute, secrets absent. */
  readonly job: unknown;
  /** False: `--no-store`. */
  readonly store: boolean;
  /** Its id was chosen by who started it. */
  readonly isNamed?: boolean;
  /** The job file, absolute. */
  readonly file: string;
  readonly host: string;
  readonly pid: number;
  /** Says whether the process lives, see `driver/support/process-token.ts`. */
  readonly token: string;
}

export interface FileRecord {
  readonly path: string;
  readonly digest: string;
  /** @units bytes */
  readonly bytes: number;
}

export type JournalRecord =
  | AttemptRecord
  /** The engine that was chosen, and the files as they were read. */
  | {
      readonly kind: 'data';
      readonly engine: 'local' | 'spark';
      readonly files: readonly FileRecord[];
    }
  /** How the trials of a rung were divided, and the metric they are chosen by. */
  | {
      readonly kind: 'waves';
      /** From 0; absent for the first. */
      readonly rung?: number;
      /** Trials of all rungs; absent where there is one. */
      readonly of?: number;
      readonly waves: readonly (readonly number[])[];
      readonly metric: string;
    }
  | { readonly kind: 'begin'; readonly wave: number }
  | {
      readonly kind: 'trials';
      readonly wave: number;
      readonly result: WaveResult;
      /** @units seconds */
      readonly seconds: number;
    }
  /** Of a pipeline: a step is being done, with the key that its outputs follow from. */
  | {
      readonly kind: 'step-begin';
      readonly step: string;
      readonly key: string;
      readonly why: string;
    }
  /** Of a pipeline: a step is over. */
  | ({ readonly kind: 'step-end' } & StepEnd)
  /** Why the attempt is about to end, or ended. */
  | {
      readonly kind: 'state';
      readonly state: 'stopping' | 'failed' | 'lost';
      readonly error?: string;
      /** Of the error, such as `BACKEND_LOST`. */
      readonly code?: string;
    }
  /** `result.json` is there. */
  | { readonly kind: 'end'; readonly isPartial: boolean };

/** A record as it stands in the journal. */
export type Journaled = Dated<JournalRecord>;

const FILE = 'journal.jsonl';

export const journalPath = (folder: string): string => join(folder, FILE);

/**
 * The records of a run folder, in order; undefined without a journal.
 * @throws DataError for a damaged line that no kill can have left
 */
export async function readJournal(folder: string): Promise<Journaled[] | undefined> {
  try {
    return parseJournal(await readPlainFile(journalPath(folder)), journalPath(folder));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
}

/**
 * As `readJournal`, of text. A writer that takes over begins on a new line with a `run` record; of
 * two that take over at once, the second record of an attempt is that of one who withdrew.
 */
export function parseJournal(text: string, path: string): Journaled[] {
  const records: Journaled[] = [];
  const attempts = new Set<number>();
  let damaged: number | undefined;
  for (const { line, record } of parseRecords<JournalRecord>(text)) {
    if (damaged !== undefined && record?.kind !== 'run') throw damage(path, damaged);
    damaged = record === undefined ? line : undefined;
    if (record === undefined) continue;
    if (record.kind === 'run' && attempts.has(record.attempt)) continue;
    if (record.kind === 'run') attempts.add(record.attempt);
    records.push(record);
  }
  if (damaged !== undefined && text.endsWith('\n')) throw damage(path, damaged);
  return records;
}

function damage(path: string, line: number): DataError {
  return new DataError(
    `journal: expected a record in line ${line} of ${path}, got damaged text; put the file back from a copy, or run the job again (\`reprise runs rm\` removes the run)`,
    { path, line },
  );
}

/** Appends to the journal of a run folder. @throws the file system's error */
export function openJournal(folder: string): Promise<RecordWriter<JournalRecord>> {
  return RecordWriter.open(journalPath(folder), '`reprise resume` the run');
}
