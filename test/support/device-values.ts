/**
 * Values in the memory of a plain device, under a reuse cache, as a device backend and the runtime
 * together make and read them. The cells of each say which node it is of.
 */
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import { Interner } from '../../driver/ir/intern.js';
import type { Handle } from '../../driver/ir/value.js';
import { ops } from '../../driver/operators/index.js';
import { type CacheEntry, ReuseCache } from '../../driver/reuse/reuse-cache.js';
import {
  DeviceMemory,
  type DeviceMemoryOptions,
} from '../../gpu-executor/device/memory/device-memory.js';
import { PlainDevice } from './plain-device.js';

const interner = new Interner();
let seeds = 0;

/** A node of n x 1 cells that no other test has; `exp` is light, a product of matrices heavy. */
export function lightNode(rows: number, height = 2): Expr {
  const attrs = { rows, cols: 1, seed: seeds++, distribution: 'uniform', min: 0, max: 1 };
  let expr = interner.intern(ops.rand, [], attrs);
  for (let i = 1; i < height; i++) expr = interner.intern(ops.exp, [expr]);
  return expr;
}

export function heavyNode(rows: number): Expr {
  const attrs = { rows, cols: 1, seed: seeds++, distribution: 'uniform', min: 0, max: 1 };
  const one = interner.intern(ops.rand, [], { ...attrs, rows: 1 });
  return interner.intern(ops.matmul, [interner.intern(ops.rand, [], attrs), one]);
}

export class DeviceValues {
  readonly device = new PlainDevice();
  readonly memory: DeviceMemory;
  readonly cache: ReuseCache;
  /** Told each entry that is about to leave the cache for want of memory. */
  onEvict: (entry: CacheEntry) => void = () => {};
  #names = 0;

  constructor(budgetBytes: number, options: Partial<DeviceMemoryOptions> = {}) {
    const { device } = this;
    const copySeconds = (bytes: number): number => bytes * 1e-9;
    this.memory = new DeviceMemory({ name: 'gpu', device, budgetBytes, copySeconds, ...options });
    this.cache = new ReuseCache({
      budgetBytes: 1e9,
      tiers: [this.memory],
      release: (handle) => this.memory.releaseHandle(handle),
      onEvict: (entry) => this.onEvict(entry),
    });
  }

  /** The name of a value that its plan owns. */
  name(expr: Expr): Handle {
    const { rows, cols, dtype } = expr;
    const bytes = denseBytes(expr);
    const id = `gpu-${++this.#names}`;
    const handle: Handle = { kind: 'handle', backend: 'gpu', id, rows, cols, dtype, bytes };
    const block = this.memory.take(bytes);
    this.device.write(block.pointer, cellsOf(expr));
    this.memory.named(handle, block);
    return handle;
  }

  /** A value that the cache owns. */
  keep(expr: Expr, seconds = 1): Handle {
    const handle = this.name(expr);
    this.cache.claim(expr);
    this.cache.put(expr, handle, seconds, 'gpu');
    return handle;
  }

  /** Asks the cache and reads. @returns whether it is there; its cells are checked */
  find(expr: Expr): boolean {
    const entry = this.cache.probe(expr);
    if (entry?.value?.kind !== 'handle') return false;
    this.cache.hit(entry);
    const end = this.memory.pin([entry.value]);
    this.check(expr, entry.value);
    end();
    return true;
  }

  /** @throws unless the value of a handle is the node's */
  check(expr: Expr, handle: Handle): void {
    const block = this.memory.use(handle);
    if (block === undefined) throw new Error(`expected a value under ${handle.id}`);
    const cells = this.device.cellsAt(block.pointer);
    if (!Buffer.from(cellsOf(expr)).equals(cells)) throw new Error(`${handle.id}: another value`);
    this.memory.release(block);
  }
}

function cellsOf(expr: Expr): Uint8Array {
  return new Uint8Array(denseBytes(expr)).fill(expr.id % 251).fill(expr.height, 0, 1);
}
