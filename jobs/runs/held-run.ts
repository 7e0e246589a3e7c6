/**
 * A run that this process has: its folder and the journal it is kept in. Invariants: the folder is
 * there from the start, never without a record of who has it; at most one living process has a run.
 */
import { rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { RepriseError, ResourceError } from '../../driver/errors.js';
import { ownPath, sweepLeftovers } from '../../driver/support/leftovers.js';
import { makeFolder } from '../../driver/support/make-folder.js';
import { packageVersion } from '../../driver/support/package-root.js';
import { processToken } from '../../driver/support/process-token.js';
import { redact } from '../../driver/support/redact.js';
import { LockedError } from '../setup/lock.js';
import {
  type AttemptRecord,
  type Journaled,
  type JournalRecord,
  journalPath,
  openJournal,
  readJournal,
} from './journal.js';
import type { RecordWriter } from './record-lines.js';
import type { EngineName } from './run-events.js';
import { newRunId } from './run-id.js';
import { attemptsOf, HEARTBEAT_MS, lives, stateOf } from './run-state.js';

/** Followed by the token of a process: a run's folder until its first record is there. */
const BEGINNING = '.beginning-';

/** What a new run is. */
export interface NewRun {
  readonly name: string;
  /** As it runs: paths absolute, secrets absent. */
  readonly document: unknown;
  /** Folder that holds the run folders, absolute. */
  readonly output: string;
  /** Whether results are kept for later runs. */
  readonly store: boolean;
  /** The file it was read from, absolute. */
  readonly file: string;
  readonly engine: EngineName;
  /** Its id, which is its folder in `output`: who makes it first has the run. Default: a new one. */
  readonly run?: string;
}

interface Held {
  readonly folder: string;
  readonly attempt: AttemptRecord;
  readonly writer: RecordWriter<JournalRecord>;
  /** Of attempts before this one. */
  readonly earlier: readonly Journaled[];
}

export class HeldRun {
  /** The run folder. */
  readonly folder: string;
  readonly attempt: AttemptRecord;
  protected readonly earlier: readonly Journaled[];
  readonly #writer: RecordWriter<JournalRecord>;
  readonly #heartbeat: NodeJS.Timeout;
  #isDiscarded = false;

  constructor({ folder, attempt, writer, earlier }: Held) {
    this.folder = folder;
    this.attempt = attempt;
    this.earlier = earlier;
    this.#writer = writer;
    this.#heartbeat = setInterval(() => void writer.touch(), HEARTBEAT_MS).unref();
  }

  get startedAt(): Date {
    return new Date(this.attempt.startedAt);
  }

  /** Whether its id was chosen by somebody, who will look for what became of it. */
  get isNamed(): boolean {
    return this.attempt.isNamed === true;
  }

  /** Whether the folder is there. */
  get isKept(): boolean {
    return !this.#isDiscarded;
  }

  /** Resolves once the record is on the disk. @throws ResourceError when it can't be */
  protected append(record: JournalRecord): Promise<void> {
    return this.#writer.append(record);
  }

  /** A signal came. Never rejects. */
  async stopping(): Promise<void> {
    await this.append({ kind: 'state', state: 'stopping' }).catch(() => undefined);
  }

  /** Never rejects: what ended the run is worse. @param isLost contact was lost, work may go on */
  async failed(error: unknown, isLost: boolean): Promise<void> {
    const text = redact(error instanceof Error ? error.message : String(error));
    const code = error instanceof RepriseError ? { code: error.code } : {};
    const state = isLost ? 'lost' : 'failed';
    await this.append({ kind: 'state', state, error: text, ...code }).catch(() => undefined);
  }

  /** `result.json` is there. */
  finished(isPartial: boolean): Promise<void> {
    return this.append({ kind: 'end', isPartial });
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.#writer.close();
  }

  /** Removes the folder, for a run that left nothing. */
  async discard(): Promise<void> {
    this.#isDiscarded = true;
    await this.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/**
 * Makes the folder of a new run.
 * @throws ResourceError when it can't be written, LockedError when a run has the id that was asked for
 */
export async function beginRun(asked: NewRun): Promise<Held> {
  const { name, document, output, store, file, engine } = asked;
  const startedAt = new Date();
  const run = asked.run ?? newRunId(name, startedAt);
  const folder = join(output, run);
  try {
    const attempt: AttemptRecord = {
      kind: 'run',
      attempt: 1,
      run,
      name,
      startedAt: startedAt.toISOString(),
      reprise: packageVersion(),
      engine,
      job: document,
      store,
      ...(asked.run === undefined ? {} : { isNamed: true }),
      file,
      ...thisProcess(),
    };
    await makeFolder(dirname(folder));
    await sweepLeftovers(output, [BEGINNING]);
    // A folder without a record would be a run that nobody can take up.
    const staging = ownPath(output, BEGINNING);
    await makeFolder(staging, 0o700);
    const writer = await openJournal(staging);
    await writer.append(attempt);
    await rename(staging, folder).catch(async (cause: NodeJS.ErrnoException) => {
      await writer.close();
      await rm(staging, { recursive: true, force: true });
      throw ['ENOTEMPTY', 'EEXIST'].includes(cause.code ?? '') ? taken(run, output) : cause;
    });
    writer.moved(journalPath(folder));
    return { folder, attempt, writer, earlier: [] };
  } catch (cause) {
    if (cause instanceof LockedError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new ResourceError(
      `run folder: expected to write ${folder}, got ${code ?? message}; choose another folder with --output`,
      { resource: 'disk', path: folder },
      { cause },
    );
  }
}

/**
 * Takes up a run that no process has.
 * @throws LockedError when one has it, ConfigError or DataError for a journal that can't be read
 */
export async function takeUpRun(folder: string): Promise<Held> {
  // Of the records that say it is free: a later look may find who took it up meanwhile.
  const last = attemptsOf(await requireFree(folder)).at(-1)!;
  const writer = await openJournal(folder);
  const attempt: AttemptRecord = {
    ...last,
    attempt: last.attempt + 1,
    reprise: packageVersion(),
    ...thisProcess(),
  };
  await writer.append(attempt);
  // Another process may have done the same: the first record of the number has the run.
  const now = (await readJournal(folder)) ?? [];
  const owner = attemptsOf(now).at(-1)!;
  if (owner.token !== attempt.token) {
    await writer.close();
    throw heldError(folder, owner);
  }
  return { folder, attempt, writer, earlier: now.slice(0, now.indexOf(owner)) };
}

/** The records of a run at rest; none without a journal. @throws LockedError when a living process has it */
export async function requireFree(folder: string): Promise<Journaled[]> {
  const records = (await readJournal(folder)) ?? [];
  if (records.length === 0) return records;
  const { mtimeMs } = await stat(journalPath(folder));
  const { state, attempt } = stateOf(folder, records, mtimeMs);
  if (lives(state)) throw heldError(folder, attempt);
  return records;
}

function taken(run: string, output: string): LockedError {
  return new LockedError(
    `run: expected no run ${run} in ${output}, got one; \`reprise resume ${run}\` goes on with it`,
    { run },
  );
}

function heldError(folder: string, { pid, host }: AttemptRecord): LockedError {
  const where = host === hostname() ? '' : ` on ${host}`;
  return new LockedError(
    `run: expected ${basename(folder)} to be at rest, got it running in process ${pid}${where}; \`reprise runs show ${basename(folder)} --follow\` watches it`,
    { pid, host },
  );
}

function thisProcess(): Pick<AttemptRecord, 'host' | 'pid' | 'token'> {
  return { host: hostname(), pid: process.pid, token: processToken() };
}
