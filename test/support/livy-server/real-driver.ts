/**
 * Real Spark drivers for the Livy test server: statements of a session go to a JVM with the real
 * shim, and a batch is the real application. A driver that ends makes its session dead, with the
 * driver's output as the log; a session that ends takes its driver along.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../../driver/support/package-root.js';
import { archivedClasses } from '../../../spark-bridge/embedded/class-archive.js';
import { buildShim, installSpark } from '../../../spark-bridge/embedded/install.js';
import {
  javaArguments,
  logConfiguration,
  sparkSettings,
} from '../../../spark-bridge/embedded/java-options.js';
import {
  findNativeBlasFolder,
  type JavaInstallation,
  requireJava,
} from '../../../spark-bridge/embedded/locations.js';
import type { SparkLine } from '../../../spark-bridge/embedded/spark-lines.js';
import { type Evaluator, endSession, type TestSession } from './sessions.js';

const HEAP_BYTES = 1024 ** 3;
const source = join(packageRoot(), 'test', 'support', 'livy-server', 'StatementsConsole.java');

export interface RealDrivers {
  readonly evaluator: Evaluator;
  /** Runs a batch's application. */
  readonly launch: (session: TestSession) => void;
}

/** Sets up what is missing; JVMs are started by the sessions. @param conf more Spark settings */
export async function realDrivers(
  conf: Readonly<Record<string, string>> = {},
): Promise<RealDrivers> {
  const spark = await installSpark();
  const jar = await buildShim({ target: spark.target });
  const java = requireJava(spark.target.line);
  const classes = await archivedClasses(java, spark, jar);
  const classPath = [jar, join(spark.jars, '*')];
  const start = (session: TestSession, program: readonly string[], path: readonly string[]) =>
    startDriver(session, java, spark.target.line, [...classes, ...program], path, conf);
  return {
    evaluator: async (code, { session }) => {
      const path = [...classPath, compiled(java.command, classPath)];
      const known = session.driver.get('ask') as ((code: string) => Promise<string>) | undefined;
      const ask = known ?? openConsole(start(session, ['StatementsConsole'], path));
      session.driver.set('ask', ask);
      const [word, text = ''] = (await ask(code)).split(' ');
      const said = Buffer.from(text, 'base64').toString('utf8');
      return word === 'OK' ? { text: said } : { error: said };
    },
    launch: (session) => {
      const { file, className, args } = session.request as {
        readonly file: string;
        readonly className: string;
        readonly args: readonly string[];
      };
      const path = [new URL(file).pathname, join(spark.jars, '*')];
      const child = start(session, [className, ...args], path);
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) =>
        session.log.push(line),
      );
    },
  };
}

let folder: string | undefined;

/** A folder with the class of the console, compiled once a process. */
function compiled(java: string, classPath: readonly string[]): string {
  if (folder !== undefined) return folder;
  const made = mkdtempSync(join(tmpdir(), 'reprise-console-'));
  process.once('exit', () => rmSync(made, { recursive: true, force: true }));
  const args = ['-J-XX:TieredStopAtLevel=1', '-cp', classPath.join(delimiter), '-d', made, source];
  const { status, stderr } = spawnSync(java.replace(/java$/, 'javac'), args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`expected javac to compile the console, got ${stderr}`);
  folder = made;
  return made;
}

/** The process of a session's driver. */
export function driverPid(session: TestSession | undefined): number {
  const child = session?.driver.get('child') as ChildProcess | undefined;
  if (child?.pid === undefined) throw new Error('the session has no driver');
  return child.pid;
}

function startDriver(
  session: TestSession,
  java: JavaInstallation,
  line: SparkLine,
  program: readonly string[],
  classPath: readonly string[],
  conf: Readonly<Record<string, string>>,
): ChildProcess {
  const scratch = mkdtempSync(join(tmpdir(), 'reprise-livy-driver-'));
  const logSettings = join(scratch, 'log4j2.properties');
  writeFileSync(logSettings, logConfiguration(join(scratch, 'spark.log')));
  const settings = { ...sparkSettings(2, scratch), ...conf };
  const options = javaArguments(java, line, HEAP_BYTES, classPath, logSettings).slice(0, -1);
  const given = Object.entries(settings).map(([key, value]) => `-D${key}=${value}`);
  const blas = findNativeBlasFolder();
  const path = [blas, process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter);
  const child = spawn(java.command, [...given, ...options, ...program], {
    stdio: ['pipe', 'pipe', 'pipe'],
    cwd: scratch,
    env: {
      ...process.env,
      LD_LIBRARY_PATH: path,
      OPENBLAS_NUM_THREADS: '1',
      SPARK_LOCAL_IP: '127.0.0.1',
    },
  });
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) =>
    session.log.push(line),
  );
  child.stdin?.on('error', () => {});
  session.driver.set('child', child);
  session.onEnd.add(() => child.kill('SIGKILL'));
  // `close`: after its last words were read.
  child.once('close', (code, signal) => {
    rmSync(scratch, { recursive: true, force: true });
    session.log.push(`driver ended: ${signal ?? `exit code ${code}`}`);
    if (session.state !== 'dead') endSession(session, code === 0 ? 'success' : 'dead');
  });
  return child;
}

/** Asks one statement at a time, as the test server does. */
function openConsole(child: ChildProcess): (code: string) => Promise<string> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const answers: AsyncIterator<string> = lines[Symbol.asyncIterator]();
  let ready: Promise<unknown> | undefined;
  return async (code) => {
    ready ??= answers.next();
    await ready;
    child.stdin?.write(`${Buffer.from(code, 'utf8').toString('base64')}\n`);
    const { value, done } = await answers.next();
    if (done) {
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      throw new Error('the driver has ended');
    }
    return value;
  };
}
