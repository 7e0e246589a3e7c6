/**
 * Ties a session to the durable store: which nodes are looked up there, which results go there, and
 * when. Invariants: only results that took long are stored; nothing is published when an input file
 * changed while it was read; of several processes that need the same long result one computes it
 * and the others wait (leases, taken in key order so that no two processes wait for each other).
 */
import { createHash } from 'node:crypto';
import { reducesFrameData } from '../frame/frame-data.js';
import { verifyUnchanged } from '../frame/identity.js';
import { type Expr, topological } from '../ir/expr.js';
import type { FrameSource } from '../ir/frame-engine.js';
import { lineageKey } from '../ir/lineage-key.js';
import { bytesOf, type DenseMatrix, type Value } from '../ir/value.js';
import type { DurableStore } from './store/durable-store.js';
import type { Json } from './store/entry-format.js';
import type { Lease } from './store/lease.js';
import { isWorthLooking, type RecallResult, StoreRecall } from './store-recall.js';
import { StoredSiblings } from './stored-siblings.js';

/** Results faster than this, other than reductions of data, are not stored. @units seconds */
export const STORE_SECONDS = 0.02;

/** Results of fewer bytes may take the room that they take. */
const LARGE_BYTES = 32 * 2 ** 20;
/** What a file is read back and checked with. @units bytes/s */
const READ_RATE = 300e6;
/** Times its reading that a large result has to have taken: it is written too, and others make room. */
const READINGS = 4;

/** Whether a result took long for its size. */
export function isWorthItsRoom(bytes: number, seconds: number): boolean {
  return bytes <= LARGE_BYTES || seconds >= (READINGS * bytes) / READ_RATE;
}

interface Check {
  readonly exprs: Expr[];
  readonly areUnchanged: Promise<boolean>;
}

export class DurableTier {
  readonly store: DurableStore;
  readonly siblings: StoredSiblings;
  readonly #estimate: (expr: Expr) => number;
  readonly #publishing = new Set<Promise<unknown>>();
  /** A look at files that has not begun. */
  #checked: Check | undefined;

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

  /**
   * Stored values of the nodes nearest the roots; where asked, leases on the long ones not there.
   * @param always looked for however little work they are
   */
  async recall(
    roots: readonly Expr[],
    isThere: (expr: Expr) => boolean,
    signal?: AbortSignal,
    isLeasing = true,
    always: ReadonlySet<Expr> = new Set(),
  ): Promise<RecallResult> {
    await this.store.refresh();
    return new StoreRecall(this, this.#estimate, roots, isThere, signal, isLeasing, always).run();
  }

  /** Whether a value worth reading is stored under the node's key. */
  has(expr: Expr): boolean {
    return isWorthLooking(expr) && this.store.has(lineageKey(expr));
  }

  /** The stored value of a node; undefined when gone or not what the node needs. No lease. */
  async read(expr: Expr): Promise<{ value: DenseMatrix; seconds: number } | undefined> {
    const found = await this.store.get(lineageKey(expr));
    const fits =
      found?.value.kind === 'dense' &&
      found.value.rows === expr.rows &&
      found.value.cols === expr.cols;
    return fits ? { value: found.value as DenseMatrix, seconds: found.header.seconds } : undefined;
  }

  /**
   * Stores a result in the background, if it took long and its inputs are still what they were.
   * @param always however quick it was
   */
  publish(expr: Expr, value: Value, seconds: number, lease?: Lease, always = false): void {
    const isAsked = reducesFrameData(expr) || expr.op.isKept?.(expr.attrs) === true;
    if (value.kind !== 'dense' || !expr.isDeterministic) return;
    const isLong = lease !== undefined || seconds >= STORE_SECONDS || isAsked;
    const isWorth = isLong && isWorthItsRoom(bytesOf(value), seconds) && isWorthLooking(expr);
    if (!always && !isWorth) return;
    this.track(this.#store(expr, value, seconds, lease));
  }

  async #store(expr: Expr, value: DenseMatrix, seconds: number, lease?: Lease): Promise<void> {
    if (!(await this.#isUnchanged(expr))) return;
    const meta = { op: expr.op.name, seconds, createdAt: new Date().toISOString() };
    const isStored = await this.store.put(lineageKey(expr), value, meta, lease);
    if (isStored) await this.siblings.note(expr);
  }

  /** Looks at the files once for all that is published in one turn of the event loop. */
  async #isUnchanged(expr: Expr): Promise<boolean> {
    this.#checked ??= this.#check();
    const { exprs, areUnchanged } = this.#checked;
    exprs.push(expr);
    return (await areUnchanged) || inputsUnchanged([expr]);
  }

  #check(): Check {
    const exprs: Expr[] = [];
    const begun = new Promise<void>((resolve) => setImmediate(resolve));
    const areUnchanged = begun.then(() => {
      this.#checked = undefined;
      return inputsUnchanged(exprs);
    });
    return { exprs, areUnchanged };
  }

  /** Plain data by key from the store, and their size there; undefined where they are not. */
  async memoOf(key: string): Promise<{ json: Json; bytes: number } | undefined> {
    const found = await this.store.get(memoDigest(key));
    if (found?.value.kind !== 'json') return undefined;
    return { json: found.value.json, bytes: found.bytes };
  }

  /**
   * Plain data by key, from the store or computed and stored. `unchanged` throws if an input file
   * changed meanwhile.
   * @param alone one process computes it, the others wait; only for what waits for nothing else of
   *   the kind
   */
  async memo<T extends Json>(
    key: string,
    compute: () => Promise<T>,
    unchanged: () => Promise<void>,
    alone?: { readonly signal: AbortSignal | undefined },
  ): Promise<T> {
    const digest = memoDigest(key);
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
    // However quick: it took a scan of data, and what is known of a file must not depend on how
    // busy the machine was.
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

function memoDigest(key: string): string {
  return createHash('sha256').update(`memo\n${key}`).digest('hex');
}

/** Whether the files these nodes are computed from still are what they were when opened. */
export async function inputsUnchanged(exprs: readonly Expr[]): Promise<boolean> {
  const local = new Map<string, FrameSource['files'][number]>();
  const remote: FrameSource[] = [];
  for (const node of topological(exprs, (expr) => !expr.readsFiles)) {
    if (node.op.source !== 'files') continue;
    const source = node.payload as FrameSource;
    if (source.identify !== undefined) remote.push(source);
    else for (const file of source.files) local.set(`${file.path}\n${file.digest}`, file);
  }
  try {
    await verifyUnchanged({ files: [...local.values()] });
    for (const source of remote) await verifyUnchanged(source);
    return true;
  } catch {
    return false;
  }
}
