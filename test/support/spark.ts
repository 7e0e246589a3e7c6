/**
 * Embedded Spark for tests: a small heap, and a reason instead of a backend where Java or Maven is
 * missing. A JVM takes seconds to start, so suites that ask for the same one borrow it in turn.
 */
import { spawnSync } from 'node:child_process';
import { createDuckDbEngine } from '../../gpu-executor/cpu/duckdb/index.js';
import {
  createSparkBackend,
  type EmbeddedSpark,
  type EmbeddedSparkOptions,
  findJava,
  findSpark,
  type SparkBackend,
  startEmbeddedSpark,
} from '../../spark-bridge/index.js';
import { farStorage } from './far-storage.js';

/**
 * Settings under which small data are many chunks, of uneven ends. Suites say one of these or none:
 * a JVM that is new to a worker costs some 15 s of processor time, its first jobs counted in.
 */
export const SMALL_CHUNKS: Readonly<Record<string, string>> = { 'spark.reprise.chunkRows': '700' };
export const TINY_CHUNKS: Readonly<Record<string, string>> = { 'spark.reprise.chunkRows': '100' };

/** Most JVMs that wait for the next suite. */
const MAX_IDLE = 3;

let missing: { readonly why: string | undefined } | undefined;

/** Why this machine can't run embedded Spark; undefined when it can. */
export function sparkMissing(): string | undefined {
  missing ??= { why: whatIsMissing() };
  return missing.why;
}

function whatIsMissing(): string | undefined {
  if (findJava() === undefined) return 'no Java; install a JDK 17';
  if (findSpark() !== undefined) return undefined;
  const maven = spawnSync('mvn', ['--version'], { timeout: 60_000 }).status === 0;
  return maven ? undefined : 'no Spark and no Maven to bring it';
}

/** Running JVMs nobody uses now, by their options; the one that waits longest is first. */
const idle: { readonly key: string; readonly embedded: EmbeddedSpark }[] = [];

/** A JVM that one suite uses at a time. Ends with this process, or when others need it more. */
export interface BorrowedSpark {
  readonly embedded: EmbeddedSpark;
  readonly giveBack: () => Promise<void>;
}

/** @returns the reason if this machine can't run it. Sets up what is missing, which is slow */
export async function borrowSpark(
  options: Pick<EmbeddedSparkOptions, 'memoryBytes' | 'cores' | 'conf'> = {},
): Promise<BorrowedSpark | string> {
  const why = sparkMissing();
  if (why !== undefined) return why;
  const conf = { ...farStorage, ...options.conf };
  const full = { memoryBytes: 1024 ** 3, cores: 2, ...options, conf };
  const key = JSON.stringify(full);
  const at = idle.findIndex((one) => one.key === key && !one.embedded.lost.aborted);
  const embedded = at < 0 ? await startEmbeddedSpark(full) : idle.splice(at, 1)[0]!.embedded;
  const giveBack = async (): Promise<void> => {
    if (embedded.lost.aborted || idle.some((one) => one.embedded === embedded)) return;
    // What the suite left in Spark's storage is not the next one's.
    const { channel } = embedded;
    const { handles } = (await channel.call('storage', {})).result;
    await channel.call('unpersist', { handles: handles.map(({ handle }) => handle) });
    idle.push({ key, embedded });
    if (idle.length > MAX_IDLE) await idle.shift()?.embedded.close();
  };
  return { embedded, giveBack };
}

/** A backend on a borrowed Spark, given back when the backend is closed, or why there is none. */
export async function createTestSpark(
  options: Pick<EmbeddedSparkOptions, 'memoryBytes' | 'cores' | 'conf'> = {},
): Promise<SparkBackend | string> {
  const borrowed = await borrowSpark(options);
  if (typeof borrowed === 'string') return borrowed;
  const { embedded, giveBack } = borrowed;
  const { sql } = createDuckDbEngine();
  return createSparkBackend({ channel: embedded.channel, onClose: giveBack, sql });
}
