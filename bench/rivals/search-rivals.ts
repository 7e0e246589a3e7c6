/**
 * Rivals that search penalty by penalty until they are done or their time is over. Each is a process group of its own, ended
 * as a whole at the limit; what it had printed by then counts. Time runs from the start of the process, data included.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { ExecutionError } from '../../driver/errors.js';
import { baselineHome, benchFile, rivalPython, rivalScript } from '../paths.js';

export interface SearchLimits {
  readonly folds: number;
  readonly trials: number;
  readonly rows: number;
  readonly columns: number;
  /** @units seconds */
  readonly limitSeconds: number;
}

export interface SearchProgress {
  /** Mean squared error of each penalty that was finished, in order. */
  readonly losses: readonly number[];
  /** From the start of the process to the last finished penalty, or to the limit without one. @units seconds */
  readonly seconds: number;
  /** From the start of the process until the data were in memory. @units seconds */
  readonly dataSeconds: number;
}

/** MLlib's CrossValidator over the Parquet files. @throws ExecutionError when it ends by itself without an answer */
export async function runMllibUntil(folder: string, limits: SearchLimits): Promise<SearchProgress> {
  const scratch = mkdtempSync(join(tmpdir(), 'reprise-mllib-'));
  const argv = [
    `folder=${folder}`,
    `k=${limits.folds}`,
    `nreg=${limits.trials}`,
    `scratch=${scratch}`,
  ];
  try {
    return await until(
      'mllib',
      rivalPython(),
      [benchFile('rivals/mllib-search.py'), ...argv],
      scratch,
      limits,
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** SystemDS with multi-level reuse, on rows of the same shape that it generates itself, on this machine or Spark as it decides. */
export async function runSystemDsUntil(limits: SearchLimits): Promise<SearchProgress> {
  rivalPython();
  const scratch = mkdtempSync(join(tmpdir(), 'reprise-systemds-'));
  const named = [
    `rows=${limits.rows}`,
    `cols=${limits.columns}`,
    `k=${limits.folds}`,
    `nreg=${limits.trials}`,
  ];
  const argv = ['hybrid', 'reuse_multilevel', benchFile('rivals/search.dml'), '-nvargs', ...named];
  try {
    return await until('systemds', 'bash', [rivalScript('sds.sh'), ...argv], scratch, limits);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function until(
  name: string,
  command: string,
  argv: readonly string[],
  cwd: string,
  limits: SearchLimits,
): Promise<SearchProgress> {
  const start = performance.now();
  const elapsed = (): number => (performance.now() - start) / 1000;
  const child = spawn(command, argv, {
    cwd,
    detached: true,
    env: { ...process.env, BASELINES_HOME: baselineHome(), PYSPARK_PYTHON: rivalPython() },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const losses: number[] = [];
  let seconds = 0;
  let dataSeconds = 0;
  let isOver = false;
  let tail = '';
  const note = (line: string): void => {
    tail = `${tail}${line}\n`.slice(-3000);
    const [word, , loss] = line.split(' ');
    if (isOver) return;
    if (word === 'DATA') dataSeconds = elapsed();
    if (word !== 'PENALTY') return;
    losses.push(Number(loss));
    seconds = elapsed();
  };
  createInterface({ input: child.stdout }).on('line', note);
  createInterface({ input: child.stderr }).on('line', note);
  const endGroup = (): void => {
    isOver = true;
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // All of it has ended.
    }
  };
  const timer = setTimeout(endGroup, limits.limitSeconds * 1000);
  process.once('exit', endGroup);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearTimeout(timer);
  process.removeListener('exit', endGroup);
  if (!isOver && losses.length < limits.trials) {
    throw new ExecutionError(
      `${name}: expected ${limits.trials} penalties or the end of its time, got exit code ${code} after ${losses.length}\n${tail}`.trimEnd(),
      { op: 'search', backend: name },
    );
  }
  return { losses, seconds: losses.length > 0 ? seconds : limits.limitSeconds, dataSeconds };
}
