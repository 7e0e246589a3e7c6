/**
 * The in-memory reuse cache: lineage to value, with single flight. Keys are interned nodes, so a probe is one map
 * look-up. Invariants: a node is computed by at most one claimant at a time; every claim ends in `put` or
 * `withdraw`, whatever fails; bytes held never exceed the budget by more than the entry just put.
 * Source: MEMPHIS (EDBT 2025) section 4 and LIMA's CostNSize policy: evict the lowest (hits + misses + 1) * cost / size.
 */
import type { Expr } from '../ir/expr.js';
import type { OpDef } from '../operators/op-def.js';
import type { Handle, Value } from '../runtime/value.js';

export interface CacheEntry {
  readonly expr: Expr;
  /** `pending`: claimed, being computed. */
  state: 'pending' | 'cached';
  value: Value | undefined;
  /** Settles when the claimant puts (true) or withdraws (false); made on the first waiter's demand. */
  settled:
    | { readonly promise: Promise<boolean>; readonly resolve: (cached: boolean) => void }
    | undefined;
  bytes: number;
  /** Time to compute it once. @units seconds */
  seconds: number;
  hits: number;
  /** Evictions of this key before; a value computed again and again earns its place. */
  misses: number;
  /** Which backend computed it. */
  backend: string;
}

export interface ReuseCacheOptions {
  /** Bytes of values kept on the host. */
  readonly budgetBytes: number;
  /** Drops a value that lives in a backend. */
  readonly release: (handle: Handle) => void;
  /** Inputs under which a value on the host can be found by `siblings`. Default: none. */
  readonly siblingKeys?: (expr: Expr) => readonly Expr[];
}

/** Bookkeeping charged to every entry, so that millions of scalars count too. @units bytes */
const ENTRY_OVERHEAD_BYTES = 256;

/** Cached nodes remembered under one input; older ones are found by their own key only. */
const MAX_SIBLINGS = 64;

export class ReuseCache {
  readonly budgetBytes: number;
  readonly #release: (handle: Handle) => void;
  readonly #siblingKeys: (expr: Expr) => readonly Expr[];
  readonly #entries = new Map<Expr, CacheEntry>();
  readonly #siblings = new Map<OpDef, Map<Expr, Expr[]>>();
  readonly #evictions = new WeakMap<Expr, number>();
  #bytes = 0;
  evicted = 0;

  constructor(options: ReuseCacheOptions) {
    this.budgetBytes = options.budgetBytes;
    this.#release = options.release;
    this.#siblingKeys = options.siblingKeys ?? (() => []);
  }

  /** Host bytes held now. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  probe(expr: Expr): CacheEntry | undefined {
    return this.#entries.get(expr);
  }

  /** Cached nodes of this operator, values on the host, that are findable under `key`; oldest first. */
  siblings(op: OpDef, key: Expr): readonly Expr[] {
    return this.#siblings.get(op)?.get(key) ?? [];
  }

  /** Marks `expr` as being computed by the caller, who must then `put` or `withdraw` it. */
  claim(expr: Expr): void {
    this.#entries.set(expr, {
      expr,
      state: 'pending',
      value: undefined,
      settled: undefined,
      bytes: 0,
      seconds: 0,
      hits: 0,
      misses: this.#evictions.get(expr) ?? 0,
      backend: '',
    });
  }

  /** Resolves when the claimant of a pending entry is done: true if the value is there now. */
  wait(entry: CacheEntry): Promise<boolean> {
    if (entry.settled === undefined) {
      let resolve!: (cached: boolean) => void;
      const promise = new Promise<boolean>((done) => {
        resolve = done;
      });
      entry.settled = { promise, resolve };
    }
    return entry.settled.promise;
  }

  /** Ends a claim with its value. A value larger than the budget is handed to waiters but not kept. */
  put(expr: Expr, value: Value, seconds: number, backend: string): void {
    const entry = this.#entries.get(expr);
    if (entry === undefined || entry.state !== 'pending') return;
    entry.value = value;
    entry.seconds = seconds;
    entry.backend = backend;
    entry.bytes = (value.kind === 'dense' ? value.data.byteLength : 0) + ENTRY_OVERHEAD_BYTES;
    entry.state = 'cached';
    this.#bytes += entry.bytes;
    if (value.kind === 'dense') this.#index(expr);
    entry.settled?.resolve(true);
    if (entry.bytes > this.budgetBytes) this.#drop(entry);
    else if (this.#bytes > this.budgetBytes) this.#makeSpace(entry);
  }

  /** Ends a claim without a value; waiters compute for themselves. */
  withdraw(expr: Expr): void {
    const entry = this.#entries.get(expr);
    if (entry?.state !== 'pending') return;
    this.#entries.delete(expr);
    entry.settled?.resolve(false);
  }

  /** Drops the cached values that `isGone` names: their backend has ended. @returns how many */
  forget(isGone: (value: Value) => boolean): number {
    const gone = [...this.#entries.values()].filter(
      ({ state, value }) => state === 'cached' && value !== undefined && isGone(value),
    );
    for (const entry of gone) this.#drop(entry);
    return gone.length;
  }

  /** Drops every cached value; pending ones stay. */
  clear(): void {
    for (const entry of [...this.#entries.values()])
      if (entry.state === 'cached') this.#drop(entry);
  }

  entries(): IterableIterator<CacheEntry> {
    return this.#entries.values();
  }

  /** Evicts down to 90 % of the budget at once, so that the sort is paid rarely; `keep` was just put. */
  #makeSpace(keep: CacheEntry): void {
    const candidates = [...this.#entries.values()].filter(
      (entry) => entry.state === 'cached' && entry !== keep && entry.value?.kind === 'dense',
    );
    const score = (entry: CacheEntry): number =>
      ((entry.hits + entry.misses + 1) * entry.seconds) / entry.bytes;
    candidates.sort((a, b) => score(a) - score(b) || a.expr.id - b.expr.id);
    const target = this.budgetBytes * 0.9;
    for (const entry of candidates) {
      if (this.#bytes <= target) break;
      this.#evictions.set(entry.expr, entry.misses + 1);
      this.evicted++;
      this.#drop(entry);
    }
  }

  #index(expr: Expr): void {
    for (const key of this.#siblingKeys(expr)) {
      let ofOp = this.#siblings.get(expr.op);
      if (ofOp === undefined) {
        ofOp = new Map();
        this.#siblings.set(expr.op, ofOp);
      }
      const known = ofOp.get(key);
      if (known === undefined) ofOp.set(key, [expr]);
      else if (known.push(expr) > MAX_SIBLINGS) known.shift();
    }
  }

  #unindex(expr: Expr): void {
    const ofOp = this.#siblings.get(expr.op);
    if (ofOp === undefined) return;
    for (const key of this.#siblingKeys(expr)) {
      const kept = ofOp.get(key)?.filter((sibling) => sibling !== expr);
      if (kept === undefined) continue;
      if (kept.length === 0) ofOp.delete(key);
      else ofOp.set(key, kept);
    }
  }

  #drop(entry: CacheEntry): void {
    this.#entries.delete(entry.expr);
    this.#unindex(entry.expr);
    this.#bytes -= entry.bytes;
    if (entry.value?.kind === 'handle') this.#release(entry.value);
  }
}
