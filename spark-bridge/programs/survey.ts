/**
 * What the machines of a cluster have: the BLAS of their kernels, and the files that are named by
 * paths of this machine. Invariant: no value is kept that was read on an executor whose files are
 * not known to be ours: executors that came since the last look are looked at before a result
 * counts.
 */

import { stat } from 'node:fs/promises';
import { DataError } from '../../driver/errors.js';
import { isRemote, verifyUnchanged } from '../../driver/frame/identity.js';
import type { FrameFile } from '../../driver/ir/frame-engine.js';
import type { CallOptions, Channel } from '../channel/channel.js';
import type { WireKnownFile, WireSite } from '../channel/wire.js';

export interface SurveyOptions {
  readonly channel: Channel;
  readonly newRun: () => string;
  /** As Spark names the cluster. */
  readonly master: string;
  /** Spark runs in a JVM of this machine and has no executors elsewhere: it sees what we see. */
  readonly isHere: boolean;
}

/** How long executors are waited for before that is worth a word, and how long at all. @units ms */
const PATIENCE_MS = 20_000;
const LIMIT_MS = 600_000;

export class Survey {
  readonly #options: SurveyOptions;
  /** Executors that have each file, by its path and content. */
  #having = new Map<string, Set<string>>();
  #sites = new Map<string, WireSite>();
  #isNative: boolean | undefined;

  constructor(options: SurveyOptions) {
    this.#options = options;
  }

  /** Another shim has other executors. */
  clear(): void {
    this.#having = new Map();
    this.#sites = new Map();
    this.#isNative = undefined;
  }

  /** Whether Spark computes on this machine, and has its files. */
  get isHere(): boolean {
    return this.#options.isHere;
  }

  /** Whether all who compute have a native BLAS; undefined before the first look. */
  get isNative(): boolean | undefined {
    return this.#isNative;
  }

  /** The first look, which waits for the first executors. */
  async open(onWarning?: (message: string) => void, signal?: AbortSignal): Promise<void> {
    if (this.#options.isHere) return;
    const timer = setTimeout(() => {
      onWarning?.(
        `spark: no executor of ${this.#options.master} has come yet; does the cluster have free cores and memory (spark.executor.memory)?`,
      );
    }, PATIENCE_MS);
    try {
      await this.#look([], [], signal ? { signal } : {});
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Checks that executors read the files that this machine has.
   * @param executors those that may have read them; default: all that live
   * @throws DataError naming the file, and who lacks it
   */
  async check(files: readonly FrameFile[], executors?: readonly string[]): Promise<void> {
    const local = this.#options.isHere ? [] : files.filter(({ path }) => !isRemote(path));
    if (local.length === 0) return;
    const sets = local.map((file) => this.#having.get(nameOf(file)) ?? new Set<string>());
    const known = [...sets[0]!].filter((id) => sets.every((set) => set.has(id)));
    if (known.length > 0 && executors?.every((id) => known.includes(id))) return;
    const described = await Promise.all(local.map(describe));
    for (const { executor, host, lacking } of await this.#look(described, known)) {
      const [first] = lacking;
      if (first !== undefined) {
        // A file that changed here meanwhile is told as that.
        await verifyUnchanged({ files: local });
        throw this.#missing(local, executor, host, lacking, first);
      }
      for (const file of local) this.#note(nameOf(file), executor);
    }
  }

  /** What explains an error of reading: a file that an executor lacks, else the error itself. */
  async causeOf(files: readonly FrameFile[], error: unknown): Promise<unknown> {
    try {
      await this.check(files);
    } catch (missing) {
      if (missing instanceof DataError) return missing;
    }
    return error;
  }

  /** The BLAS of the kernels. @param own what the driver says of itself, if it computes alone */
  blas(own: { readonly blas: string; readonly nativeBlas: boolean }): {
    readonly text: string;
    readonly isNative: boolean;
  } {
    const sites = this.#computing();
    if (sites.length === 0) return { text: own.blas, isNative: own.nativeBlas };
    const kinds = [...new Set(sites.map(({ blas }) => blas))];
    const text = kinds
      .map((kind) => {
        const count = sites.filter(({ blas }) => blas === kind).length;
        return kinds.length === 1 ? kind : `${kind} on ${count} of ${sites.length}`;
      })
      .join(', ');
    return { text, isNative: sites.every(({ nativeBlas }) => nativeBlas) };
  }

  /** Who computes, for people. */
  describe(): string {
    const sites = this.#computing().filter(({ executor }) => executor !== 'driver');
    if (sites.length === 0) return '';
    const hosts = new Set(sites.map(({ host }) => host)).size;
    const plural = (count: number, word: string): string =>
      `${count} ${word}${count === 1 ? '' : 's'}`;
    return `${plural(sites.length, 'executor')} on ${plural(hosts, 'machine')}`;
  }

  /** The driver computes where it is alone. */
  #computing(): WireSite[] {
    const all = [...this.#sites.values()];
    const executors = all.filter(({ executor }) => executor !== 'driver');
    return executors.length > 0 ? executors : all;
  }

  async #look(
    files: readonly WireKnownFile[],
    known: readonly string[],
    options: CallOptions = {},
  ): Promise<readonly WireSite[]> {
    const { channel, newRun } = this.#options;
    const args = { run: newRun(), files, known };
    const { result } = await channel.call('survey', args, [], { timeoutMs: LIMIT_MS, ...options });
    for (const site of result.sites) this.#sites.set(site.executor, site);
    this.#isNative = this.#computing().every(({ nativeBlas }) => nativeBlas);
    return result.sites;
  }

  #note(file: string, executor: string): void {
    const having = this.#having.get(file) ?? new Set();
    this.#having.set(file, having.add(executor));
  }

  #missing(
    files: readonly FrameFile[],
    executor: string,
    host: string,
    lacking: WireSite['lacking'],
    first: WireSite['lacking'][number],
  ): DataError {
    const path = files[first.file]?.path ?? '';
    const who = executor === 'driver' ? "Spark's driver" : `executor ${executor}`;
    const more = lacking.length > 1 ? ` (and ${lacking.length - 1} more files)` : '';
    return new DataError(
      `data: expected ${path} to be the same file on every machine of ${this.#options.master}, got ${first.got} for ${who} on ${host}${more}; put the data on storage that all of them reach (HDFS, S3, NFS), or run with --engine local`,
      { path, host, executor },
    );
  }
}

const nameOf = ({ path, digest }: FrameFile): string => `${digest} ${path}`;

async function describe({ path, bytes, digest }: FrameFile): Promise<WireKnownFile> {
  const { mtimeNs } = await stat(path, { bigint: true });
  return { path, bytes, digest, modifiedMs: Number(mtimeNs / 1_000_000n) };
}
