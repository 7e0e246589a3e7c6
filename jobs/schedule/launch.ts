/**
 * An attempt as a process of its own: what ends it, a full memory or a crash of native code, does
 * not end the scheduler, and it outlives the scheduler, whose successor takes it up by its run.
 * Invariant: nothing is started before its run's id is on the disk.
 */
import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../driver/support/make-folder.js';
import { packageRoot } from '../../driver/support/package-root.js';
import type { Exit } from './outcome.js';
import { zonedText } from './zone.js';

/** One attempt at a run. */
export interface Attempt {
  /** Absolute. */
  readonly file: string;
  readonly run: string;
  /** The run is there: go on with it. */
  readonly isResumed: boolean;
  /** Its logical time. @units ms */
  readonly time: number;
  readonly zone: string;
  /** Folder that holds the run folders, absolute. */
  readonly output: string;
  /** What it says goes here. */
  readonly log: string;
  /** Ends it: gently, then at once. */
  readonly signal: AbortSignal;
}

/** Resolves when the attempt has ended. @throws what keeps it from being started */
export type RunLaunch = (attempt: Attempt) => Promise<Exit>;

/** Between the gentle end of an attempt and the other. @units ms */
const GRACE_MS = 30_000;
/** What attempts that are told to stop may take until they have ended. @units ms */
export const STOP_MS = GRACE_MS + 15_000;
/** The end of a log that is told. */
const SAID_CHARACTERS = 2000;

/**
 * Starts attempts by the command line.
 * @param runArguments of `reprise run`, such as `--engine spark`; a resumed run has those it began with
 */
export function launchProcess(runArguments: readonly string[]): RunLaunch {
  return async (attempt) => {
    const { file, run, time, zone, output, log } = attempt;
    const common = ['--output', output, '--quiet'];
    const given = attempt.isResumed
      ? ['resume', run, ...common]
      : ['run', file, '--run-id', run, '--date', zonedText(time, zone), ...common, ...runArguments]; // biome-ignore format: a list
    await makeFolder(dirname(log), 0o700);
    const stream = await open(log, 'a', 0o600);
    const from = (await stream.stat()).size;
    try {
      const exit = await untilExit(given, dirname(file), stream.fd, attempt.signal);
      return { ...exit, said: await saidSince(log, from) };
    } finally {
      await stream.close();
    }
  };
}

function untilExit(
  given: readonly string[],
  cwd: string,
  log: number,
  signal: AbortSignal,
): Promise<Exit> {
  const command = join(packageRoot(), 'dist/jobs/cli/main.js');
  return new Promise((resolve, reject) => {
    // A group of its own: Ctrl-C in the scheduler's terminal is for the scheduler, which passes it on.
    const child = spawn(process.execPath, [...process.execArgv, command, ...given], {
      cwd,
      detached: true,
      stdio: ['ignore', log, log],
    });
    let timer: NodeJS.Timeout | undefined;
    const stop = (): void => {
      child.kill('SIGTERM');
      timer = setTimeout(() => killGroup(child.pid), GRACE_MS);
    };
    child.once('error', reject);
    child.once('spawn', () => {
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
    child.once('exit', (code, ended) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      resolve({ code, ...(ended === null ? {} : { signal: ended }) });
    });
  });
}

/** A run's own commands and engines too. */
function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** The last error of an attempt. */
async function saidSince(log: string, from: number): Promise<string> {
  const bytes = await readFile(log).catch(() => Buffer.alloc(0));
  const text = bytes.subarray(Math.max(from, bytes.length - 16 * SAID_CHARACTERS)).toString('utf8');
  const at = text.lastIndexOf('error: ');
  return (at < 0 ? '' : text.slice(at + 'error: '.length)).trim().slice(0, SAID_CHARACTERS);
}
