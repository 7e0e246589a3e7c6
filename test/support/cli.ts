/** Runs the command line as users do: the built program as a process, streams and exit code. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../driver/support/package-root.js';

export const cliPath = join(packageRoot(), 'dist/jobs/cli/main.js');

/** Where programs run that name no folder: an empty one, so that tests never read their own. */
export const elsewhere = mkdtempSync(join(tmpdir(), 'reprise-cwd-'));
process.on('exit', () => rmSync(elsewhere, { recursive: true, force: true }));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** Default: `elsewhere`. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called once the process runs; for signals. */
  readonly onStart?: (child: ChildProcess) => void;
  /** Called with what standard error holds so far, whenever it grows. */
  readonly onStderr?: (stderr: string, child: ChildProcess) => void;
}

/** Runs `reprise ...args` to its end. */
export function reprise(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cliPath, ...args], {
      cwd: options.cwd ?? elsewhere,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      options.onStderr?.(stderr, child);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    options.onStart?.(child);
  });
}
