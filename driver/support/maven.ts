/**
 * Runs the user's Maven to bring artefacts from whatever repository or mirror it is set up for; no
 * registry's address stands in this project. Used by the set-up of the local backend (OpenBLAS) and
 * of embedded Spark.
 */
import { spawn } from 'node:child_process';
import { ConfigError, ExecutionError } from '../errors.js';
import { env } from './env.js';

export interface MavenOptions {
  readonly cwd?: string;
  /** Called with each line Maven prints, for progress. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Runs `mvn --batch-mode ...args`.
 * @throws ConfigError when Maven is not installed, ExecutionError with the last lines when it ends
 *   badly
 */
export function runMaven(args: readonly string[], options: MavenOptions = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('mvn', ['--batch-mode', '--no-transfer-progress', ...args], {
      cwd: options.cwd,
      // Its settings may name any variable as the password of a mirror.
      env: env.forChild(),
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.signal ? { signal: options.signal } : {}),
    });
    const tail: string[] = [];
    let rest = '';
    const take = (chunk: Buffer): void => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        tail.push(line);
        if (tail.length > 40) tail.shift();
        options.onLine?.(line);
      }
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', (cause: NodeJS.ErrnoException) => {
      reject(
        cause.code === 'ENOENT'
          ? new ConfigError(
              'maven: expected `mvn` on the PATH, found none; install Maven 3.8 or later',
              {
                key: 'PATH',
              },
            )
          : cause,
      );
    });
    child.on('close', (code) => {
      if (code === 0) resolve();
      else {
        const errors = tail.filter((line) => line.includes('ERROR')).slice(0, 6);
        reject(
          new ExecutionError(
            `maven: expected exit code 0, got ${code}\n${(errors.length ? errors : tail.slice(-8)).join('\n')}`,
            {
              backend: 'setup',
              op: 'mvn',
            },
          ),
        );
      }
    });
  });
}
