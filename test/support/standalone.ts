/**
 * A standalone cluster of Spark on loopback, from the jars of embedded Spark: a master and workers
 * of one core, each a JVM of its own. A worker may have another view of the file system, as one on
 * another machine has.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { installSpark } from '../../spark-bridge/embedded/install.js';
import { javaOptions } from '../../spark-bridge/embedded/java-options.js';
import { requireJava } from '../../spark-bridge/embedded/locations.js';

export interface StandaloneOptions {
  /** Shell commands in a mount namespace of the second worker's own, before it starts. */
  readonly secondView?: string;
}

export interface StandaloneCluster {
  /** `spark://127.0.0.1:PORT` */
  readonly master: string;
  /** Names of the applications that the master knows as running. */
  applications(): Promise<string[]>;
  close(): Promise<void>;
}

const MEMORY = '900m';

export async function startStandalone(options: StandaloneOptions = {}): Promise<StandaloneCluster> {
  const spark = await installSpark();
  const java = requireJava(spark.target.line);
  const home = mkdtempSync(join(tmpdir(), 'reprise-standalone-'));
  // Executors are started from SPARK_HOME/jars.
  mkdirSync(join(home, 'work'));
  symlinkSync(spark.jars, join(home, 'jars'));
  const children: ChildProcess[] = [];
  const env = {
    ...process.env,
    SPARK_HOME: home,
    SPARK_SCALA_VERSION: spark.target.scala,
    SPARK_LOCAL_IP: '127.0.0.1',
  };
  const jvm = javaOptions(java, spark.target.line, '', 256 * 1024 ** 2).filter(
    (option) => !option.startsWith('-Dlog4j2'),
  );
  const start = (words: readonly string[], view?: string): ChildProcess => {
    const line = [java.command, ...jvm, '-cp', join(spark.jars, '*'), ...words];
    const [command = '', ...args] =
      view === undefined
        ? line
        : ['unshare', '--mount', 'sh', '-c', `${view} && exec "$@"`, 'sh', ...line];
    const child = spawn(command, args, { env, cwd: home, stdio: ['ignore', 'ignore', 'pipe'] });
    children.push(child);
    return child;
  };
  const close = async (): Promise<void> => {
    const ends = children.map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(ends);
    rmSync(home, { recursive: true, force: true });
  };
  try {
    const main = 'org.apache.spark.deploy.master.Master';
    const said = await saying(
      start([main, '--host', '127.0.0.1', '--port', '0', '--webui-port', '0']),
      [/Starting Spark master at (spark:\S+)/, /MasterWebUI.*started at (http:\S+)/],
    );
    const [master = '', page = ''] = said;
    const worker = ['org.apache.spark.deploy.worker.Worker', '--host', '127.0.0.1'];
    const size = ['--cores', '1', '--memory', MEMORY, '--webui-port', '0'];
    const workers = [undefined, options.secondView].map((view, i) =>
      start([...worker, ...size, '--work-dir', join(home, 'work', String(i)), master], view),
    );
    await Promise.all(workers.map((child) => saying(child, [/Successfully (registered) with/])));
    return {
      master,
      applications: async () => {
        const state = (await (await fetch(`${page}/json/`)).json()) as {
          activeapps: { name: string }[];
        };
        return state.activeapps.map(({ name }) => name);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What the first group of each pattern matched in a process's log. */
function saying(child: ChildProcess, patterns: readonly RegExp[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const found: string[] = [];
    const tail: string[] = [];
    const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream });
    lines.on('line', (line) => {
      tail.push(line);
      if (tail.length > 20) tail.shift();
      patterns.forEach((pattern, i) => {
        const match = pattern.exec(line)?.[1];
        if (match !== undefined) found[i] ??= match;
      });
      if (patterns.every((_, i) => found[i] !== undefined)) resolve(found);
    });
    child.once('error', reject);
    child.once('exit', (code) =>
      reject(new Error(`expected it to run, got exit code ${code}:\n${tail.join('\n')}`)),
    );
  });
}
