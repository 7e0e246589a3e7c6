/**
 * One OpenCL context, which devices share that were opened to copy between each other. Invariant: it
 * is released when the last of them is closed; after the loss of one no other is opened in it.
 */
import type { OpenCl } from './bindings.js';
import { callError } from './errors.js';
import type { FoundDevice } from './info.js';

export class ClContext {
  readonly native: bigint;
  /** In the order in which programs have their binaries. */
  readonly devices: readonly bigint[];
  /** A device in it was lost. */
  isSpoilt = false;
  readonly #cl: OpenCl;
  #users = 0;

  /** @throws ExecutionError, ResourceError */
  constructor(cl: OpenCl, devices: readonly FoundDevice[]) {
    this.#cl = cl;
    this.devices = devices.map(({ native }) => native);
    const status = new Int32Array(1);
    const all = BigUint64Array.from(this.devices);
    const made = cl.createContext(null, all.length, all, null, null, status);
    if (made === null) {
      const name = `opencl device ${devices.map(({ properties }) => properties.index).join(', ')}`;
      const attempt = { what: `${name}: open`, backend: name, bytes: 0, availableBytes: 0 };
      throw callError(status[0]!, attempt);
    }
    this.native = made;
  }

  get isInUse(): boolean {
    return this.#users > 0;
  }

  retain(): this {
    this.#users++;
    return this;
  }

  release(): void {
    if (--this.#users === 0) this.#cl.releaseContext(this.native);
  }
}
