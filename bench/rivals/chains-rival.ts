/**
 * Apache SystemDS on the calls of `reuse-overhead`, with and without its lineage cache. A process
 * for each measurement, its first repetition thrown away: it compiles, and its cache starts empty.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ExecutionError } from '../../driver/errors.js';
import { baselineHome, benchFile, rivalPython, rivalScript } from '../paths.js';

export interface ChainRun {
  readonly rows: number;
  readonly cols: number;
  readonly steps: number;
  /** One for each call. */
  readonly rates: readonly number[];
  readonly lineage: 'base' | 'reuse_full';
  readonly repetitions: number;
}

/** Repetitions' times and their sums. @units seconds @throws ExecutionError if it prints fewer */
export async function runSystemDsChains(
  run: ChainRun,
): Promise<readonly { readonly seconds: number; readonly sum: number }[]> {
  rivalPython();
  const folder = mkdtempSync(join(tmpdir(), 'reprise-systemds-'));
  const rates = join(folder, 'rates.csv');
  writeFileSync(rates, `${run.rates.join('\n')}\n`);
  const named = [`rows=${run.rows}`, `cols=${run.cols}`, `steps=${run.steps}`, `rates=${rates}`];
  const argv = ['single', run.lineage, benchFile('rivals/chains.dml'), '-nvargs', ...named];
  try {
    const { stdout } = await promisify(execFile)(
      'bash',
      [rivalScript('sds.sh'), ...argv, `repetitions=${run.repetitions}`],
      {
        maxBuffer: 64 * 1024 * 1024,
        env: { ...process.env, BASELINES_HOME: baselineHome() },
        cwd: folder,
      },
    );
    const found = [...stdout.matchAll(/RESULT ([0-9.eE+-]+) ([0-9.eE+-]+)/g)];
    if (found.length !== run.repetitions + 1) {
      throw new ExecutionError(
        `chains.dml: expected ${run.repetitions + 1} RESULT lines, got\n${stdout.slice(-2000)}`.trimEnd(),
        { op: 'chains.dml', backend: 'systemds' },
      );
    }
    return found
      .slice(1)
      .map(([, seconds, sum]) => ({ seconds: Number(seconds), sum: Number(sum) }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
