/**
 * A rival's Python script in a process that stays up between runs (`script-server.py`). Owns that
 * process: `close` ends it, and it ends by itself when the bench dies, since its standard input
 * closes.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ExecutionError } from '../../driver/errors.js';
import { baselineHome, benchFile, rivalPython, rivalScript } from '../paths.js';

export interface RivalRun {
  /** Compute time the script itself reports: data in memory, imports done. @units seconds */
  readonly seconds: number;
  /** One row per configuration, as the script writes them. */
  readonly answers: readonly (readonly number[])[];
}

type Reply = RivalRun | { readonly error: string };

export class PythonRival {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: ((reply: Reply) => void)[] = [];
  #stderrTail = '';
  #runs = 0;

  /**
   * @param threads BLAS threads; undefined: the libraries' choice (joblib: one per worker)
   * @param python default: that of the baselines
   */
  constructor(threads: number | undefined, python = rivalPython()) {
    const environment: NodeJS.ProcessEnv = { ...process.env, BASELINES_HOME: baselineHome() };
    for (const name of ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS']) {
      if (threads === undefined) delete environment[name];
      else environment[name] = String(threads);
    }
    environment.PYSPARK_PYTHON = rivalPython();
    this.#child = spawn(python, [benchFile('rivals/script-server.py')], {
      env: environment,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#stderrTail = (this.#stderrTail + chunk.toString()).slice(-4000);
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#waiting.shift()?.(JSON.parse(line) as Reply);
    });
    this.#child.on('close', (code) => {
      for (const answer of this.#waiting.splice(0)) {
        answer({ error: `the process ended with code ${code}\n${this.#stderrTail}` });
      }
    });
  }

  /** Runs a script of the baselines folder, or an absolute path. @throws ExecutionError */
  async run(script: string, argv: readonly string[]): Promise<RivalRun> {
    const request = {
      script: rivalScript(script),
      argv,
      out: join(tmpdir(), `reprise-rival-${process.pid}-${this.#child.pid}-${this.#runs++}.csv`),
    };
    const reply = await new Promise<Reply>((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    });
    if ('error' in reply) {
      throw new ExecutionError(
        `${script}: expected a RESULT line, got an error\n${reply.error}`.trimEnd(),
        {
          op: script,
          backend: 'rival',
        },
      );
    }
    return reply;
  }

  /** Ends the process. Idempotent. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.stdin.end();
    await ended;
  }
}
