/**
 * Ctrl-C, `kill` and a terminal that closes: the first signal cancels the command through an
 * `AbortSignal`, so that it can take back what it began; the second, or the end of its grace, ends
 * the process at once, whatever any thread of it is in.
 */
import { hardExit } from './hard-exit.js';
import { startWatchdog } from './watchdog.js';

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Signal = keyof typeof EXIT_CODES;

/** How long a cancelled command may take to end. @units ms */
const GRACE_MS = 10_000;

/** The command was stopped by a signal. */
export class InterruptError extends Error {
  readonly exitCode: number;

  constructor(signal: Signal) {
    super(`stopped by ${signal}`);
    this.name = 'InterruptError';
    this.exitCode = EXIT_CODES[signal];
  }
}

/**
 * Runs `work` with a signal that Ctrl-C aborts.
 * @throws InterruptError when a signal came before the work was done, whatever the work threw then
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  onStopping: (interrupt: InterruptError) => void,
  graceMs = GRACE_MS,
): Promise<T> {
  const controller = new AbortController();
  let interrupt: InterruptError | undefined;
  const stop = (signal: Signal): void => {
    if (interrupt) hardExit(interrupt.exitCode);
    interrupt = new InterruptError(signal);
    controller.abort(interrupt);
    onStopping(interrupt);
    setTimeout(() => hardExit(EXIT_CODES[signal]), graceMs).unref();
  };
  const signals = Object.keys(EXIT_CODES) as Signal[];
  for (const signal of signals) process.on(signal, stop);
  const endWatch = startWatchdog({ codes: EXIT_CODES, graceMs });
  try {
    return await work(controller.signal);
  } catch (error) {
    throw interrupt ?? error;
  } finally {
    // A stopped command still has to say so, to a reader that may not read.
    if (interrupt === undefined) endWatch();
    for (const signal of signals) process.off(signal, stop);
  }
}
