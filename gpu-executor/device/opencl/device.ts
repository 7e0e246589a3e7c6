/**
 * An open OpenCL device: one context, a queue for kernels and one for copies. Invariants: what was
 * allocated is released once, by `free` or by `close`; OpenCL itself frees behind the commands that
 * use it; after a loss nothing is asked of the library but to let go.
 */
import { ExecutionError, InternalError } from '../../../driver/errors.js';
import { nothingCounted } from '../device-counts.js';
import type {
  CopyOptions,
  Device,
  DeviceEvent,
  DeviceProperties,
  DeviceQueueOptions,
  KernelLaunch,
  Pointer,
  QueueName,
} from '../driver.js';
import type { KernelBinaries } from '../kernel-binaries.js';
import { Arguments } from './arguments.js';
import { type Address, type OpenCl, READ_WRITE } from './bindings.js';
import type { ClContext } from './context.js';
import { type ClCall, callError, lostError } from './errors.js';
import type { FoundDevice } from './info.js';
import { type ClKernel, OpenClPrograms } from './programs.js';
import { type Enqueue, OpenClQueue, QueueEvent } from './queue.js';

interface ClPointer extends Pointer {
  readonly native: bigint;
}

export class OpenClDevice implements Device {
  readonly properties: DeviceProperties;
  readonly counts = nothingCounted();
  heldBytes = 0;
  readonly #cl: OpenCl;
  readonly #context: ClContext;
  readonly #queues: Readonly<Record<QueueName, OpenClQueue>>;
  readonly #programs: OpenClPrograms;
  readonly #pointers = new Set<Pointer>();
  readonly #status = new Int32Array(1);
  readonly #arguments: Arguments;
  #lost: Error | undefined;
  #isClosed = false;

