/**
 * An open CUDA device. Invariants: its context is current on this thread whenever the driver is
 * called; memory given back is freed when the work queued before has ended, so that nothing waits;
 * copies go through page-locked memory, and without it only when there is none left.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { ExecutionError, InternalError, ResourceError } from '../../../driver/errors.js';
import { loadKoffi } from '../../koffi.js';
import { nothingCounted } from '../device-counts.js';
import type {
  CompiledKernel,
  CopyOptions,
  Device,
  DeviceEvent,
  DeviceProduct,
  DeviceProperties,
  DeviceQueueOptions,
  DeviceSystem,
  KernelLaunch,
  Pointer,
  QueueName,
} from '../driver.js';
import type { CudaCalls } from './bindings.js';
import { mirrorLaunch } from './cublas.js';
import { CudaEvent, CudaPointer } from './cuda-handles.js';
import { ArgumentCells, CudaKernels, gridOf, type KernelParts } from './cuda-kernel.js';
import { CudaLibraries, withLibraries } from './cuda-libraries.js';
import { CudaQueue, quietly } from './cuda-queue.js';
import { checkLaunch, finishLaunch, prepareLaunch } from './cusolver.js';
import { Staging } from './staging.js';

/** Given back; its address is free once both queues have passed these marks. */
interface Freed {
  readonly address: bigint;
  readonly compute: number;
  readonly copy: number;
}

/** Looks at an event that are a turn of the event loop apart, before they are `POLL_MS` apart. */
const EAGER_LOOKS = 50;
const POLL_MS = 1;

/** Of this thread: contexts are current by thread, and a worker loads this module for itself. */
let current: bigint | undefined;

export interface CudaParts extends KernelParts {
  /** The driver's number of the device. */
  readonly ordinal: number;
  /** Looked in first for cuBLAS. */
  readonly folder: string | undefined;
}

export class CudaDevice implements Device {
  readonly properties: DeviceProperties;
  readonly counts = nothingCounted();
  readonly #calls: CudaCalls;
  readonly #ordinal: number;
  readonly #context: bigint;
  readonly #queues: Readonly<Record<QueueName, CudaQueue>>;
  readonly #kernels: CudaKernels;
  readonly #libraries: CudaLibraries;
  readonly #staging: Staging;
  readonly #arguments: ArgumentCells;
  readonly #pointers = new Set<CudaPointer>();
  #freed: Freed[] = [];
  #heldBytes = 0;
  #isClosed = false;
  readonly prepare = (source: string): Promise<void> => this.#kernels.prepare(source);

  constructor(properties: DeviceProperties, parts: CudaParts) {
    const { api, ordinal, folder } = parts;
    this.properties = withLibraries(properties, () => {
      this.#enter();
      return this.#libraries.hasSolver;
    });
    this.#calls = api.call;
    this.#ordinal = ordinal;
    const context = new BigUint64Array(1);
    api.call.cuDevicePrimaryCtxRetain(context, ordinal);
    this.#context = context[0]!;
    const made: CudaQueue[] = [];
    const added = (): CudaQueue => made[made.push(new CudaQueue(api.call)) - 1]!;
    try {
      this.#enter();
      this.#queues = { compute: added(), copy: added() };
    } catch (error) {
      for (const queue of made) queue.close();
      this.#leave();
      throw error;
    }
    this.#kernels = new CudaKernels(parts);
    this.#libraries = new CudaLibraries({
      ...{ calls: api.call, stream: this.#queues.compute.stream, folder },
      addressOf: (pointer) => this.#own(pointer).address,
      allocate: (bytes) => this.#addressOf(bytes),
    });
    this.#staging = new Staging(api.call);
    this.#arguments = new ArgumentCells((memory) => BigInt(loadKoffi().address(memory)));
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  allocate(bytes: number): Pointer {
    this.#enter();
    this.#freeEnded();
    const address = this.#addressOf(bytes);
    const pointer = new CudaPointer(bytes, address);
    this.#pointers.add(pointer);
    this.#heldBytes += bytes;
    this.counts.allocations++;
    return pointer;
  }

  free(pointer: Pointer): void {
    const { address } = this.#own(pointer);
    this.#pointers.delete(pointer as CudaPointer);
    this.#heldBytes -= pointer.bytes;
    this.counts.frees++;
    const { compute, copy } = this.#queues;
    this.#freed.push({ address, compute: compute.last, copy: copy.last });
  }

  write(to: Pointer, from: ArrayBufferView, options: CopyOptions = {}): DeviceEvent {
    const { address, stream } = this.#copyPlace('write', to, from, options);
    const source = bytesOf(from);
    this.counts.copiesIn++;
    this.counts.bytesIn += source.byteLength;
    if (source.byteLength === 0) return this.#mark(options);
    const buffer = this.#staging.take(source.byteLength);
    if (buffer === undefined) {
      this.#calls.cuMemcpyHtoDAsync_v2(address, source, source.byteLength, stream);
      return this.#mark(options, () => void source);
    }
    buffer.content.set(source);
    this.#calls.cuMemcpyHtoDAsync_v2(address, buffer.content, source.byteLength, stream);
    return this.#mark(options, () => this.#staging.give(buffer));
  }

