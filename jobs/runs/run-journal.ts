/**
 * A search that this process has, wave by wave in its run's journal. Invariant: a wave that is known
 * is never trained again.
 */
import { DataError } from '../../driver/errors.js';
import { isSameBoot, processToken } from '../../driver/support/process-token.js';
import type { Job } from '../job-file/job.js';
import type { Division, Wave, WaveLog } from '../search/wave-log.js';
import type { WaveResult } from '../search/wave-result.js';
import { beginRun, HeldRun, takeUpRun } from './held-run.js';
import type { AttemptRecord, FileRecord, Journaled } from './journal.js';
import type { EngineName } from './run-events.js';
import { wavesKept } from './run-state.js';

/** Attempts that a wave may end before it is set aside. */
const MOST_ATTEMPTS = 3;

export class RunJournal extends HeldRun implements WaveLog {
  readonly #results = wavesKept(this.earlier);
  #began = performance.now();
  #verify: () => Promise<void> = async () => undefined;
  #hasBegun = false;

  /**
   * Makes the folder of a new run.
   * @param file the job file, absolute
   * @param run its id. Default: a new one
   * @throws ResourceError when it can't be written
   */
  static async begin(
    job: Job,
    file: string,
    engine: EngineName,
    run?: string,
  ): Promise<RunJournal> {
    const { name, output } = job;
    const id = run === undefined ? {} : { run };
    const store = job.store !== null;
    const document = placedDocument(job);
    return new RunJournal(await beginRun({ name, document, output, store, file, engine, ...id }));
  }

  /**
   * Takes up a run that no process has.
   * @throws LockedError when one has it, ConfigError or DataError for a journal that can't be read
   */
  static async resume(folder: string): Promise<RunJournal> {
    return new RunJournal(await takeUpRun(folder));
  }

  /** Whether there is anything that a later attempt would not have to do. */
  get hasTrials(): boolean {
    return this.#results.size > 0;
  }

  /** Waves that are kept. */
  get waves(): number {
    return this.#results.size;
  }

  /** Whether a wave was begun, here or before. */
  get hasBegun(): boolean {
    return this.#hasBegun || this.earlier.some(({ kind }) => kind === 'begin');
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
    const known = this.earlier.find((record) => record.kind === 'data');
    if (known !== undefined) requireSame(known.files, files);
    else {
      const own = files.map(({ path, digest, bytes }) => ({ path, digest, bytes }));
      await this.append({ kind: 'data', engine, files: own });
    }
  }

  async divide({ rung, waves, metric, of }: Division): Promise<readonly Wave[]> {
    const isOfRung = (record: Journaled) => record.kind === 'waves' && (record.rung ?? 0) === rung;
    const known = this.earlier.findLast(isOfRung);
    if (known?.kind === 'waves') return known.waves;
    const trials = waves.reduce((sum, { length }) => sum + length, 0);
    const isOnly = rung === 0 && of === trials;
    await this.append({ kind: 'waves', waves, metric, ...(isOnly ? {} : { rung, of }) });
    return waves;
  }

  known(wave: number): WaveResult | undefined {
    return this.#results.get(wave);
  }

  setAside(wave: number): string | undefined {
    const ended = endedIn(this.earlier, wave);
    if (ended.length < MOST_ATTEMPTS) return undefined;
    return `set aside: ${ended.length} attempts (${ended.join(', ')}) ended while it trained`;
  }

  async begin(wave: number): Promise<boolean> {
    this.#began = performance.now();
    this.#hasBegun = true;
    await this.append({ kind: 'begin', wave });
    return this.earlier.some((record) => record.kind === 'begin' && record.wave === wave);
  }

  async end(wave: number, result: WaveResult): Promise<void> {
    const seconds = (performance.now() - this.#began) / 1000;
    await this.#verify();
    await this.append({ kind: 'trials', wave, result, seconds });
    this.#results.set(wave, result);
  }
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
