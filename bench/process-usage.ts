/**
 * Runs a command as a user would and measures the whole process tree: wall time, and peak resident
 * memory from the kernel's high-water marks (`VmHWM`), read every 100 ms. A mark only grows, so at
 * most the last 100 ms are missed. On systems without /proc the memory is NaN.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ExecutionError } from '../driver/errors.js';
import { repoRoot } from './paths.js';

export interface Usage {
  readonly stdout: string;
  /** From start of the process to its end. @units seconds */
  readonly seconds: number;
  /** High-water mark of the process started. @units MiB */
  readonly peakMib: number;
  /** The sum for the process and all it started (a JVM): an upper bound. @units MiB */
  readonly treePeakMib: number;
}

const SAMPLE_MS = 100;

/**
 * @param env set beside this process's own
 * @throws ExecutionError with the end of standard error when the command ends with another code
 *   than 0
 */
export function measureProcess(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Usage> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    const marks = new Map<number, number>();
    const look = (): void => {
      for (const pid of processTree(child.pid!)) {
        const mark = highWaterMib(pid);
        if (mark !== undefined) marks.set(pid, mark);
      }
    };
    const timer = setInterval(look, SAMPLE_MS);
    let stdout = '';
    let stderrTail = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      look();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderrTail = (stderrTail + chunk.toString()).slice(-3000);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(timer);
      const seconds = (performance.now() - start) / 1000;
      if (code !== 0) {
        const shown = [command, ...args].join(' ');
        reject(
          new ExecutionError(
            `bench: expected exit code 0 of \`${shown}\`, got ${code}\n${stderrTail}`.trimEnd(),
            { op: 'bench', code },
          ),
        );
        return;
      }
      const treePeakMib = marks.size === 0 ? Number.NaN : sum([...marks.values()]);
      resolve({ stdout, seconds, peakMib: marks.get(child.pid!) ?? Number.NaN, treePeakMib });
    });
  });
}

/** `reprise run --json` of this checkout, as `measureProcess`. */
export function measureRun(
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
): Promise<Usage> {
  const program = join(repoRoot(), 'dist/jobs/cli/main.js');
  return measureProcess(process.execPath, [program, 'run', '--json', ...args], env);
}

/** The process and everything below it. */
function processTree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of listProc()) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const stat = readProc(`/proc/${pid}/stat`);
    // The command name stands in parentheses and may hold spaces; the parent follows the state
    // after it.
    const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    if (parent !== undefined) parents.set(pid, Number(parent));
  }
  const tree = [root];
  for (let i = 0; i < tree.length; i++) {
    for (const [pid, parent] of parents) if (parent === tree[i]) tree.push(pid);
  }
  return tree;
}

function highWaterMib(pid: number): number | undefined {
  const line = readProc(`/proc/${pid}/status`)?.match(/^VmHWM:\s+(\d+) kB$/m);
  return line ? Number(line[1]) / 1024 : undefined;
}

function listProc(): string[] {
  try {
    return readdirSync('/proc');
  } catch {
    return [];
  }
}

/** Undefined when the process has ended in the meantime. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
