/**
 * Whether steps are worth a kernel of their own: compiling one takes as long as thousands of
 * launches, and steps that are not fused run by kernels that are there, also while another thread
 * compiles theirs. Invariant: it changes when
 * values are there, never what they are: cells have the same bits fused or not.
 */
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import { forgetOldest } from '../../driver/support/forget-oldest.js';
import type { Device } from './driver.js';
import type { Lowered } from './kernels/lowered.js';
import { LAUNCH_SECONDS } from './rates.js';

/** Assumed of the vendor's compiler. @units seconds */
const COMPILE_SECONDS = 0.2;
/** Forms that are counted, the latest. */
const MAX_FORMS = 4096;

type FusionDevice = Pick<Device, 'isCompiled' | 'prepare'>;

export class Fusion {
  readonly #device: FusionDevice;
  readonly #bytesPerSecond: number;
  readonly #compileSeconds: number;
  /** What fusing a form would have saved so far. @units seconds */
  readonly #saved = new Map<string, number>();
  readonly #compiling = new Set<string>();
  readonly #failed = new Set<string>();

  /** @param compileSeconds 0: always fused */
  constructor(device: FusionDevice, bytesPerSecond: number, compileSeconds = COMPILE_SECONDS) {
    this.#device = device;
    this.#bytesPerSecond = bytesPerSecond;
    this.#compileSeconds = compileSeconds;
  }

  /** Counts the steps as run once more. */
  pays(nodes: readonly Expr[], fused: Lowered): boolean {
    if (this.#compileSeconds === 0) return true;
    const sources = fused.steps.map(({ code }) => code.source);
    // One text is its own key, and holds its hash: drivers ask by it too.
    const form = sources.length === 1 ? sources[0]! : sources.join('\0');
    const saved = (this.#saved.get(form) ?? 0) + this.#savedSeconds(nodes, fused);
    this.#saved.set(form, saved);
    forgetOldest(this.#saved, MAX_FORMS);
    if (sources.every((source) => this.#device.isCompiled(source))) return true;
    if (saved <= this.#compileSeconds) return false;
    // What is wrong with it is said where it is compiled again and launched.
    if (this.#failed.has(form)) return true;
    if (!this.#compiling.has(form)) this.#compile(form, sources);
    return false;
  }

  /** The steps go on by the kernels that are there meanwhile. */
  #compile(form: string, sources: readonly string[]): void {
    const device = this.#device;
    void Promise.all(sources.map((source) => device.prepare(source))).then(() => {
      this.#compiling.delete(form);
      if (!sources.every((source) => device.isCompiled(source))) this.#failed.add(form);
    });
    this.#compiling.add(form);
  }

  #savedSeconds(nodes: readonly Expr[], { inputs, outputs, steps }: Lowered): number {
    let bytes = 0;
    for (const node of nodes) {
      bytes += denseBytes(node);
      for (const input of node.inputs) bytes += denseBytes(input);
    }
    for (const value of [...inputs, ...outputs]) bytes -= denseBytes(value);
    return (nodes.length - steps.length) * LAUNCH_SECONDS + bytes / this.#bytesPerSecond;
  }
}
