/**
 * Ties a session to the durable store: which nodes are looked up there, which results go there, and when. Invariants: only
 * results that took long are stored; nothing is published when an input file changed while it was read; of several
 * processes that need the same long result one computes it and the others wait (leases, taken in key order so that no
 * two processes wait for each other).
 */
import { createHash } from 'node:crypto';
import type { FrameSource } from '../frame/engine.js';
import { reducesFrameData } from '../frame/frame-data.js';
import { verifyUnchanged } from '../frame/identity.js';
import { denseBytes, type Expr, topological } from '../ir/expr.js';
import { lineageKey } from '../ir/lineage-key.js';
import { frame } from '../operators/frame.js';
import type { DenseMatrix, Value } from '../runtime/value.js';
import type { DurableStore } from './store/durable-store.js';
import type { Json } from './store/entry-format.js';
import type { Lease } from './store/lease.js';
import { StoredSiblings } from './stored-siblings.js';

/** Other results than reductions of data are not worth a file when computed faster than this. @units seconds */
export const STORE_SECONDS = 0.02;
/** Work of at least this size is looked up. @units flops */
const LOOKUP_FLOPS = 2e7;
/** Results expected to take longer are computed by one process at a time, and so is what passes over data make. @units seconds */
const LEASE_SECONDS = 0.2;
/**
 * Leases on so many of a pass's results, those with the least keys, stand for all: a pass over thousands of files makes
 * thousands. Keys being digests, two passes that have most results in common have some of these in common (min-wise hashing).
 */
const PASS_LEASES = 8;
/** Header and digest of a stored matrix at most. @units bytes */
const ENTRY_BYTES = 1024;

export interface Recalled {
  readonly values: ReadonlyMap<Expr, Value>;
  /** Seconds the recalled results once took. */
  readonly seconds: ReadonlyMap<Expr, number>;
  readonly leases: ReadonlyMap<Expr, Lease>;
}

export class DurableTier {
  readonly store: DurableStore;
  readonly siblings: StoredSiblings;
  readonly #estimate: (expr: Expr) => number;
  readonly #publishing = new Set<Promise<unknown>>();

  /**
   * @param estimate expected seconds of a node
   * @param siblingKeys the inputs under which a stored node can be found by later processes
   */
  constructor(
    store: DurableStore,
    estimate: (expr: Expr) => number,
    siblingKeys: (expr: Expr) => readonly Expr[] = () => [],
  ) {
    this.store = store;
    this.siblings = new StoredSiblings(store, siblingKeys);
    this.#estimate = estimate;
  }

  /** Values of the nodes nearest the roots that are stored, and leases on the long ones that are not. */
  async recall(
    roots: readonly Expr[],
    isThere: (expr: Expr) => boolean,
    signal?: AbortSignal,
  ): Promise<Recalled> {
    const values = new Map<Expr, Value>();
    const seconds = new Map<Expr, number>();
    const leases = new Map<Expr, Lease>();
    const refused = new Set<Expr>();
    const asked = new Set(roots);
    /** The greatest key held. */
    let last: Expr | undefined;
    /** Whether what passes make is leased, or is to be computed without. */
    let isCovered = false;
    let isAlone = false;
    await this.store.refresh();
    try {
      for (;;) {
        const stored: Expr[] = [];
        const long: Expr[] = [];
        const passes: Expr[] = [];
        topological(roots, (expr) => {
          if (values.has(expr) || isThere(expr)) return true;
          if (!isWorthLooking(expr)) return false;
          if (!refused.has(expr) && this.store.has(lineageKey(expr))) {
            stored.push(expr);
            return true;
          }
          const isOpen = !leases.has(expr) && !refused.has(expr);
          // Cell-by-cell steps inside a plan are seldom kept, so nobody waits for them.
          const isKept = !expr.op.elementwise || asked.has(expr);
          if (!isOpen || !this.store.couldKeep(denseBytes(expr) + ENTRY_BYTES)) return false;
          if (reducesFrameData(expr)) passes.push(expr);
          else if (isKept && this.#estimate(expr) >= LEASE_SECONDS) long.push(expr);
          return false;
        });
        for (const expr of stored) {
          const found = await this.read(expr);
          if (found === undefined) refused.add(expr);
          else {
            values.set(expr, found.value);
            seconds.set(expr, found.seconds);
          }
        }
        if (stored.length > 0) continue;
        const wanted = [...long, ...(isCovered ? [] : passes.sort(byKey).slice(0, PASS_LEASES))];
        if (wanted.length === 0) return { values, seconds, leases };
        isCovered ||= passes.length > 0;
        const all = new Set(passes);
        for (const expr of wanted.sort(byKey)) {
          const isOfPass = all.has(expr);
          // Waiting for a lesser key than one that is held is how two would wait for each other.
          const isOutOfOrder = last !== undefined && byKey(expr, last) < 0;
          if (isOutOfOrder || (isOfPass && isAlone)) refused.add(expr);
          else {
            const isDone = isOfPass ? () => this.#areStored(passes) : undefined;
            const lease = await this.store.lease(lineageKey(expr), signal, isDone);
            if (lease === undefined) {
              refused.add(expr);
              isAlone ||= isOfPass;
            } else if (lease !== 'stored') {
              leases.set(expr, lease);
              last = expr;
            } else if (isOfPass) isCovered = false;
          }
        }
      }
    } catch (error) {
      await releaseAll(leases);
      throw error;
    }
  }

  async #areStored(exprs: readonly Expr[]): Promise<boolean> {
    await this.store.refresh();
    return exprs.every((expr) => this.store.has(lineageKey(expr)));
  }

