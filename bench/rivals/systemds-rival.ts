/**
 * Apache SystemDS on the cross-validation workload. Each run is a process of its own: its reuse
 * cache lives as long as the process, so a second search in one would be a look-up. Its clock
 * starts when the data are read, JVM up.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ExecutionError } from '../../driver/errors.js';
import { baselineHome, rivalData, rivalPython, rivalScript } from '../paths.js';
import type { RivalRun } from './python-rival.js';

export interface SystemDsOptions {
  /** Where operators run: all on this machine, or all forced onto Spark. */
  readonly execution: 'single' | 'spark';
  readonly lineage: 'base' | 'reuse_full' | 'reuse_multilevel';
  readonly folds: number;
  readonly trials: number;
}

/** Runs hcv.dml once. @throws ExecutionError with the end of what SystemDS printed */
export async function runSystemDs(options: SystemDsOptions): Promise<RivalRun> {
  rivalPython();
  rivalData('sds/reg_X');
  const data = join(baselineHome(), 'data', 'sds');
  const folder = mkdtempSync(join(tmpdir(), 'reprise-systemds-'));
  const out = join(folder, 'loss.csv');
  const script = rivalScript('sds.sh');
  const named = [`X=${data}/reg_X`, `y=${data}/reg_y`, `k=${options.folds}`];
  const argv = [options.execution, options.lineage, rivalScript('hcv.dml'), '-nvargs', ...named];
  try {
    const { stdout } = await promisify(execFile)(
      'bash',
      [script, ...argv, `nreg=${options.trials}`, `out=${out}`],
      {
        maxBuffer: 64 * 1024 * 1024,
        env: { ...process.env, BASELINES_HOME: baselineHome() },
        cwd: folder,
      },
    );
    const found = stdout.match(/RESULT compute_s=([0-9.eE+-]+)/);
    if (!found) {
      throw new ExecutionError(
        `hcv.dml: expected a RESULT line, got\n${stdout.slice(-2000)}`.trimEnd(),
        { op: 'hcv.dml', backend: 'systemds' },
      );
    }
    const answers = readCsv(out).map((line) => line.split(',').map(Number));
    return { seconds: Number(found[1]), answers };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines of a CSV that Spark may have written as a folder of parts. */
function readCsv(path: string): string[] {
  const files = statSync(path).isDirectory()
    ? readdirSync(path)
        .filter((name) => !/^[._]/.test(name))
        .sort()
        .map((name) => join(path, name))
    : [path];
  return files.flatMap((file) => readFileSync(file, 'utf8').split('\n').filter(Boolean));
}
