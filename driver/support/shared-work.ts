/**
 * Work that several runs wait for and one of them does. Invariant: a run that is cancelled waits no
 * longer and takes nobody with it: what it was doing for others is theirs to begin again.
 */

export interface SharedWork<T> {
  readonly promise: Promise<T>;
  /** Cancels the run that does it. */
  readonly signal: AbortSignal | undefined;
}

/** The result, rejected at once when the signal is aborted; the work itself goes on. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/**
 * The result of work that is under way, or begun here.
 * @param underWay what is under way now; asked again when whoever did it was cancelled
 */
export async function joinOrBegin<T>(
  underWay: () => SharedWork<T> | undefined,
  begin: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  for (;;) {
    const work = underWay();
    if (work === undefined) return begin();
    try {
      return await unlessAborted(work.promise, signal);
    } catch (error) {
      if (signal?.aborted || !work.signal?.aborted) throw error;
    }
  }
}
