/**
 * How fast one direction of a disk is, learned from transfers in the background. Invariant: a
 * transfer that ended while this thread was busy says only what it took at most, so a busy thread
 * never makes the disk look slow.
 */
import { type EventLoopUtilization, performance } from 'node:perf_hooks';

/** Opening, closing, an event-loop turn: smaller gains are not worth a file. @units seconds */
const FILE_SECONDS = 0.001;
/** Transfers smaller than this say more about the system call than about the disk. @units bytes */
const MEASURED_BYTES = 2e6;
const FORGET_SHARE = 1 / 64;

export class TransferRate {
  bytesPerSecond: number;
  readonly #first: number;
  #running = 0;

  /** @param first assumed before measuring; optimistic, so that transfers start and are measured */
  constructor(first: number) {
    this.#first = first;
    this.bytesPerSecond = first;
  }

  /** What moving a value is expected to take. @units seconds */
  seconds(bytes: number): number {
    return FILE_SECONDS + bytes / this.bytesPerSecond;
  }

  /** The least it may take, judged by the first assumption as well. */
  hopefulSeconds(bytes: number): number {
    return FILE_SECONDS + bytes / Math.max(this.#first, this.bytesPerSecond);
  }

  /** Starts a transfer; call what comes back when it has ended, with the bytes that were moved. */
  start(): (bytes: number) => void {
    const start = performance.now();
    const loop = performance.eventLoopUtilization();
    const sharing = ++this.#running;
    return (bytes) => {
      this.#running--;
      if (bytes < MEASURED_BYTES) return;
      const elapsed = (performance.now() - start) / 1000;
      this.observe(bytes, elapsed / sharing, idleSeconds(loop) / sharing);
    };
  }

  /** A transfer took at most `most` seconds; this thread waited for `least` of them. */
  observe(bytes: number, most: number, least: number): void {
    const expected = bytes / this.bytesPerSecond;
    const seconds = Math.min(Math.max(expected, least), most);
    this.bytesPerSecond = (this.bytesPerSecond + bytes / seconds) / 2;
  }

  /** A slow measurement stopped transfers: it wears off, so that the disk is tried again. */
  forget(): void {
    this.bytesPerSecond += Math.max(0, this.#first - this.bytesPerSecond) * FORGET_SHARE;
  }
}

function idleSeconds(since: EventLoopUtilization): number {
  return performance.eventLoopUtilization(since).idle / 1000;
}