  constructor(
    cl: OpenCl,
    { native, properties, roundsFloat32 }: FoundDevice,
    context: ClContext,
    binaries?: KernelBinaries,
  ) {
    this.#cl = cl;
    this.properties = properties;
    this.#arguments = new Arguments(cl, (pointer) => this.#own(pointer).native);
    this.#context = context.retain();
    const queue = (name: QueueName): OpenClQueue => {
      const made = cl.createCommandQueue(context.native, native, 0n, this.#status);
      return new OpenClQueue(cl, name, this.#made(made, 'open', 0), (got) => this.#lose(got));
    };
    const made: OpenClQueue[] = [];
    const added = (name: QueueName): OpenClQueue => made[made.push(queue(name)) - 1]!;
    try {
      this.#queues = { compute: added('compute'), copy: added('copy') };
    } catch (error) {
      for (const one of made) one.close(undefined);
      context.release();
      throw error;
    }
    const options = roundsFloat32 ? '-cl-fp32-correctly-rounded-divide-sqrt' : '';
    const of = { cl, context, device: native, properties, options, binaries };
    this.#programs = new OpenClPrograms(of);
  }

  allocate(bytes: number): Pointer {
    this.#check();
    const { largestAllocationBytes } = this.properties;
    if (!(bytes <= largestAllocationBytes)) throw this.#error(-61, 'allocate', bytes);
    // A buffer has a byte at least.
    const least = Math.max(bytes, 1);
    const made = this.#cl.createBuffer(this.#context.native, READ_WRITE, least, null, this.#status);
    const pointer: ClPointer = { bytes, native: this.#made(made, 'allocate', bytes) };
    this.#pointers.add(pointer);
    this.counts.allocations++;
    this.heldBytes += bytes;
    return pointer;
  }

  free(pointer: Pointer): void {
    const { native, bytes } = this.#own(pointer);
    this.#pointers.delete(pointer);
    this.#cl.releaseMemObject(native);
    this.counts.frees++;
    this.heldBytes -= bytes;
  }

  write(to: Pointer, from: ArrayBufferView, options: CopyOptions = {}): DeviceEvent {
    this.counts.copiesIn++;
    this.counts.bytesIn += from.byteLength;
    return this.#transfer('enqueueWriteBuffer', to, from, options);
  }

  read(from: Pointer, to: ArrayBufferView, options: CopyOptions = {}): DeviceEvent {
    this.counts.copiesOut++;
    this.counts.bytesOut += to.byteLength;
    return this.#transfer('enqueueReadBuffer', from, to, options);
  }

  copy(from: Pointer, to: Pointer, bytes: number, options: DeviceQueueOptions = {}): DeviceEvent {
    const [source, target] = [this.#own(from), this.#own(to)];
    const least = Math.min(from.bytes, to.bytes);
    if (!(bytes <= least)) throw this.#range('copy', bytes, least);
    const what = `copy ${bytes} bytes`;
    if (bytes === 0) return this.#mark(what, options);
    return this.#add(what, bytes, options, (queue, ...waits) =>
      this.#cl.enqueueCopyBuffer(queue, source.native, target.native, 0, 0, bytes, ...waits),
    );
  }

  copyFrom(
    peer: Device,
    from: Pointer,
    to: Pointer,
    bytes: number,
    after: readonly DeviceEvent[],
  ): DeviceEvent | undefined {
    if (!(#context in peer) || peer.#context !== this.#context) return undefined;
    const [source, target] = [peer.#own(from), this.#own(to)];
    const least = Math.min(from.bytes, to.bytes);
    if (!(bytes <= least)) throw this.#range('copy', bytes, least);
    const what = `copy ${bytes} bytes of opencl device ${peer.properties.index}`;
    const events = after.map((event) => peer.#event(event));
    const copied = this.#queues.compute.add(events, (queue, ...waits) =>
      this.#cl.enqueueCopyBuffer(queue, source.native, target.native, 0, 0, bytes, ...waits),
    );
    if (typeof copied === 'number') throw this.#error(copied, what, bytes);
    this.counts.copiesAcross++;
    this.counts.bytesAcross += bytes;
    return copied;
  }

  compile(source: string, name: string): ClKernel {
    this.#check();
    const kernel = this.#programs.kernel(source, name);
    this.counts.compiles = this.#programs.compiles;
    return kernel;
  }

  prepare(source: string): Promise<void> {
    this.#check();
    return this.#programs.prepare(source);
  }

  isCompiled(source: string): boolean {
    return this.#programs.has(source);
  }

  launch(launch: KernelLaunch, options: DeviceQueueOptions = {}): DeviceEvent {
    const { global, local, kernel } = launch;
    if (!this.#programs.owns(kernel)) {
      throw new InternalError(
        `${this.#name}: expected a kernel of this device, got ${kernel.name} of another`,
      );
    }
    const what = `run kernel ${kernel.name}`;
    const values = launch.arguments;
    if (values.length !== kernel.arguments) throw this.#error(-52, what, 0);
    const refused = this.#arguments.bind(kernel, values);
    if (refused !== undefined) {
      throw this.#error(refused.status, `${what}: argument ${refused.index + 1}`, 0);
    }
    const [items, group] = [sizes(global), sizes(local)];
    if (global.length !== local.length) throw this.#error(-53, what, 0);
    this.counts.launches++;
    const bytes = values.reduce((sum, value) => sum + ('bytes' in value ? value.bytes : 0), 0);
    return this.#add(what, bytes, options, (queue, ...waits) =>
      this.#cl.enqueueNDRangeKernel(
        ...[queue, kernel.native, global.length, null, items, group, ...waits],
      ),
    );
  }

  flush(): void {
    this.#check();
    for (const queue of Object.values(this.#queues)) {
      const status = queue.flush();
      if (status !== 0) throw this.#error(status, 'flush', 0);
    }
  }

  isDone(event: DeviceEvent): boolean {
    this.#check();
    const { owner } = this.#event(event);
    return owner.isDone(event as QueueEvent);
  }

  async wait(event: DeviceEvent): Promise<void> {
    if (this.isDone(event)) return;
    this.counts.waits++;
    await this.settled(event);
  }

  async settled(event: DeviceEvent): Promise<void> {
    if (!this.isDone(event)) await this.#event(event).owner.wait(event as QueueEvent);
  }

  close(): number {
    if (this.#isClosed) return 0;
    this.#isClosed = true;
    for (const queue of Object.values(this.#queues)) queue.close(this.#lost);
    const left = this.#pointers.size;
    for (const pointer of this.#pointers) this.#cl.releaseMemObject((pointer as ClPointer).native);
    this.#pointers.clear();
    this.heldBytes = 0;
    this.#programs.close();
    this.#context.release();
    return left;
  }

  #transfer(
    kind: 'enqueueWriteBuffer' | 'enqueueReadBuffer',
    pointer: Pointer,
    host: ArrayBufferView,
    options: CopyOptions,
  ): DeviceEvent {
    const { native, bytes } = this.#own(pointer);
    const { offsetBytes = 0 } = options;
    const { byteLength } = host;
    const what = `copy ${byteLength} bytes`;
    if (!(offsetBytes >= 0 && offsetBytes + byteLength <= bytes)) {
      throw this.#range('copy', offsetBytes + byteLength, bytes);
    }
    if (byteLength === 0) return this.#mark(what, options);
    const address = this.#cl.addressOf(host);
    const enqueue: Enqueue = (queue, ...waits) =>
      this.#cl[kind](queue, native, 0, offsetBytes, byteLength, address, ...waits);
    return this.#add(what, bytes, options, enqueue, host);
  }

  #mark(what: string, options: DeviceQueueOptions): DeviceEvent {
    return this.#add(what, 0, options, (...args) => this.#cl.enqueueMarkerWithWaitList(...args));
  }

  #add(
    what: string,
    bytes: number,
    { queue = 'compute', after = [] }: DeviceQueueOptions,
    enqueue: Enqueue,
    held?: ArrayBufferView,
  ): DeviceEvent {
    this.#check();
    const events = after.map((event) => this.#event(event));
    const event = this.#queues[queue].add(events, enqueue, held);
    if (typeof event === 'number') throw this.#error(event, what, bytes);
    return event;
  }

  #own(pointer: Pointer): ClPointer {
    this.#check();
    if (this.#pointers.has(pointer)) return pointer as ClPointer;
    throw new InternalError(
      `${this.#name}: expected memory of this device, got ${pointer.bytes} bytes that are freed or another's`,
    );
  }

  #event(event: DeviceEvent): QueueEvent {
    if (event instanceof QueueEvent && event.owner === this.#queues[event.queue]) return event;
    throw new InternalError(`${this.#name}: expected an event of this device, got another's`);
  }

  #made(object: Address, what: string, bytes: number): bigint {
    if (object !== null) return object;
    throw this.#error(this.#status[0]!, what, bytes);
  }

  #check(): void {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#isClosed) throw new InternalError(`${this.#name}: expected it open, got it closed`);
  }

  get #name(): string {
    return `opencl device ${this.properties.index}`;
  }

  #error(status: number, what: string, bytes: number): Error {
    const availableBytes = Math.max(0, this.properties.memoryBytes - this.heldBytes);
    const attempt: ClCall = {
      what: `${this.#name}: ${what}`,
      backend: this.#name,
      bytes,
      availableBytes: Math.min(availableBytes, bytes),
    };
    return callError(status, attempt);
  }

  #range(what: string, got: number, bytes: number): Error {
    return new ExecutionError(
      `${this.#name}: ${what}: expected at most the ${bytes} bytes there, got ${got}`,
    );
  }

  #lose(got: string): Error {
    this.#context.isSpoilt = true;
    this.#lost ??= lostError(this.#name, this.#name, got);
    for (const queue of Object.values(this.#queues)) queue.fail(this.#lost);
    return this.#lost;
  }
}

function sizes(items: readonly number[]): BigUint64Array {
  return BigUint64Array.from(items, (item) => BigInt(item));
}
