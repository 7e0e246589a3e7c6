/**
 * The run that this process does: its folder, and the journal it is kept in. Invariants: the folder
 * is there from the start; at most one living process has a run; a wave that is known is never
 * trained again.
 */
import { rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { DataError, RepriseError, ResourceError } from '../../driver/errors.js';
import { ownPath, sweepLeftovers } from '../../driver/support/leftovers.js';
import { makeFolder } from '../../driver/support/make-folder.js';
import { packageVersion } from '../../driver/support/package-root.js';
import { isSameBoot, processToken } from '../../driver/support/process-token.js';
import type { Job } from '../job-file/job.js';
import type { Wave, WaveLog } from '../search/wave-log.js';
import type { WaveResult } from '../search/wave-result.js';
import { LockedError } from '../setup/lock.js';
import {
  type AttemptRecord,
  type FileRecord,
  type Journaled,
  JournalWriter,
  journalPath,
  readJournal,
} from './journal.js';
import type { EngineName } from './run-events.js';
import { newRunId } from './run-id.js';
import { attemptsOf, HEARTBEAT_MS, lives, stateOf, wavesKept } from './run-state.js';

/** Followed by the token of a process: a run's folder until its first record is there. */
const BEGINNING = '.beginning-';

/** Attempts that a wave may end before it is set aside. */
const MOST_ATTEMPTS = 3;

export class RunJournal implements WaveLog {
  /** The run folder. */
  readonly folder: string;
  readonly attempt: AttemptRecord;
  readonly #writer: JournalWriter;
  /** Of attempts before this one. */
  readonly #earlier: readonly Journaled[];
  readonly #results: Map<number, WaveResult>;
  readonly #heartbeat: NodeJS.Timeout;
  #began = performance.now();
  #verify: () => Promise<void> = async () => undefined;
  #hasBegun = false;
  #isDiscarded = false;

  private constructor(
    folder: string,
    attempt: AttemptRecord,
    writer: JournalWriter,
    earlier: readonly Journaled[],
  ) {
    this.folder = folder;
    this.attempt = attempt;
    this.#writer = writer;
    this.#earlier = earlier;
    this.#results = wavesKept(earlier);
    this.#heartbeat = setInterval(() => void writer.touch(), HEARTBEAT_MS).unref();
  }

  /**
   * Makes the folder of a new run.
   * @param file the job file, absolute
   * @throws ResourceError when it can't be written
   */
  static async begin(job: Job, file: string, engine: EngineName): Promise<RunJournal> {
    const startedAt = new Date();
    const run = newRunId(job.name, startedAt);
    const folder = join(job.output, run);
    try {
      const attempt: AttemptRecord = {
        kind: 'run',
        attempt: 1,
        run,
        name: job.name,
        startedAt: startedAt.toISOString(),
        reprise: packageVersion(),
        engine,
        job: placedDocument(job),
        store: job.store !== null,
        file,
        ...thisProcess(),
      };
      // A folder without a record would be a run that nobody can take up.
      await makeFolder(job.output);
      await sweepLeftovers(job.output, [BEGINNING]);
      const staging = ownPath(job.output, BEGINNING);
      await makeFolder(staging);
      const first = await JournalWriter.open(staging);
      await first.append(attempt);
      await first.close();
      await rename(staging, folder);
      return new RunJournal(folder, attempt, await JournalWriter.open(folder), []);
    } catch (cause) {
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
  static async resume(folder: string): Promise<RunJournal> {
    // Of the records that say it is free: a later look may find who took it up meanwhile.
    const last = attemptsOf(await requireFree(folder)).at(-1)!;
    const writer = await JournalWriter.open(folder);
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
      throw held(folder, owner);
    }
    return new RunJournal(folder, attempt, writer, now.slice(0, now.indexOf(owner)));
  }

  get startedAt(): Date {
    return new Date(this.attempt.startedAt);
  }

  /** Whether there is anything that a later attempt would not have to do. */
  get hasTrials(): boolean {
    return this.#results.size > 0;
  }

  /** Waves that are kept. */
  get waves(): number {
    return this.#results.size;
  }

  /** Whether the folder is there. */
  get isKept(): boolean {
    return !this.#isDiscarded;
  }

  /** Whether a wave was begun, here or before. */
  get hasBegun(): boolean {
    return this.#hasBegun || this.#earlier.some(({ kind }) => kind === 'begin');
  }

  /**
   * Called when the data are open.
   * @param verify rejects once a file is not what it was: then nothing that was read of it is kept
   * @throws DataError naming a file that is not the run's any more
   */
  async opened(
    engine: 'local' | 'spark',
    files: readonly FileRecord[],
    verify: () => Promise<void>,
  ): Promise<void> {
    this.#verify = verify;
    const known = this.#earlier.find((record) => record.kind === 'data');
    if (known !== undefined) requireSame(known.files, files);
    else {
      const own = files.map(({ path, digest, bytes }) => ({ path, digest, bytes }));
      await this.#writer.append({ kind: 'data', engine, files: own });
    }
  }

  async divide(waves: readonly Wave[], metric: string): Promise<readonly Wave[]> {
    const known = this.#earlier.findLast((record) => record.kind === 'waves');
    if (known !== undefined) return known.waves;
    await this.#writer.append({ kind: 'waves', waves, metric });
    return waves;
  }

  known(wave: number): WaveResult | undefined {
    return this.#results.get(wave);
  }

  setAside(wave: number): string | undefined {
    const ended = endedIn(this.#earlier, wave);
    if (ended.length < MOST_ATTEMPTS) return undefined;
    return `set aside: ${ended.length} attempts (${ended.join(', ')}) ended while it trained`;
  }

  async begin(wave: number): Promise<boolean> {
    this.#began = performance.now();
    this.#hasBegun = true;
    await this.#writer.append({ kind: 'begin', wave });
    return this.#earlier.some((record) => record.kind === 'begin' && record.wave === wave);
  }

  async end(wave: number, result: WaveResult): Promise<void> {
    const seconds = (performance.now() - this.#began) / 1000;
    await this.#verify();
    await this.#writer.append({ kind: 'trials', wave, result, seconds });
    this.#results.set(wave, result);
  }

  /** A signal came. Never rejects. */
  async stopping(): Promise<void> {
    await this.#writer.append({ kind: 'state', state: 'stopping' }).catch(() => undefined);
  }

  /** Never rejects: what ended the run is worse. @param isLost contact was lost, work may go on */
  async failed(error: unknown, isLost: boolean): Promise<void> {
    const text = error instanceof Error ? error.message : String(error);
    const code = error instanceof RepriseError ? { code: error.code } : {};
    const state = isLost ? 'lost' : 'failed';
    await this.#writer
      .append({ kind: 'state', state, error: text, ...code })
      .catch(() => undefined);
  }

  /** `result.json` is there. */
  finished(isPartial: boolean): Promise<void> {
    return this.#writer.append({ kind: 'end', isPartial });
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

/** The records of a run at rest; none without a journal. @throws LockedError when a living process has it */
export async function requireFree(folder: string): Promise<Journaled[]> {
  const records = (await readJournal(folder)) ?? [];
  if (records.length === 0) return records;
  const { mtimeMs } = await stat(journalPath(folder));
  const { state, attempt } = stateOf(folder, records, mtimeMs);
  if (lives(state)) throw held(folder, attempt);
  return records;
}

function held(folder: string, { pid, host }: AttemptRecord): LockedError {
  const where = host === hostname() ? '' : ` on ${host}`;
  return new LockedError(
    `run: expected ${basename(folder)} to be at rest, got it running in process ${pid}${where}; \`reprise runs show ${basename(folder)} --follow\` watches it`,
    { pid, host },
  );
}

function thisProcess(): Pick<AttemptRecord, 'host' | 'pid' | 'token'> {
  return { host: hostname(), pid: process.pid, token: processToken() };
}

/** The document with absolute paths. */
function placedDocument({ document, data, output }: Job): unknown {
  const given = document as { readonly data: Readonly<Record<string, unknown>> };
  const isPath = given.data.path !== undefined;
  return { ...given, data: { ...given.data, ...(isPath ? { path: data.path } : {}) }, output };
}

/**
 * Attempts that ended in a wave without saying why, or because the cluster's driver ended. A machine
 * that started again, or another one, ended them itself.
 */
function endedIn(records: readonly Journaled[], wave: number): number[] {
  const ended: number[] = [];
  let own: AttemptRecord | undefined;
  let isIn = false;
  for (const record of records) {
    if (record.kind === 'run') {
      if (isIn && isSameBoot(own!.token, record.token)) ended.push(own!.attempt);
      own = record;
      isIn = false;
    } else if (record.kind === 'begin') isIn = record.wave === wave;
    else if (record.kind === 'trials') isIn = false;
    else if (record.kind === 'state' && record.code !== 'BACKEND_LOST') isIn = false;
  }
  if (isIn && isSameBoot(own!.token, processToken())) ended.push(own!.attempt);
  return ended;
}

function requireSame(then: readonly FileRecord[], now: readonly FileRecord[]): void {
  const found = new Map(now.map((file) => [file.path, file]));
  for (const { path, digest } of then) {
    const file = found.get(path);
    if (file?.digest === digest) found.delete(path);
    else throw otherData(path, file === undefined ? 'no such file' : 'other content');
  }
  for (const path of found.keys()) throw otherData(path, 'a file that was not there');
}

function otherData(path: string, got: string): DataError {
  return new DataError(
    `resume: expected ${path} as the run read it when it began, got ${got}; put the run's data back, or run the job again`,
    { path },
  );
}
