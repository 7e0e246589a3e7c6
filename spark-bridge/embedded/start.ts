/**
 * Starts and ends the JVM of the shim: embedded Spark, or the driver of a cluster's application
 * that `spark-submit` runs on this machine. Invariant: it never outlives this process (it watches
 * its standard input, which closes however we die), its token travels by that pipe only, and it
 * listens on loopback only.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, ExecutionError } from '../../driver/errors.js';
import { env } from '../../driver/support/env.js';
import { makeOwnFolder, SCRATCH, sweepOld } from '../../driver/support/leftovers.js';
import { makeHomeFolder } from '../../driver/support/make-folder.js';
import { memoryShares } from '../../driver/support/memory.js';
import { formatBytes } from '../../driver/support/size.js';
import { DirectChannel } from '../channel/direct-channel.js';
import { createRedactor } from '../channel/redact.js';
import { requireSubmit, type SubmitOptions, submitLaunch } from '../submit/launch.js';
import { archivedClasses } from './class-archive.js';
import { buildShim, installSpark, type SparkSetupOptions } from './install.js';
import { javaArguments, logConfiguration, sparkSettings } from './java-options.js';
import { type Launch, type LaunchParts, shimEnvironment } from './launch.js';
import { findUsableSpark, requireJava, wantedSpark } from './locations.js';

export interface EmbeddedSparkOptions extends SparkSetupOptions {
  /** Heap of the JVM. @units bytes, default its share of the process's */
  readonly memoryBytes?: number;
  /** Tasks at a time. Default: the machine's cores. */
  readonly cores?: number;
  /** More Spark settings; they win over ours. */
  readonly conf?: Readonly<Record<string, string>>;
  /** Runs on this cluster, by `spark-submit` in client mode. Default: in the JVM itself. */
  readonly submit?: SubmitOptions;
  /** Longest time until the shim answers. @units ms, default 120000 */
  readonly startTimeoutMs?: number;
  /** File that the JVM writes its classes to as it ends; see `class-archive.ts`. */
  readonly recordClasses?: string;
  /** Called when a JVM has begun to start, which takes seconds. */
  readonly onSpawned?: () => void;
  /** Told the process id of each JVM that is up. */
  readonly onStart?: (pid: number) => void;
  /** Told when a JVM has ended and another one is started in its place. */
  readonly onWarning?: (message: string) => void;
}

export interface EmbeddedSpark {
  readonly channel: DirectChannel;
  readonly pid: number;
  /** Where the shim listens on loopback. */
  readonly port: number;
  readonly logFile: string;
  /** Fires, with the error as its reason, when the JVM has ended and we did not end it. */
  readonly lost: AbortSignal;
  /** Declares it lost. */
  over(why: string): Promise<void>;
  /** Ends the JVM and waits until it is gone. Idempotent. */
  close(): Promise<void>;
}

const CLOSE_GRACE_MS = 5_000;
const RECORD_GRACE_MS = 120_000;
const OLD_LOGS = { days: 30, newest: 20 };

/**
 * A running Spark with the shim in it; sets up what is missing first.
 * @throws ConfigError without Java (or without Maven when something must be brought),
 *   ExecutionError with the end of the log when the JVM does not come up
 */
