/**
 * A thread that hears the signals too and ends the process when the main thread does not: that one
 * hears nothing while it is in a native call, a long loop or a write to a pipe nobody reads.
 * Invariant: a process is ended only after a signal came and its grace is over, or a second one
 * came.
 */
import { constants } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { leave } from './hard-exit.js';

interface Watch {
  /** Exit codes by the name of the signal. */
  readonly codes: Readonly<Record<string, number>>;
  readonly graceMs: number;
}

/** Time beyond the main thread's own grace before the watchdog ends the process. @units ms */
const MARGIN_MS = 500;
const AT_ONCE_MS = 200;

let watching: Promise<unknown> = Promise.resolve();

/** Resolves when the thread last started hears signals; for tests. */
export async function whenWatching(): Promise<void> {
  await watching;
}

/** Starts the thread; call what comes back when signals mean what they usually do again. */
export function startWatchdog(watch: Watch): () => void {
  try {
    const worker = new Worker(new URL('./watchdog.js', import.meta.url), {
      workerData: watch,
      stderr: true,
    });
    // Without it everything else still works.
    worker.on('error', () => {});
    watching = new Promise((resolve) => worker.once('message', resolve));
    worker.unref();
    return () => void worker.terminate().catch(() => {});
  } catch {
    return () => {};
  }
}

interface SignalHandle {
  onsignal: (signal: number) => void;
  start(signal: number): number;
}

/** Node's `process.on` is for the main thread only; the handle below it is for any. */
function listen({ codes, graceMs }: Watch): void {
  process.noDeprecation = true;
  const { binding } = process as unknown as {
    binding: (name: string) => { readonly Signal: new () => SignalHandle };
  };
  const { Signal } = binding('signal_wrap');
  let isStopping = false;
  for (const [name, code] of Object.entries(codes)) {
    const handle = new Signal();
    handle.onsignal = () => {
      setTimeout(() => leave(code), isStopping ? AT_ONCE_MS : graceMs + MARGIN_MS);
      isStopping = true;
    };
    handle.start(constants.signals[name as NodeJS.Signals]);
  }
  parentPort?.postMessage('watching');
  // Keeps the thread, and with it the handles.
  parentPort?.on('message', () => {});
}

if (!isMainThread && workerData !== null && 'graceMs' in workerData) listen(workerData as Watch);
