/**
 * The values of one execution as operators take them: a handle where its own backend reads it, else
 * a host copy. Invariant: a copy brought to the host stays there until the execution ends, so that
 * a value is brought once however many operators ask.
 */

import type { Backend, RunContext } from '../backend/backend.js';
import type { Copy } from '../backend/place.js';
import type { Places } from '../backend/places.js';
import { InternalError } from '../errors.js';
import type { Expr } from '../ir/expr.js';
import type { DenseMatrix, Handle, Value } from '../ir/value.js';
import type { Statistics } from './statistics.js';

export interface OperandsContext extends RunContext {
  readonly backends: ReadonlyMap<string, Backend>;
  readonly places: Places;
  readonly statistics: Statistics;
}

export class Operands {
  readonly #values: Pick<ReadonlyMap<Expr, Value>, 'get'>;
  readonly #context: OperandsContext;
  /** Copies this execution reads. */
  readonly #copies = new Map<Handle, Promise<Copy<DenseMatrix> | undefined>>();
  /** Of values of other devices, by the device that reads them. */
  readonly #adopted = new Map<Handle, Map<Backend, Promise<Handle | undefined>>>();
  /** Announced, not yet on their way. */
  readonly #leaving = new Map<Expr, Value>();

  constructor(values: Pick<ReadonlyMap<Expr, Value>, 'get'>, context: OperandsContext) {
    this.#values = values;
    this.#context = context;
  }

  /** Starts to bring these; a failure is met again by whoever reads the value. */
  prefetch(exprs: readonly Expr[]): void {
    for (const expr of exprs) {
      const value = this.#values.get(expr);
      if (value?.kind === 'handle') this.#onHost(value).catch(() => undefined);
    }
  }

  /** Sends a host value that remote programs read whole ahead, unless one starting now takes it. */
  announce(expr: Expr, value: Value): void {
    this.#leaving.set(expr, value);
  }

  /** A program that starts now carries these itself, which saves waiting for one exchange more. */
  takeAlong(exprs: Iterable<Expr>): void {
    for (const expr of exprs) this.#leaving.delete(expr);
  }

  /** Sends what was announced. */
  sendAhead(): void {
    for (const value of this.#leaving.values()) {
      for (const backend of this.#context.backends.values()) backend.announce?.(value);
    }
    this.#leaving.clear();
  }

  /** Lets go of what was brought. */
  async end(): Promise<void> {
    const { places } = this.#context;
    for (const coming of this.#copies.values()) {
      const copy = await coming.catch(() => undefined);
      if (copy !== undefined) places.host.unpin(copy);
    }
    for (const [backend, coming] of [...this.#adopted.values()].flatMap((all) => [...all])) {
      const own = await coming.catch(() => undefined);
      if (own !== undefined && backend.holds?.(own) !== false) places.release(own);
    }
  }

  /** An operand for that backend: its own handle if it can use one there, else the host copy. */
  async operand(expr: Expr, backend: Backend, takesHandles: boolean): Promise<Value> {
    const value = this.#values.get(expr);
    if (value === undefined) {
      throw new InternalError(`${backend.name}: expected a value of ${expr.op.name}`);
    }
    if (value.kind === 'dense' || (takesHandles && value.backend === backend.name)) return value;
    const adopted = takesHandles ? await this.#adopt(value, backend) : undefined;
    if (adopted !== undefined) return adopted;
    const copy = await this.#onHost(value);
    if (copy !== undefined) return copy.it;
    throw new InternalError(`${value.backend}: expected to collect ${value.id}`);
  }

  /** Straight from one device to the other, once however many operators there read it. */
  async #adopt(handle: Handle, backend: Backend): Promise<Handle | undefined> {
    const from = this.#context.backends.get(handle.backend);
    if (from === undefined || backend.adopt === undefined) return undefined;
    const all = this.#adopted.get(handle) ?? new Map<Backend, Promise<Handle | undefined>>();
    this.#adopted.set(handle, all);
    for (;;) {
      const coming = all.get(backend) ?? backend.adopt(handle, from);
      all.set(backend, coming);
      const own = await coming;
      // What went with a device that was lost is copied again.
      if (own === undefined || backend.holds?.(own) !== false) return own;
      if (all.get(backend) === coming) all.delete(backend);
    }
  }

  #onHost(handle: Handle): Promise<Copy<DenseMatrix> | undefined> {
    let copy = this.#copies.get(handle);
    if (copy === undefined) {
      copy = this.#bring(handle);
      this.#copies.set(handle, copy);
    }
    return copy;
  }

  async #bring(handle: Handle): Promise<Copy<DenseMatrix> | undefined> {
    const { places, statistics } = this.#context;
    const isHere = places.host.has(handle);
    const start = performance.now();
    const copy = await places.bring(handle, this.#context);
    if (!isHere) {
      const { backend, rows, cols } = handle;
      statistics.bar(backend, `bring ${rows}x${cols}`, start, performance.now());
    }
    return copy;
  }
}
