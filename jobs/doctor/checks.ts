/** The checks of `reprise doctor`, one function each, in the order they are shown. */
import { execFile } from 'node:child_process';
import { access, constants, statfs } from 'node:fs/promises';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { env } from '../../driver/support/env.js';
import { memorySetting } from '../../driver/support/memory.js';
import { formatBytes } from '../../driver/support/size.js';
import { cudaCheck, openClCheck } from './device-checks.js';
import {
  blasCheck,
  duckdbCheck,
  javaCheck,
  shimCheck,
  sparkCheck,
  tensorflowCheck,
} from './engine-checks.js';
import type { Finding } from './finding.js';
import { settingsCheck } from './settings-check.js';
import { storeCheck } from './store-check.js';
import { wayCheck } from './way-check.js';

const MIN_NODE = [20, 19] as const;
const MIN_FREE_DISK = 2 * 2 ** 30;
const MIN_MEMORY = 4 * 2 ** 30;
const COMMAND_TIMEOUT_MS = 20_000;

/** Runs every check; one that breaks becomes a finding. */
export async function runChecks(): Promise<Finding[]> {
  const checks: readonly (readonly [string, () => Promise<Finding> | Finding])[] = [
    ['node', nodeCheck],
    ['memory', memoryCheck],
    ['home', homeCheck],
    ['disk', diskCheck],
    ['store', storeCheck],
    ['duckdb', duckdbCheck],
    ['blas', blasCheck],
    ['java', javaCheck],
    ['maven', mavenCheck],
    ['spark', sparkCheck],
    ['shim', shimCheck],
    ['cluster', wayCheck],
    ['opencl', openClCheck],
    ['cuda', cudaCheck],
    ['tensorflow', tensorflowCheck],
  ];
  // The others work by them.
  const settings = await settingsCheck();
  const findings = await Promise.all(
    checks.map(async ([name, check]) => {
      try {
        return await check();
      } catch (error) {
        const found = error instanceof Error ? error.message : String(error);
        return { name, status: 'missing' as const, found, remedy: 'report this message' };
      }
    }),
  );
  return [...findings.slice(0, 1), settings, ...findings.slice(1)];
}

function nodeCheck(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isOk = major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1]);
  return {
    name: 'node',
    status: isOk ? 'ok' : 'missing',
    found: `Node ${process.versions.node}, ${process.platform} ${process.arch}`,
    remedy: isOk ? null : `install Node ${MIN_NODE.join('.')} or later`,
  };
}

function memoryCheck(): Finding {
  const total = totalmem();
  const setting = memorySetting();
  const isOk = total >= MIN_MEMORY;
  return {
    name: 'memory',
    status: isOk ? 'ok' : 'degraded',
    found: `${formatBytes(total)}, ${formatBytes(freemem())} free, ${availableParallelism()} cores; a run may take ${formatBytes(setting.bytes)} (${setting.from})`,
    remedy: isOk ? null : `embedded Spark wants ${formatBytes(MIN_MEMORY)}; use --engine local`,
  };
}

async function homeCheck(): Promise<Finding> {
  const home = env.home();
  try {
    await access(await nearestFolder(home), constants.W_OK);
    return { name: 'home', status: 'ok', found: home, remedy: null };
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'an error';
    return {
      name: 'home',
      status: 'missing',
      found: `${home}: ${code}`,
      remedy: 'set REPRISE_HOME to a folder that can be written',
    };
  }
}

async function diskCheck(): Promise<Finding> {
  const stats = await statfs(await nearestFolder(env.home()));
  const free = stats.bavail * stats.bsize;
  const isOk = free >= MIN_FREE_DISK;
  return {
    name: 'disk',
    status: isOk ? 'ok' : 'degraded',
    found: `${formatBytes(free)} free at ${env.home()}`,
    remedy: isOk ? null : `free ${formatBytes(MIN_FREE_DISK)}, or set REPRISE_HOME to another disk`,
  };
}

/** The folder itself, or the nearest one above it that exists. */
async function nearestFolder(folder: string): Promise<string> {
  try {
    await access(folder);
    return folder;
  } catch (cause) {
    if (dirname(folder) === folder) throw cause;
    return nearestFolder(dirname(folder));
  }
}

async function mavenCheck(): Promise<Finding> {
  const output = await outputOf('mvn', ['--version']);
  const version = output?.match(/Apache Maven ([\d.]+)/)?.[1];
  return {
    name: 'maven',
    status: version === undefined ? 'degraded' : 'ok',
    found: version === undefined ? 'no mvn on the PATH' : `Maven ${version}`,
    remedy:
      version === undefined ? 'install Maven 3.8 or later; needed for `reprise setup` only' : null,
  };
}

function outputOf(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(
      command,
      args,
      { timeout: COMMAND_TIMEOUT_MS, env: env.forChild() },
      (error, stdout, stderr) => {
        resolve(error ? undefined : stdout + stderr);
      },
    );
  });
}
