/**
 * Runs a program and waits for it and all it started. Invariants: it is in a process group of its
 * own, which ends with it, with the signal (TERM, then KILL) and with this process; where this
 * process was killed, whoever runs the step again ends it first. What it prints goes to a log, with
 * secrets taken out.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as wait } from 'node:timers/promises';
import { isFromDeadProcess, processOf, tokenOf } from '../../driver/support/process-token.js';

export interface Command {
  /** The program and its arguments. */
  readonly words: readonly [string, ...string[]];
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  /** File that all it prints goes to. */
  readonly log: string;
  /** Takes secrets out of whole lines. */
  readonly scrub: (text: string) => string;
  readonly signal: AbortSignal;
  /** From TERM to KILL. @units ms, default 5 s */
  readonly graceMs?: number;
}

export interface CommandEnd {
  readonly code: number | null;
  readonly killedBy: NodeJS.Signals | null;
  /** The last lines it printed. */
  readonly lastLines: readonly string[];
}

const GRACE_MS = 5000;
/** What a log may take; what is printed beyond is left out, and the log says so. @units bytes */
const MAX_LOG_BYTES = 64 * 1024 ** 2;
const LAST_LINES = 10;
/** A line is cut here. */
const MAX_LINE = 64 * 1024;
const PID_SUFFIX = '.process';

/**
 * Runs it to its end.
 * @throws the signal's reason once all of it has ended; what the system says of a program that
 *   can't be started
 */
export async function runChild(command: Command): Promise<CommandEnd> {
  const { words, folder, environment, signal, graceMs = GRACE_MS } = command;
  signal.throwIfAborted();
  await mkdir(dirname(command.log), { recursive: true });
  await endOrphans(dirname(command.log), graceMs);
  const log = new Log(command.log, command.scrub);
  const [program, ...args] = words;
  const child = spawn(program, args, {
    cwd: folder,
    env: environment,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const killNow = (): void => void signalGroup(child.pid, 'SIGKILL');
  process.once('exit', killNow);
  const stop = (): void => void endGroup(child.pid, graceMs);
  signal.addEventListener('abort', stop, { once: true });
  // It may have been told to stop while it was made ready.
  if (signal.aborted) stop();
  const processFile = `${command.log}${PID_SUFFIX}`;
  try {
    const ended = endOf(child, log, graceMs);
    if (child.pid !== undefined) await writeFile(processFile, tokenOf(child.pid));
    const end = await ended;
    return { ...end, lastLines: log.last };
  } finally {
    signal.removeEventListener('abort', stop);
    process.off('exit', killNow);
    await log.close();
    await rm(processFile, { force: true });
    signal.throwIfAborted();
  }
}

/** How it ended, once the rest of its group has too and all it printed is written. */
async function endOf(
  child: ChildProcess,
  log: Log,
  graceMs: number,
): Promise<Omit<CommandEnd, 'lastLines'>> {
  log.take(child);
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const end = await new Promise<Omit<CommandEnd, 'lastLines'>>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, killedBy) => resolve({ code, killedBy }));
  });
  // What it left behind would go on writing after the step is done.
  await endGroup(child.pid, graceMs);
  await Promise.race([closed, wait(graceMs, undefined, { ref: false })]);
  return end;
}

/** Ends what a killed process of ours left running here. */
async function endOrphans(folder: string, graceMs: number): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith(PID_SUFFIX)) continue;
    const file = join(folder, name);
    const token = await readFile(file, 'utf8').catch(() => '');
    if (!isFromDeadProcess(token)) await endGroup(processOf(token), graceMs);
    await rm(file, { force: true });
  }
}

/** TERM to all of a group, and KILL to what is there after its grace. */
async function endGroup(group: number | undefined, graceMs: number): Promise<void> {
  signalGroup(group, 'SIGTERM');
  const until = performance.now() + graceMs;
  while (isGroupThere(group)) {
    if (performance.now() > until) {
      signalGroup(group, 'SIGKILL');
      return;
    }
    await wait(10);
  }
}

function isGroupThere(group: number | undefined): boolean {
  return signalGroup(group, 0);
}

/** Whether there was one to be told. */
function signalGroup(group: number | undefined, signal: NodeJS.Signals | 0): boolean {
  if (group === undefined) return false;
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    // Nobody is left in it.
    return false;
  }
}

/** What a program prints, line by line, in a file. */
class Log {
  readonly last: string[] = [];
  readonly #file: WriteStream;
  readonly #scrub: (text: string) => string;
  readonly #streams: { readonly decoder: StringDecoder; rest: string }[] = [];
  #bytes = 0;
  #failure: Error | undefined;

  constructor(path: string, scrub: (text: string) => string) {
    this.#file = createWriteStream(path, { mode: 0o600 });
    this.#file.on('error', (error) => {
      this.#failure ??= error;
    });
    this.#scrub = scrub;
  }

  take({ stdout, stderr }: ChildProcess): void {
    for (const stream of [stdout, stderr]) {
      const state = { decoder: new StringDecoder('utf8'), rest: '' };
      this.#streams.push(state);
      stream?.on('data', (bytes: Buffer) => {
        const lines = (state.rest + state.decoder.write(bytes)).split('\n');
        state.rest = lines.pop()!;
        for (const line of lines) this.#add(line);
        if (state.rest.length < MAX_LINE) return;
        this.#add(state.rest);
        state.rest = '';
      });
    }
  }

  /** @throws what the file system said of the file */
  async close(): Promise<void> {
    for (const { rest } of this.#streams) if (rest !== '') this.#add(rest);
    await new Promise<void>((resolve) => {
      if (this.#file.closed) resolve();
      this.#file.once('close', resolve);
      this.#file.end();
    });
    if (this.#failure !== undefined) throw this.#failure;
  }

  #add(given: string): void {
    const line = this.#scrub(given.replace(/\r$/, ''));
    this.last.push(line);
    if (this.last.length > LAST_LINES) this.last.shift();
    if (this.#bytes > MAX_LOG_BYTES) return;
    this.#bytes += Buffer.byteLength(line) + 1;
    const text = this.#bytes > MAX_LOG_BYTES ? '(what it printed from here on is left out)' : line;
    this.#file.write(`${text}\n`);
  }
}
