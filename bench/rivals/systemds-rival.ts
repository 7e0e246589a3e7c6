/**
 * Apache SystemDS on a workload of the baselines. Each run is a process of its own: its reuse cache
 * lives as long as the process, so a second run in one would be a look-up. Its clock starts when the
 * data are read, JVM up; the process's own time is told beside.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { ExecutionError } from '../../driver/errors.js';
import { baselineHome, rivalData, rivalPython, rivalScript } from '../paths.js';
import type { RivalRun } from './python-rival.js';

export interface SystemDsOptions {
  /** Of the baselines' folder, or an absolute path. */
  readonly script: string;
  /** Its named arguments; names of the baselines' data stand for their paths. */
  readonly named: Readonly<Record<string, string>>;
  /** Where operators run: all on this machine, or all forced onto Spark. */
  readonly execution: 'single' | 'spark';
  readonly lineage: 'base' | 'reuse_full' | 'reuse_multilevel';
  /** Memory of the JVM, of which a share is its lineage cache: `18g`. Default: `sds.sh`'s. */
  readonly heap?: string;
}

export interface ProcessRun extends RivalRun {
  /** From start to end of the process. @units seconds */
  readonly wholeSeconds: number;
}

/** The path of a matrix in SystemDS's own format. @throws ConfigError saying how to get it */
export function systemDsData(name: string): string {
  return rivalData(`sds/${name}`);
}

/** Runs a script once. @throws ExecutionError with the end of what SystemDS printed */
export async function runSystemDs(options: SystemDsOptions): Promise<ProcessRun> {
  rivalPython();
  const { script, named, execution, lineage, heap } = options;
  const folder = mkdtempSync(join(tmpdir(), 'reprise-systemds-'));
  const out = join(folder, 'answers.csv');
  const given = Object.entries({ ...named, out }).map(([name, value]) => `${name}=${value}`);
  const dml = rivalScript(script);
  const argv = [execution, lineage, dml, '-nvargs', ...given];
  try {
    const start = performance.now();
    const { stdout } = await promisify(execFile)('bash', [rivalScript('sds.sh'), ...argv], {
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, BASELINES_HOME: baselineHome(), ...(heap ? { HEAP: heap } : {}) },
      cwd: folder,
    });
    const wholeSeconds = (performance.now() - start) / 1000;
    const found = stdout.match(/RESULT compute_s=([0-9.eE+-]+)/);
    if (!found) {
      throw new ExecutionError(
        `${script}: expected a RESULT line, got\n${stdout.slice(-2000)}`.trimEnd(),
        { op: script, backend: 'systemds' },
      );
    }
    const answers = readCsv(out).map((line) => line.split(',').map(Number));
    return { seconds: Number(found[1]), wholeSeconds, answers };
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
