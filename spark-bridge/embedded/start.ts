/**
 * Starts and ends the embedded Spark JVM. Invariant: it never outlives this process (it watches its standard
 * input, which closes however we die), its token travels by that pipe only, and it listens on loopback only.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, ExecutionError } from '../../driver/errors.js';
import { env } from '../../driver/support/env.js';
import { makeHomeFolder } from '../../driver/support/make-folder.js';
import { DirectChannel } from '../channel/direct-channel.js';
import { createRedactor } from '../channel/redact.js';
import { buildShim, installSpark, type SetupOptions } from './install.js';
import { javaArguments, logConfiguration, sparkSettings } from './java-options.js';
import { findNativeBlasFolder, findUsableSpark, requireJava, wantedSpark } from './locations.js';

export interface EmbeddedSparkOptions extends SetupOptions {
  /** Heap of the JVM. @units bytes, default a quarter of the machine's memory, 1 to 8 GiB */
  readonly memoryBytes?: number;
  /** Tasks at a time. Default: the machine's cores. */
  readonly cores?: number;
  /** More Spark settings; they win over ours. */
  readonly conf?: Readonly<Record<string, string>>;
  /** Longest time until the shim answers. @units ms, default 120000 */
  readonly startTimeoutMs?: number;
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

const GIB = 1024 ** 3;
const CLOSE_GRACE_MS = 5_000;

/**
 * A running Spark with the shim in it; sets up what is missing first.
 * @throws ConfigError without Java (or without Maven when something must be brought), ExecutionError with the end of
 *   the log when the JVM does not come up
 */
export async function startEmbeddedSpark(
  options: EmbeddedSparkOptions = {},
): Promise<EmbeddedSpark> {
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
  const memoryBytes =
    options.memoryBytes ?? Math.min(8 * GIB, Math.max(GIB, Math.floor(totalmem() / 4)));
  if (!(memoryBytes >= 512 * 1024 * 1024)) {
    throw new ConfigError(
      `spark: expected a heap of at least 512 MiB, got ${memoryBytes} bytes; raise the memory of embedded Spark`,
      { key: 'spark.memory', value: memoryBytes },
    );
  }
  const logs = join(env.home(), 'logs');
  await makeHomeFolder(logs);
  const scratch = await mkdtemp(join(tmpdir(), 'reprise-spark-'));
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const logFile = join(logs, `spark-${stamp}-${process.pid}.log`);
  const logSettings = join(scratch, 'log4j2.properties');
  await writeFile(logSettings, logConfiguration(logFile));
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(
    java.command,
    javaArguments(java, spark.target.line, memoryBytes, [jar, join(spark.jars, '*')], logSettings),
    { stdio: ['pipe', 'pipe', log], env: childEnvironment(), cwd: scratch },
  );
  closeSync(log);
  const token = randomBytes(32).toString('hex');
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(signal ? `signal ${signal}` : `exit code ${code}`),
    );
  });
  const conf = { ...sparkSettings(cores, scratch), ...options.conf };
  const redactor = createRedactor();
  redactor.addConf(conf);
  const lastWords = (): string => redactor.scrub(logTail(logFile));
  child.stdin?.on('error', () => {});
  child.stdin?.write(`${JSON.stringify({ token, conf })}\n`);
  const end = makeEnd(child, ended, scratch);
  try {
    const port = await announcement(child, ended, logFile, options);
    unref(child);
    options.onStart?.(child.pid as number);
    const channel = new DirectChannel({
      port,
      token,
      lastWords: () => (child.exitCode === null && child.signalCode === null ? '' : lastWords()),
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
      const message = `spark: expected the Spark JVM to run, got ${why}${lastWords()}`;
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

/** The JVM finds `libblas.so.3` by this path; one BLAS thread a task, as tasks fill the cores. */
function childEnvironment(): NodeJS.ProcessEnv {
  const blas = findNativeBlasFolder();
  const { LD_LIBRARY_PATH: given } = env.forSpark();
  const path = [blas, given].filter((part) => part !== undefined && part !== '').join(delimiter);
  return {
    ...env.forSpark(),
    ...(path === '' ? {} : { LD_LIBRARY_PATH: path }),
    OPENBLAS_NUM_THREADS: '1',
    OMP_NUM_THREADS: '1',
    SPARK_LOCAL_IP: '127.0.0.1',
  };
}

function announcement(
  child: ChildProcess,
  ended: Promise<string>,
  logFile: string,
  options: EmbeddedSparkOptions,
): Promise<number> {
  const limitMs = options.startTimeoutMs ?? 120_000;
  return new Promise((resolve, reject) => {
    const fail = (got: string): void => {
      clearTimeout(timer);
      reject(
        new ExecutionError(
          `spark: expected the Spark JVM to come up within ${limitMs / 1000} s, got ${got}${logTail(logFile)}`,
          { backend: 'spark', op: 'start', logFile },
        ),
      );
    };
    const timer = setTimeout(() => fail('no answer'), limitMs);
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
): () => Promise<void> {
  let ending: Promise<void> | undefined;
  const finish = async (): Promise<void> => {
    child.ref();
    child.stdin?.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), CLOSE_GRACE_MS);
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
