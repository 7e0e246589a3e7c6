/**
 * Rivals that search penalty by penalty until they are done or their time is over. Each is a
 * process group of its own, ended as a whole at the limit; what it had printed by then counts, also
 * when it ended by an error. Time runs from the start of the process, data included. All a rival
 * leaves on disk is in one folder, which goes with it.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
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
  /** From the process's start to the last finished penalty, or to the limit. @units seconds */
  readonly seconds: number;
  /** From the start of the process until the data were in memory. @units seconds */
  readonly dataSeconds: number;
  /** Why it ended before its work and its time did, with the end of what it printed. */
  readonly failure?: string;
}

/** Twice what ours has; all of it is theirs while they run. @units GiB */
const RIVAL_HEAP_GIB = 14;

/** MLlib's CrossValidator over the Parquet files. */
export function runMllibUntil(folder: string, limits: SearchLimits): Promise<SearchProgress> {
  return inScratch('mllib', (scratch) => {
    const argv = [
      `folder=${folder}`,
      `k=${limits.folds}`,
      `nreg=${limits.trials}`,
      `scratch=${scratch}`,
      `heap=${RIVAL_HEAP_GIB}g`,
    ];
    const script = benchFile('rivals/mllib-search.py');
    return until(rivalPython(), [script, ...argv], scratch, {}, limits);
  });
}

/** SystemDS with multi-level reuse on generated rows of equal shape; it chooses here or Spark. */
export function runSystemDsUntil(limits: SearchLimits): Promise<SearchProgress> {
  rivalPython();
  const named = [
    `rows=${limits.rows}`,
    `cols=${limits.columns}`,
    `k=${limits.folds}`,
    `nreg=${limits.trials}`,
  ];
  const argv = ['hybrid', 'reuse_multilevel', benchFile('rivals/search.dml'), '-nvargs', ...named];
  return inScratch('systemds', (scratch) => {
    const home = { BASELINES_HOME: systemDsHome(scratch), HEAP: `${RIVAL_HEAP_GIB}g` };
    return until('bash', [rivalScript('sds.sh'), ...argv], scratch, home, limits);
  });
}

/** The rivals' home with SystemDS's temporary files in `scratch`: killed processes leave them. */
function systemDsHome(scratch: string): string {
  const home = join(scratch, 'home');
  mkdirSync(home);
  symlinkSync(join(baselineHome(), 'venv'), join(home, 'venv'));
  const config = readFileSync(join(baselineHome(), 'sds-config.xml'), 'utf8');
  const moved = config
    .replace(/(<sysds\.localtmpdir>)[^<]*/, `$1${join(scratch, 'tmp')}`)
    .replace(/(<sysds\.scratch>)[^<]*/, `$1${join(scratch, 'scratch')}`);
  writeFileSync(join(home, 'sds-config.xml'), moved);
  return home;
}

async function inScratch(
  name: string,
  run: (scratch: string) => Promise<SearchProgress>,
): Promise<SearchProgress> {
  const scratch = mkdtempSync(join(tmpdir(), `reprise-${name}-`));
  try {
    return await run(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 500 });
  }
}

async function until(
  command: string,
  argv: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>>,
  limits: SearchLimits,
): Promise<SearchProgress> {
  const start = performance.now();
  const elapsed = (): number => (performance.now() - start) / 1000;
  const child = spawn(command, argv, {
    cwd,
    detached: true,
    env: {
      ...process.env,
      BASELINES_HOME: baselineHome(),
      PYSPARK_PYTHON: rivalPython(),
      SPARK_LOCAL_DIRS: cwd,
      ...environment,
    },
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
  // A group of its own does not hear what ends us.
  const endAll = (): never => {
    endGroup();
    rmSync(cwd, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    process.exit(130);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  process.once('exit', endGroup);
  for (const signal of signals) process.once(signal, endAll);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearTimeout(timer);
  process.removeListener('exit', endGroup);
  for (const signal of signals) process.removeListener(signal, endAll);
  const failed = !isOver && losses.length < limits.trials;
  return {
    losses,
    seconds: losses.length > 0 || failed ? seconds : limits.limitSeconds,
    dataSeconds,
    ...(failed ? { failure: `exit code ${code} after ${elapsed().toFixed(0)} s\n${tail}` } : {}),
  };
}