  /** Whether a value worth reading is stored under the node's key. */
  has(expr: Expr): boolean {
    return isWorthLooking(expr) && this.store.has(lineageKey(expr));
  }

  /** The stored value of a node; undefined when it is gone or not what the node needs. Takes no lease. */
  async read(expr: Expr): Promise<{ value: DenseMatrix; seconds: number } | undefined> {
    const found = await this.store.get(lineageKey(expr));
    const fits =
      found?.value.kind === 'dense' &&
      found.value.rows === expr.rows &&
      found.value.cols === expr.cols;
    return fits ? { value: found.value as DenseMatrix, seconds: found.header.seconds } : undefined;
  }

  /** Stores a result in the background, if it took long and its inputs are still what they were. */
  publish(expr: Expr, value: Value, seconds: number, lease?: Lease): void {
    const isLong = lease !== undefined || seconds >= STORE_SECONDS || reducesFrameData(expr);
    const isWorth = isLong && isWorthLooking(expr);
    if (value.kind !== 'dense' || !expr.isDeterministic || !isWorth) return;
    this.track(this.#store(expr, value, seconds, lease));
  }

  async #store(expr: Expr, value: DenseMatrix, seconds: number, lease?: Lease): Promise<void> {
    if (!(await inputsUnchanged([expr]))) return;
    const meta = { op: expr.op.name, seconds, createdAt: new Date().toISOString() };
    const isStored = await this.store.put(lineageKey(expr), value, meta, lease);
    if (isStored) await this.siblings.note(expr);
  }

  /**
   * Plain data by key, from the store or computed and stored. `unchanged` throws if an input file changed meanwhile.
   * @param alone one process computes it, the others wait; only for what waits for nothing else of the kind
   */
  async memo<T extends Json>(
    key: string,
    compute: () => Promise<T>,
    unchanged: () => Promise<void>,
    alone?: { readonly signal: AbortSignal | undefined },
  ): Promise<T> {
    const digest = createHash('sha256').update(`memo\n${key}`).digest('hex');
    let found = await this.store.get(digest);
    let lease: Lease | undefined;
    if (found === undefined && alone !== undefined) {
      const answer = await this.store.lease(digest, alone.signal);
      if (answer === 'stored') found = await this.store.get(digest);
      else lease = answer;
    }
    if (found?.value.kind === 'json') return found.value.json as T;
    const start = performance.now();
    let json: T;
    try {
      json = await compute();
    } catch (error) {
      await lease?.release();
      throw error;
    }
    const seconds = (performance.now() - start) / 1000;
    // However quick: it took a scan of data, and what is known of a file must not depend on how busy the machine was.
    const meta = { op: 'memo', seconds, createdAt: new Date().toISOString() };
    const put = unchanged().then(() => this.store.put(digest, { kind: 'json', json }, meta, lease));
    this.track(put.finally(() => lease?.release()));
    return json;
  }

  /** Resolves when what was being stored is stored. */
  async settle(): Promise<void> {
    await Promise.all(this.#publishing);
  }

  /** Makes `settle` wait for work in the background, whatever becomes of it. */
  track(work: Promise<unknown>): void {
    const tracked = work.catch(() => {}).finally(() => this.#publishing.delete(tracked));
    this.#publishing.add(tracked);
  }
}

/** Whether the files these nodes are computed from still are what they were when opened. */
export async function inputsUnchanged(exprs: readonly Expr[]): Promise<boolean> {
  for (const node of topological(exprs)) {
    if (node.op !== frame) continue;
    try {
      await verifyUnchanged(node.payload as FrameSource);
    } catch {
      return false;
    }
  }
  return true;
}

function byKey(a: Expr, b: Expr): number {
  return lineageKey(a) < lineageKey(b) ? -1 : 1;
}

/** Ends leases; never throws. */
export async function releaseAll(leases: ReadonlyMap<Expr, Lease>): Promise<void> {
  await Promise.all([...leases.values()].map((lease) => lease.release()));
}

/** Whether a node's work is large enough for its key to be made and looked up. */
export function isWorthLooking(expr: Expr): boolean {
  if (!expr.isDeterministic || expr.inputs.length === 0) return false;
  const kind = expr.op.rowRule(expr.inputs, expr.attrs).kind;
  if (kind === 'source') return false;
  if (reducesFrameData(expr)) return true;
  return expr.op.flops(expr.inputs, expr.attrs, expr) >= LOOKUP_FLOPS;
}
