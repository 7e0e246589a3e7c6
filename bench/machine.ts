/** What the figures were measured on, kept with every result: a time alone says nothing. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { repoRoot, rivalPython } from './paths.js';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  /** @units GiB */
  readonly memoryGib: number;
  readonly os: string;
  /** 1, 5 and 15 minutes. */
  readonly loadAverage: readonly number[];
  readonly versions: Readonly<Record<string, string>>;
  readonly gitCommit: string;
  /** Files that differ from that commit, outside the results themselves. */
  readonly gitDirty: boolean;
}

/** Facts of this machine, this checkout and, where installed, the rivals' libraries. */
export function describeMachine(): Machine {
  const root = repoRoot();
  const processors = cpus();
  const status = capture('git', [
    '-C',
    root,
    'status',
    '--porcelain',
    '--',
    '.',
    ':!bench/results',
  ]);
  return {
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGib: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    os: `${platform()} ${release()} ${arch()}`,
    loadAverage: loadavg().map((load) => Math.round(load * 100) / 100),
    versions: {
      reprise: packageVersion(root),
      node: process.versions.node,
      v8: process.versions.v8,
      ...rivalVersions(),
    },
    gitCommit: capture('git', ['-C', root, 'rev-parse', 'HEAD']) || 'unknown',
    gitDirty: status !== '',
  };
}

function packageVersion(root: string): string {
  const parsed: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const { version } = parsed as { version?: string };
  return version ?? 'unknown';
}

function rivalVersions(): Record<string, string> {
  const script =
    'import json, importlib.metadata as m\n' +
    'print(json.dumps({p: m.version(p) for p in ("numpy", "scipy", "scikit-learn", "pyspark", "systemds")}))';
  let python: string;
  try {
    python = rivalPython();
  } catch {
    return {};
  }
  const printed = capture(python, ['-c', script]);
  return printed === '' ? {} : (JSON.parse(printed) as Record<string, string>);
}

/** Standard output of a command, trimmed; empty when it is missing or fails. */
function capture(command: string, args: readonly string[]): string {
  try {
    return execFileSync(command, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
}
