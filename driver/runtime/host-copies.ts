/**
 * The values of one execution as operators take them: a handle where its own backend reads it, else
 * a host copy. Invariant: a value held by a backend is brought to the host at most once, however
 * many operators ask and however they overlap.
 */

import type { Backend, RunContext } from '../backend/backend.js';
import { InternalError } from '../errors.js';
import type { Expr } from '../ir/expr.js';
import type { DenseMatrix, Handle, Value } from '../ir/value.js';
import type { Migration } from './migration.js';
import type { Statistics } from './statistics.js';

export interface HostCopiesContext extends RunContext {
  readonly backends: ReadonlyMap<string, Backend>;
  readonly migration: Migration;
  readonly statistics: Statistics;
}

export class HostCopies {
  readonly #values: ReadonlyMap<Expr, Value>;
  readonly #context: HostCopiesContext;
  readonly #collected = new Map<Expr, Promise<DenseMatrix>>();
  /** Announced, not yet on their way. */
  readonly #leaving = new Map<Expr, Value>();

  constructor(values: ReadonlyMap<Expr, Value>, context: HostCopiesContext) {
    this.#values = values;
    this.#context = context;
  }

  /** Starts to bring these; a failure is met again by whoever reads the value. */
  prefetch(exprs: readonly Expr[]): void {
    for (const expr of exprs) this.#onHost(expr).catch(() => undefined);
  }

  /** A host value that remote programs will read whole is to travel ahead of them, unless one starts now and takes it along. */
  announce(expr: Expr, value: Value): void {
    this.#leaving.set(expr, value);
  }

  /** A program that starts now carries these itself: sent apart, it would wait for one more exchange. */
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

  /** Lets go of what was left in a backend for this execution only. @param isOwned the cache's, made here or before */
  releaseUnowned(isOwned: (expr: Expr) => boolean): void {
    for (const [expr, value] of this.#values) {
      if (value.kind !== 'handle' || isOwned(expr)) continue;
      this.#context.backends.get(value.backend)?.release?.(value);
    }
  }

  /** An operand for that backend: its own handle if it can use one there, else the host copy. */
  async operand(expr: Expr, backend: Backend, takesHandles: boolean): Promise<Value> {
    const value = this.#values.get(expr);
    if (value === undefined) {
      throw new InternalError(`${backend.name}: expected a value of ${expr.op.name}`);
    }
    if (value.kind === 'dense') return value;
    return takesHandles && value.backend === backend.name ? value : this.#onHost(expr);
  }

  #onHost(expr: Expr): Promise<DenseMatrix> {
    const known = this.#collected.get(expr);
    if (known !== undefined) return known;
    const value = this.#values.get(expr)!;
    if (value.kind === 'dense') return Promise.resolve(value);
    const promise = this.#collect(value);
    this.#collected.set(expr, promise);
    return promise;
  }

  async #collect(handle: Handle): Promise<DenseMatrix> {
    const { migration, statistics } = this.#context;
    const isHere = migration.replicas.has(handle);
    const start = performance.now();
    const value = await migration.collect(handle, this.#context);
    if (!isHere) {
      const { backend, rows, cols } = handle;
      statistics.bar(backend, `bring ${rows}x${cols}`, start, performance.now());
    }
    if (value !== undefined) return value;
    throw new InternalError(`${handle.backend}: expected to collect ${handle.id}`);
  }
}