  read(from: Pointer, to: ArrayBufferView, options: CopyOptions = {}): DeviceEvent {
    const { address, stream } = this.#copyPlace('read', from, to, options);
    const target = bytesOf(to);
    this.counts.copiesOut++;
    this.counts.bytesOut += target.byteLength;
    if (target.byteLength === 0) return this.#mark(options);
    const buffer = this.#staging.take(target.byteLength);
    if (buffer === undefined) {
      this.#calls.cuMemcpyDtoHAsync_v2(target, address, target.byteLength, stream);
      return this.#mark(options, () => void target);
    }
    this.#calls.cuMemcpyDtoHAsync_v2(buffer.content, address, target.byteLength, stream);
    return this.#mark(options, () => {
      target.set(buffer.content.subarray(0, target.byteLength));
      this.#staging.give(buffer);
    });
  }

  copy(from: Pointer, to: Pointer, bytes: number, options: DeviceQueueOptions = {}): DeviceEvent {
    const source = this.#own(from);
    const target = this.#own(to);
    const least = Math.min(from.bytes, to.bytes);
    if (bytes > least) throw this.#range('copy', bytes, least);
    const { stream } = this.#begin(options);
    if (bytes > 0) this.#calls.cuMemcpyDtoDAsync_v2(target.address, source.address, bytes, stream);
    return this.#mark(options);
  }

  copyFrom(
    peer: Device,
    from: Pointer,
    to: Pointer,
    bytes: number,
    after: readonly DeviceEvent[],
  ): DeviceEvent | undefined {
    if (!(#context in peer)) return undefined;
    const [source, target] = [peer.#own(from), this.#own(to)];
    const least = Math.min(from.bytes, to.bytes);
    if (bytes > least) throw this.#range('copy', bytes, least);
    const { compute } = this.#queues;
    this.#enter();
    for (const { queue, mark } of after.map((event) => peer.#ownEvent(event)))
      compute.startBehind(peer.#queues[queue], mark);
    const places = [target.address, this.#context, source.address, peer.#context] as const;
    this.#calls.cuMemcpyPeerAsync(...places, bytes, compute.stream);
    this.counts.copiesAcross++;
    this.counts.bytesAcross += bytes;
    return this.#mark({});
  }

  compile(source: string, name: string): CompiledKernel {
    this.#enter();
    return this.#kernels.kernel(source, name, () => {
      this.counts.compiles++;
    });
  }

  isCompiled(source: string): boolean {
    return this.#kernels.has(source);
  }

  launch(launch: KernelLaunch, options: DeviceQueueOptions = {}): DeviceEvent {
    const { kernel } = launch;
    if (!this.#kernels.owns(kernel)) {
      throw new InternalError(
        `${this.#name}: expected a kernel of this device, got ${kernel.name} of another`,
      );
    }
    const [grid, block] = gridOf(launch);
    this.#arguments.write(kernel, launch.arguments, (pointer) => this.#own(pointer).address);
    const { stream } = this.#begin(options);
    const { pointers } = this.#arguments;
    this.#calls.cuLaunchKernel(kernel.handle, ...grid, ...block, 0, stream, pointers, null);
    this.counts.launches++;
    return this.#mark(options);
  }

  multiply(
    product: DeviceProduct,
    { after = [] }: Pick<DeviceQueueOptions, 'after'> = {},
  ): DeviceEvent | undefined {
    this.#begin({ after });
    if (!this.#libraries.multiply(product)) return undefined;
    this.counts.launches++;
    return product.isSymmetric === true ? this.launch(mirrorLaunch(product, this)) : this.#mark({});
  }

  solve(
    system: DeviceSystem,
    { after = [] }: Pick<DeviceQueueOptions, 'after'> = {},
  ): DeviceEvent | undefined {
    this.#enter();
    if (!this.#libraries.canSolve(system)) return undefined;
    this.launch(prepareLaunch(system, this), { after });
    this.counts.launches += this.#libraries.solve(system);
    this.launch(checkLaunch(system, this));
    return this.launch(finishLaunch(system, this));
  }

  /** CUDA hands work over when it is queued. */
  flush(): void {
    this.#enter();
  }

  async wait(event: DeviceEvent): Promise<void> {
    const { queue, mark } = this.#ownEvent(event);
    if (this.#hasEnded(queue, mark)) return;
    this.counts.waits++;
    await this.settled(event);
  }

  async settled(event: DeviceEvent): Promise<void> {
    const { queue, mark } = this.#ownEvent(event);
    // Asked again and again: a call that waits would need the context on another thread.
    for (let looks = 1; !this.#hasEnded(queue, mark); looks++) {
      await (looks < EAGER_LOOKS ? nextTurn() : sleep(POLL_MS));
    }
  }

  isDone(event: DeviceEvent): boolean {
    const { queue, mark } = this.#ownEvent(event);
    try {
      return this.#hasEnded(queue, mark);
    } catch {
      // It failed: whoever waits hears why.
      return true;
    }
  }

  close(): number {
    if (this.#isClosed) return 0;
    const leaked = this.#pointers.size;
    quietly(() => this.#enter());
    this.#libraries.close();
    for (const queue of Object.values(this.#queues)) queue.close();
    this.#isClosed = true;
    for (const { address } of [...this.#pointers, ...this.#freed.splice(0)]) {
      quietly(() => this.#calls.cuMemFree_v2(address));
    }
    this.#pointers.clear();
    this.#heldBytes = 0;
    this.#kernels.close();
    this.#staging.close();
    this.#leave();
    return leaked;
  }

  #leave(): void {
    current = undefined;
    quietly(() => this.#calls.cuCtxSetCurrent(0n));
    quietly(() => this.#calls.cuDevicePrimaryCtxRelease_v2(this.#ordinal));
  }

  #enter(): void {
    if (this.#isClosed) throw new InternalError(`${this.#name}: expected it open, got it closed`);
    if (current === this.#context) return;
    this.#calls.cuCtxSetCurrent(this.#context);
    current = this.#context;
  }

  /** Enters, and lets a queue wait for what work has to come after. */
  #begin({ queue = 'compute', after = [] }: DeviceQueueOptions): CudaQueue {
    this.#enter();
    for (const event of after) {
      const { queue: other, mark } = this.#ownEvent(event);
      if (other !== queue) this.#queues[queue].startBehind(this.#queues[other], mark);
    }
    return this.#queues[queue];
  }

  #mark({ queue = 'compute' }: DeviceQueueOptions, onDone?: () => void): DeviceEvent {
    return new CudaEvent(this, queue, this.#queues[queue].mark(onDone));
  }

  #hasEnded(queue: QueueName, mark: number): boolean {
    if (this.#isClosed) return true;
    this.#enter();
    return this.#queues[queue].isDone(mark);
  }

  #copyPlace(op: string, pointer: Pointer, host: ArrayBufferView, options: CopyOptions) {
    const { offsetBytes = 0 } = options;
    const { address } = this.#own(pointer);
    if (offsetBytes < 0 || offsetBytes + host.byteLength > pointer.bytes) {
      throw this.#range(op, offsetBytes + host.byteLength, pointer.bytes);
    }
    const { stream } = this.#begin(options);
    return { address: address + BigInt(offsetBytes), stream };
  }

  #own(pointer: Pointer): CudaPointer {
    if (pointer instanceof CudaPointer && this.#pointers.has(pointer)) return pointer;
    throw new InternalError(
      `${this.#name}: expected memory of this device, got ${pointer.bytes} bytes that are freed or another's`,
    );
  }

  #ownEvent(event: DeviceEvent): CudaEvent {
    if (event instanceof CudaEvent && event.owner === this) return event;
    throw new InternalError(`${this.#name}: expected an event of this device, got another's`);
  }

  #range(op: string, got: number, bytes: number): Error {
    return new ExecutionError(
      `${this.#name}: ${op}: expected at most the ${bytes} bytes there, got ${got}`,
      { op, backend: 'cuda' },
    );
  }

  get #name(): string {
    return `cuda device ${this.properties.index}`;
  }

  #addressOf(bytes: number): bigint {
    return this.#tryAllocate(bytes) ?? this.#allocateBehindFreed(bytes);
  }

  /** Undefined when the device has no memory left. */
  #tryAllocate(bytes: number): bigint | undefined {
    const address = new BigUint64Array(1);
    try {
      this.#calls.cuMemAlloc_v2(address, Math.max(bytes, 1));
      return address[0]!;
    } catch (error) {
      if (error instanceof ResourceError) return undefined;
      throw error;
    }
  }

  /** Only where memory is short, the host waits for what is about to be freed. */
  #allocateBehindFreed(bytes: number): bigint {
    if (this.#freed.length > 0) {
      for (const queue of Object.values(this.#queues)) queue.drain();
      this.#freeEnded();
      const address = this.#tryAllocate(bytes);
      if (address !== undefined) return address;
    }
    const { memoryBytes } = this.properties;
    throw new ResourceError(
      `${this.#name}: allocate: expected ${bytes} bytes of the device's memory, got none left of ${memoryBytes}, ${this.#heldBytes} of them held here; use smaller data or another device`,
      {
        resource: 'cuda memory',
        requestedBytes: bytes,
        availableBytes: Math.max(0, memoryBytes - this.#heldBytes),
      },
    );
  }

  #freeEnded(): void {
    const { compute, copy } = this.#queues;
    const ended = this.#freed.filter((it) => compute.isDone(it.compute) && copy.isDone(it.copy));
    if (ended.length === 0) return;
    this.#freed = this.#freed.filter((it) => !ended.includes(it));
    for (const { address } of ended) this.#calls.cuMemFree_v2(address);
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
