/**
 * Kernels that every step of an operator shares are compiled before the first of them is queued, on
 * another thread: the event loop goes on. Invariant: it changes when steps are
 * queued, never whether; a source that does not compile is found out where it is launched.
 */
import type { DType } from '../../driver/ir/dtype.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { OpDef } from '../../driver/ir/op-def.js';
import type { Device } from './driver.js';
import { lower } from './kernels/lower.js';
import { isFromHost } from './launch-groups.js';

/** Compiling that takes longer is said. @units milliseconds */
const SLOW_MS = 1000;

export class KernelPreparation {
  readonly #onSlow: (() => void) | undefined;
  readonly #slowMs: number;
  #isSaid = false;
  /** Operators whose kernels are there, or about to be. */
  readonly #met = new Map<OpDef, Set<DType>>();
  #compiling: Promise<unknown> | undefined;

  /** @param onSlow told once, when kernels have been compiled for a while that a plan waits for */
  constructor(onSlow?: () => void, slowMs = SLOW_MS) {
    this.#onSlow = onSlow;
    this.#slowMs = slowMs;
  }

  /**
   * @param isFused cell-wise steps have kernels of their own from the first on
   * @returns undefined when there is nothing to wait for
   */
  before(nodes: readonly Expr[], device: Device, isFused: boolean): Promise<unknown> | undefined {
    const sources = nodes.flatMap((node) => {
      if (isFromHost(node.op) || (isFused && node.op.elementwise) || !this.#isNew(node)) return [];
      const steps = lower(node, device.properties)?.steps ?? [];
      // What the vendor's library multiplies needs none.
      const own = steps.filter(({ product }) => !product || device.multiply === undefined);
      return own.map(({ code }) => code.source);
    });
    const missing = [...new Set(sources)].filter((source) => !device.isCompiled(source));
    if (missing.length === 0) return this.#compiling;
    const all = [this.#compiling, ...missing.map((source) => device.prepare(source))];
    const say = (): void => {
      if (!this.#isSaid) this.#onSlow?.();
      this.#isSaid = true;
    };
    const timer = setTimeout(say, this.#slowMs).unref();
    const compiling = Promise.all(all).finally(() => {
      clearTimeout(timer);
      if (this.#compiling === compiling) this.#compiling = undefined;
    });
    this.#compiling = compiling;
    return compiling;
  }

  #isNew({ op, dtype }: Expr): boolean {
    const met = this.#met.get(op) ?? new Set();
    this.#met.set(op, met);
    return met.size < met.add(dtype).size;
  }
}
