/**
 * One in-order queue of a CUDA device: a stream, and a mark behind each piece of work on it. Marks
 * are numbered from 1 and complete in that order, so an event is a number and costs a native event
 * only until it is complete. Invariant: what a mark holds (`onDone`) is let go exactly once, when
 * the work before it has ended or the queue is closed.
 */
import { type CudaCalls, EVENT_DISABLE_TIMING, STREAM_NON_BLOCKING } from './bindings.js';

interface Mark {
  readonly event: bigint;
  readonly onDone: (() => void) | undefined;
}

/** Unfinished marks after which each new one looks whether the oldest has ended. */
const MARKS_UNSEEN = 16;

export class CudaQueue {
  readonly stream: bigint;
  /** The last mark made. */
  last = 0;
  readonly #call: CudaCalls;
  /** Of marks that are not known to be complete, the oldest first. */
  readonly #marks: Mark[] = [];
  readonly #spare: bigint[] = [];

  constructor(call: CudaCalls) {
    this.#call = call;
    const stream = new BigUint64Array(1);
    call.cuStreamCreate(stream, STREAM_NON_BLOCKING);
    this.stream = stream[0]!;
  }

  /** Marks the place behind everything queued so far. */
  mark(onDone?: () => void): number {
    if (this.#marks.length >= MARKS_UNSEEN) this.#look();
    const event = this.#spare.pop() ?? this.#create();
    this.#call.cuEventRecord(event, this.stream);
    this.#marks.push({ event, onDone });
    this.last++;
    return this.last;
  }

  /** Whether everything up to a mark has ended. @throws BackendLostError */
  isDone(mark: number): boolean {
    if (mark > this.#done) this.#look();
    return mark <= this.#done;
  }

  /** Work queued from now on starts behind a mark of another queue. */
  startBehind(other: CudaQueue, mark: number): void {
    const event = other.#eventOf(mark);
    if (event !== undefined) this.#call.cuStreamWaitEvent(this.stream, event, 0);
  }

  /** Waits, and keeps the event loop from going on. @throws BackendLostError */
  drain(): void {
    this.#call.cuStreamSynchronize(this.stream);
    this.#look();
  }

  /** Lets go of everything, also on a device that is lost. */
  close(): void {
    quietly(() => this.#call.cuStreamSynchronize(this.stream));
    for (const { event, onDone } of this.#marks.splice(0)) {
      onDone?.();
      this.#spare.push(event);
    }
    for (const event of this.#spare.splice(0)) quietly(() => this.#call.cuEventDestroy_v2(event));
    quietly(() => this.#call.cuStreamDestroy_v2(this.stream));
  }

  get #done(): number {
    return this.last - this.#marks.length;
  }

  #eventOf(mark: number): bigint | undefined {
    return this.#marks[mark - this.#done - 1]?.event;
  }

  #create(): bigint {
    const event = new BigUint64Array(1);
    this.#call.cuEventCreate(event, EVENT_DISABLE_TIMING);
    return event[0]!;
  }

  #look(): void {
    let ended = 0;
    for (const { event } of this.#marks) {
      if (this.#call.cuEventQuery(event) !== 0) break;
      ended++;
    }
    for (const { event, onDone } of this.#marks.splice(0, ended)) {
      this.#spare.push(event);
      onDone?.();
    }
  }
}

/** For what is given back whatever state the device is in. */
export function quietly(work: () => void): void {
  try {
    work();
  } catch {
    // The context is gone, and with it what was to be given back.
  }
}
