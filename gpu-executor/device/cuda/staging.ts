/**
 * Page-locked memory of the host that copies go through. CUDA copies from and to other memory only
 * while the host waits. Invariant: at most `LIMIT_BYTES` are locked; buffers are used again and
 * given back when the device is closed.
 */
import { loadKoffi } from '../../koffi.js';
import type { CudaCalls } from './bindings.js';
import { quietly } from './cuda-queue.js';

const SMALLEST_BYTES = 64 * 1024;
const LIMIT_BYTES = 256 * 2 ** 20;

export interface StagingBuffer {
  readonly address: bigint;
  readonly content: Uint8Array;
}

export class Staging {
  readonly #call: CudaCalls;
  readonly #spare = new Map<number, StagingBuffer[]>();
  readonly #all: StagingBuffer[] = [];
  #bytes = 0;

  constructor(call: CudaCalls) {
    this.#call = call;
  }

  /** At least so many bytes; undefined where there are not so many now: copy without. */
  take(bytes: number): StagingBuffer | undefined {
    const size = Math.max(SMALLEST_BYTES, 2 ** Math.ceil(Math.log2(bytes)));
    const spare = this.#spare.get(size)?.pop();
    if (spare !== undefined) return spare;
    if (this.#bytes + size > LIMIT_BYTES) return undefined;
    return this.#allocate(size);
  }

  give(buffer: StagingBuffer): void {
    const size = buffer.content.byteLength;
    const spare = this.#spare.get(size);
    if (spare === undefined) this.#spare.set(size, [buffer]);
    else spare.push(buffer);
  }

  close(): void {
    this.#spare.clear();
    for (const { address } of this.#all.splice(0)) quietly(() => this.#call.cuMemFreeHost(address));
  }

  #allocate(size: number): StagingBuffer | undefined {
    const address = new BigUint64Array(1);
    try {
      this.#call.cuMemHostAlloc(address, size, 0);
    } catch {
      // The host has no more memory that can be locked; copies work without.
      return undefined;
    }
    const content = new Uint8Array(loadKoffi().view(address[0]!, size));
    const buffer = { address: address[0]!, content };
    this.#all.push(buffer);
    this.#bytes += size;
    return buffer;
  }
}
