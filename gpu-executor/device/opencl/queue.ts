/**
 * One in-order queue of a device, and its events. Since work ends in the order it was queued, the
 * end of one event is the end of all before it. Invariants: native events are released once, when
 * they are known to be complete; host memory of copies is referenced until then; one thread at most
 * waits for the queue, however many wait.
 */
import { InternalError } from '../../../driver/errors.js';
import type { DeviceEvent, QueueName } from '../driver.js';
import { type Address, COMPLETE, clInfo, type OpenCl } from './bindings.js';
import { statusName } from './errors.js';

/** Queues one command: 0 or an OpenCL status. */
export type Enqueue = (
  queue: bigint,
  ...waits: [count: number, events: ArrayBufferView | null, event: ArrayBufferView]
) => number;

export class QueueEvent implements DeviceEvent {
  readonly queue: QueueName;
  readonly owner: OpenClQueue;
  /** Place in the queue. */
  readonly sequence: number;

  constructor(owner: OpenClQueue, sequence: number) {
    this.queue = owner.name;
    this.owner = owner;
    this.sequence = sequence;
  }
}

interface Queued {
  readonly native: bigint;
  /** Host memory in use. */
  readonly held: ArrayBufferView | undefined;
}

interface Waiter {
  readonly sequence: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Events kept before complete ones are looked for. */
const MANY_EVENTS = 32;

export class OpenClQueue {
  readonly name: QueueName;
  readonly #cl: OpenCl;
  readonly #native: bigint;
  /** Told that work failed, which loses the device. */
  readonly #onFailure: (got: string) => Error;
  /** Not known to be complete; the first is `#first` in sequence. */
  #queued: Queued[] = [];
  #first = 0;
  #waiters: Waiter[] = [];
  /** What a thread waits for; that thread's answer releases it. */
  #waitedFor: Address = null;
  /** Read by that thread, which holds no reference to it. */
  readonly #awaited = new BigUint64Array(1);
  readonly #made = new BigUint64Array(1);
  readonly #status = new Int32Array(1);

  constructor(cl: OpenCl, name: QueueName, native: bigint, onFailure: (got: string) => Error) {
    this.#cl = cl;
    this.name = name;
    this.#native = native;
    this.#onFailure = onFailure;
  }

  /** @returns the event, or the status of a command that was not queued */
  add(after: readonly QueueEvent[], enqueue: Enqueue, held?: ArrayBufferView): QueueEvent | number {
    const others = after.flatMap((event) => event.owner.#nativeBefore(this, event) ?? []);
    const list = others.length === 0 ? null : BigUint64Array.from(others);
    const status = enqueue(this.#native, others.length, list, this.#made);
    if (status !== 0) return status;
    this.#queued.push({ native: this.#made[0]!, held });
    if (this.#queued.length > MANY_EVENTS) this.#dropComplete();
    return new QueueEvent(this, this.#first + this.#queued.length - 1);
  }

  isDone({ sequence }: QueueEvent): boolean {
    const queued = this.#at(sequence);
    if (queued === undefined) return true;
    if (!this.#isComplete(queued.native)) return false;
    this.#dropThrough(sequence);
    return true;
  }

  /** Settles at the end of an event that is not done. */
  wait({ sequence }: QueueEvent): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ sequence, resolve, reject });
      if (this.#waitedFor === null) this.#waitForNext();
    });
  }

  flush(): number {
    return this.#cl.flush(this.#native);
  }

  /** Waits, on this thread, for the queue's end, and gives it back. @param lost why it can't */
  close(lost: Error | undefined): void {
    if (lost === undefined) this.#cl.finish(this.#native);
    this.#dropThrough(Infinity);
    for (const { resolve } of this.#waiters.splice(0)) resolve();
    this.#cl.releaseCommandQueue(this.#native);
  }

  /** Nobody waits any longer for a device that is lost. */
  fail(error: Error): void {
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }

  /** What another queue has to wait for; its own order does without. */
  #nativeBefore(queue: OpenClQueue, event: QueueEvent): bigint | undefined {
    if (queue === this || this.isDone(event)) return undefined;
    // A command that waits for one that is held back would wait for ever.
    this.flush();
    return this.#at(event.sequence)!.native;
  }

  #at(sequence: number): Queued | undefined {
    const index = sequence - this.#first;
    if (index < this.#queued.length) return this.#queued[index];
    throw new InternalError(`device queue: expected an event of this device, got ${sequence}`);
  }

  #isComplete(native: bigint): boolean {
    const bytes = this.#status.byteLength;
    const failed = this.#cl.getEventInfo(native, clInfo.eventStatus, bytes, this.#status, null);
    const status = failed === 0 ? this.#status[0]! : failed;
    if (status < COMPLETE) throw this.#onFailure(statusName(status));
    return status === COMPLETE;
  }

  #dropComplete(): void {
    let last = -1;
    while (last + 1 < this.#queued.length && this.#isComplete(this.#queued[last + 1]!.native)) {
      last++;
    }
    this.#dropThrough(this.#first + last);
  }

  #dropThrough(sequence: number): void {
    const done = this.#queued.splice(0, sequence - this.#first + 1);
    this.#first += done.length;
    for (const { native } of done) {
      if (native !== this.#waitedFor) this.#cl.releaseEvent(native);
    }
  }

  /** Waits for the waiter whose event comes first, on a thread. */
  #waitForNext(): void {
    const [next] = this.#waiters.sort((a, b) => a.sequence - b.sequence);
    if (next === undefined) return;
    const native = this.#at(next.sequence)?.native ?? null;
    this.#waitedFor = native;
    if (native === null) {
      this.#settle();
      return;
    }
    this.#awaited[0] = native;
    this.#cl.waitForEvents.async(1, this.#awaited, (error, status) => {
      this.#waitedFor = null;
      if (this.#at(next.sequence)?.native !== native) this.#cl.releaseEvent(native);
      if (error !== null || status !== 0) this.#onFailure(error?.message ?? statusName(status));
      this.#settle();
    });
  }

  #settle(): void {
    try {
      const waiters = this.#waiters.splice(0);
      for (const waiter of waiters) {
        const { sequence, resolve } = waiter;
        if (this.isDone(new QueueEvent(this, sequence))) resolve();
        else this.#waiters.push(waiter);
      }
    } catch {
      // The device is lost: `onFailure` has told all who wait.
    }
    this.#waitForNext();
  }
}