export async function startEmbeddedSpark(
  options: EmbeddedSparkOptions = {},
): Promise<EmbeddedSpark> {
  if (options.submit !== undefined) requireSubmit(options.submit.master);
  if (env.sparkHome() === undefined) {
    // Said before anything is brought for it.
    const { line, because } = wantedSpark();
    requireJava(line);
    if (because !== undefined) options.onWarning?.(`spark: ${because}`);
  } else if (options.sparkHome === 'optional') {
    const { passedOver } = findUsableSpark();
    if (passedOver !== undefined) options.onWarning?.(`${passedOver}; passing it over`);
  }
  const spark = await installSpark(options);
  const java = requireJava(spark.target.line);
  const jar = await buildShim({ ...options, target: spark.target });
  const cores = options.cores ?? availableParallelism();
  const memoryBytes = options.memoryBytes ?? memoryShares().heapBytes;
  if (!(memoryBytes >= 512 * 1024 * 1024)) {
    throw new ConfigError(
      `spark: expected a heap of at least 512 MiB, got ${formatBytes(memoryBytes)}; set REPRISE_MEMORY to at least 1.3 GiB, of which it has 40%, or run with --engine local`,
      { key: 'spark.memory', value: memoryBytes },
    );
  }
  const logs = join(env.home(), 'logs');
  await makeHomeFolder(logs);
  await sweepOld(logs, (name) => /^spark-.*\.log$/.test(name), OLD_LOGS);
  const scratch = await makeOwnFolder(tmpdir(), SCRATCH.spark);
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const logFile = join(logs, `spark-${stamp}-${process.pid}.log`);
  const logSettings = join(scratch, 'log4j2.properties');
  await writeFile(logSettings, logConfiguration(logFile));
  const log = openSync(logFile, 'a', 0o600);
  const { conf: given = {}, recordClasses } = options;
  const classes =
    recordClasses === undefined
      ? await archivedClasses(java, spark, jar)
      : [`-XX:ArchiveClassesAtExit=${recordClasses}`, '-XX:TieredStopAtLevel=1'];
  const parts = { java, spark, jar, memoryBytes, cores, scratch, logSettings, given };
  const { command, args, conf, ...place } =
    options.submit === undefined
      ? embeddedLaunch(parts, classes)
      : submitLaunch(options.submit, parts);
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', log], ...place });
  closeSync(log);
  const token = randomBytes(32).toString('hex');
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(signal ? `signal ${signal}` : `exit code ${code}`),
    );
  });
  const redactor = createRedactor();
  redactor.addConf(conf);
  const exitDetails = (): string => redactor.scrub(logTail(logFile));
  child.stdin?.on('error', () => {});
  child.stdin?.write(`${JSON.stringify({ token, conf })}\n`);
  options.onSpawned?.();
  // What a JVM with no settings but ours has on disk lies in `scratch`: nothing is lost by a kill,
  // and Spark takes half a second to stop. Settings may name an event log, or other machines.
  const isOurs = options.submit === undefined && Object.keys(given).length === 0;
  const way = isOurs ? 'kill' : 'close';
  const end = makeEnd(child, ended, scratch, recordClasses === undefined ? way : 'record');
  try {
    const port = await announcement(child, ended, exitDetails, options);
    unref(child);
    options.onStart?.(child.pid as number);
    const channel = new DirectChannel({
      port,
      token,
      exitDetails: () =>
        child.exitCode === null && child.signalCode === null ? '' : exitDetails(),
      // A killed process resets its connections before it is known to have ended.
      onUnreachable: async () => {
        await Promise.race([ended, sleep(2000)]);
      },
    });
    const lost = new AbortController();
    const heap = Math.floor(memoryBytes / 1024 ** 2);
    let isClosing = false;
    const over = async (why: string): Promise<void> => {
      if (isClosing) return;
      const message = `spark: expected the Spark JVM to run, got ${why}${exitDetails()}`;
      lost.abort(new ExecutionError(message, { backend: 'spark', logFile }));
    };
    void ended.then((how) => {
      // `ExitOnOutOfMemoryError` says so by this code alone.
      const why = how === 'exit code 3' ? `an OutOfMemoryError of its ${heap} MiB heap` : how;
      return over(`its end by ${why}`);
    });
    return {
      channel,
      pid: child.pid as number,
      port,
      logFile,
      lost: lost.signal,
      over,
      close: async () => {
        isClosing = true;
        await channel.close();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

function embeddedLaunch(parts: LaunchParts, classes: readonly string[]): Launch {
  const { java, spark, memoryBytes, jar, logSettings, cores, scratch, given } = parts;
  const path = [jar, join(spark.jars, '*')];
  return {
    command: java.command,
    args: [
      ...classes,
      // Libraries that are unpacked to be loaded.
      `-Djava.io.tmpdir=${scratch}`,
      ...javaArguments(java, spark.target.line, memoryBytes, path, logSettings),
    ],
    env: shimEnvironment(true),
    cwd: scratch,
    conf: { ...sparkSettings(cores, scratch), ...given },
  };
}

function announcement(
  child: ChildProcess,
  ended: Promise<string>,
  exitDetails: () => string,
  options: EmbeddedSparkOptions,
): Promise<number> {
  // A cluster may let an application wait in a queue.
  const limitMs = options.startTimeoutMs ?? (options.submit === undefined ? 120_000 : 600_000);
  return new Promise((resolve, reject) => {
    const fail = (got: string): void => {
      clearTimeout(timer);
      reject(
        new ExecutionError(
          `spark: expected the Spark JVM to come up within ${limitMs / 1000} s, got ${got}${exitDetails()}`,
          { backend: 'spark', op: 'start' },
        ),
      );
    };
    const timer = setTimeout(() => fail('no answer'), limitMs);
    if (options.signal?.aborted) fail('a cancellation');
    options.signal?.addEventListener('abort', () => fail('a cancellation'), { once: true });
    ended.then(fail, fail);
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => {
      if (!line.startsWith('REPRISE-SHIM ')) return;
      clearTimeout(timer);
      const { port } = JSON.parse(line.slice('REPRISE-SHIM '.length)) as { port: number };
      resolve(port);
    });
  });
}

/** The JVM must not keep this process alive: it ends by itself when we do. */
function unref(child: ChildProcess): void {
  child.unref();
  for (const stream of [child.stdin, child.stdout]) {
    (stream as unknown as { unref?: () => void } | null)?.unref?.();
  }
}

function makeEnd(
  child: ChildProcess,
  ended: Promise<string>,
  scratch: string,
  way: 'kill' | 'close' | 'record',
): () => Promise<void> {
  let ending: Promise<void> | undefined;
  // One that is stopped does not see that its standard input closed.
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  void ended.then(() => process.off('exit', kill));
  const finish = async (): Promise<void> => {
    child.ref();
    if (way === 'kill') kill();
    // Without its standard input the JVM gives itself no time to write.
    else if (way === 'record') child.kill('SIGTERM');
    else child.stdin?.end();
    const timer = setTimeout(kill, way === 'record' ? RECORD_GRACE_MS : CLOSE_GRACE_MS);
    await ended;
    clearTimeout(timer);
    await rm(scratch, { recursive: true, force: true });
  };
  return () => {
    ending ??= finish();
    return ending;
  };
}

/** The last lines of the log, for messages. */
export function logTail(file: string): string {
  if (!existsSync(file)) return '';
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n').slice(-12);
  return lines.join('').trim() === ''
    ? `; see ${file}`
    : `; the end of ${file}:\n${lines.join('\n')}`;
}
