/**
 * Ends of loops in a session and in the durable store: where each loop stood when it had taken all
 * the iterations it might, so that the same loop with more goes on from there. Invariants: an end
 * that is found is what the loop would have reached from its start; small state competes with other
 * results for the cache, large state is looked for where it was made, and either may be gone, which
 * costs its iterations and nothing else.
 */
import { createHash } from 'node:crypto';
import type { Expr } from '../ir/expr.js';
import type { LargeState, LoopEnd, LoopIdentity, LoopLimit } from '../ir/loop-end.js';
import { cellsOf, type DenseMatrix, dense } from '../ir/value.js';
import { call as callOp } from '../operators/call.js';
import { type DurableTier, inputsUnchanged } from '../reuse/durable-tier.js';
import type { ReuseCache } from '../reuse/reuse-cache.js';
import { forgetOldest } from '../support/forget-oldest.js';
import type { CallHost } from './function-cache.js';
import { type CallIdentity, callKey, isWorthStoring } from './stored-calls.js';

/** An end of this session. */
interface KnownEnd extends Pick<LoopEnd, 'iterations' | 'isFinished'> {
  /** The small state's cells are kept under this node. */
  readonly node: Expr;
  readonly shapes: readonly Shape[];
}

type Shape = Pick<DenseMatrix, 'rows' | 'cols' | 'dtype'> | LargeState;

/** Loops remembered; older ones are found again in the durable store only. */
const MAX_LOOPS = 16_384;
const VERSION = '1';

export class LoopEnds {
  readonly #cache: ReuseCache;
  readonly #tier: DurableTier | undefined;
  readonly #known = new Map<string, KnownEnd[]>();
  /** Loops that went on from an end, or had nothing left to do. */
  found = 0;
  /** Iterations they did not take again. */
  iterations = 0;

  constructor(cache: ReuseCache, tier: DurableTier | undefined) {
    this.#cache = cache;
    this.#tier = tier;
  }

  /** The furthest end within the limit. @param like the state's shapes */
  async find(
    host: CallHost,
    loop: LoopIdentity,
    like: readonly Expr[],
    limit: LoopLimit,
  ): Promise<LoopEnd | undefined> {
    if (!isKeepable(loop)) return undefined;
    const end =
      (await this.#inSession(host, loop, limit)) ?? (await this.#inStore(host, loop, like, limit));
    if (end === undefined) return undefined;
    this.found++;
    this.iterations += end.iterations;
    return end;
  }

  /**
   * Keeps an end, in the durable store where that is worth it and none of its state is large.
   * @param seconds time of the loop, and of all that ran together
   */
  keep(host: CallHost, loop: LoopIdentity, end: LoopEnd, seconds: number, waited: number): void {
    if (!isKeepable(loop)) return;
    const cells = packed(end);
    const node = this.#remember(host, loop, end, cells, seconds, 'function');
    host.statistics.record(node, 'function', 0, 'computed');
    const isSmall = end.state.every((one) => !('of' in one));
    if (isSmall) this.#store(loop, end.iterations, cells, seconds, waited);
  }

  #remember(
    host: CallHost,
    loop: LoopIdentity,
    { iterations, isFinished, state }: LoopEnd,
    cells: DenseMatrix,
    seconds: number,
    from: string,
  ): Expr {
    const { name, version, args } = callOf(loop, iterations);
    const attrs = { name, version, args, output: 0, rows: 1, cols: cells.cols };
    const node = host.intern(callOp, loop.inputs, attrs);
    const shapes = state.map((one): Shape => {
      return 'of' in one ? one : { rows: one.rows, cols: one.cols, dtype: one.dtype };
    });
    const key = keyInSession(loop);
    const others = (this.#known.get(key) ?? []).filter((one) => one.iterations !== iterations);
    this.#known.delete(key);
    this.#known.set(key, [...others, { iterations, isFinished, node, shapes }]);
    forgetOldest(this.#known, MAX_LOOPS);
    if (this.#cache.claim(node) !== undefined) {
      this.#cache.put(node, cells, seconds, from);
      this.#cache.withdraw(node);
    }
    return node;
  }

  async #inSession(
    host: CallHost,
    loop: LoopIdentity,
    limit: LoopLimit,
  ): Promise<LoopEnd | undefined> {
    const known = this.#known.get(keyInSession(loop)) ?? [];
    const within = known.filter(({ iterations }) => isWithin(iterations, limit));
    for (const { node, iterations, isFinished, shapes } of furthestFirst(within)) {
      const entry = this.#cache.probe(node);
      if (entry === undefined || entry.state === 'pending') continue;
      const isHeld = (shape: Shape): boolean =>
        !('of' in shape) || this.#cache.probe(host.simplified(shape.of))?.value !== undefined;
      if (!shapes.every(isHeld)) continue;
      const value = await this.#cache.restore(entry);
      if (value?.kind !== 'dense') continue;
      this.#cache.hit(entry);
      countReuse(host, node, 'function', entry.seconds);
      return { iterations, isFinished, state: unpacked(value, shapes) };
    }
    return undefined;
  }

  async #inStore(
    host: CallHost,
    loop: LoopIdentity,
    like: readonly Expr[],
    limit: LoopLimit,
  ): Promise<LoopEnd | undefined> {
    if (this.#tier === undefined) return undefined;
    const { store } = this.#tier;
    const key = callKey(callOf(loop));
    const noted = (await store.siblings(key))
      .map((sibling) => ({ key: sibling.key, iterations: Number(sibling.text) }))
      .filter((one) => isWithin(one.iterations, limit) && one.key === endKey(key, one.iterations));
    for (const { key: at, iterations } of furthestFirst(noted)) {
      const found = await store.get(at);
      const value = found?.value;
      const fits = value?.kind === 'dense' && value.rows === 1 && value.cols === packedCells(like);
      if (!fits || value.data[0] !== iterations) continue;
      const end = { iterations, isFinished: value.data[1] === 1, state: unpacked(value, like) };
      const { seconds } = found!.header;
      countReuse(host, this.#remember(host, loop, end, value, seconds, 'store'), 'store', seconds);
      return end;
    }
    return undefined;
  }

  #store(
    loop: LoopIdentity,
    iterations: number,
    cells: DenseMatrix,
    seconds: number,
    waited: number,
  ): void {
    const tier = this.#tier;
    if (tier === undefined || !isWorthStoring(callOf(loop), waited)) return;
    const work = async (): Promise<void> => {
      if (!(await inputsUnchanged(loop.inputs))) return;
      const key = callKey(callOf(loop));
      const at = endKey(key, iterations);
      const meta = { op: 'loop', seconds, createdAt: new Date().toISOString() };
      if (!(await tier.store.put(at, cells, meta))) return;
      await tier.store.noteSibling(key, { key: at, text: String(iterations) });
    };
    tier.track(work());
  }
}

function countReuse(host: CallHost, node: Expr, from: string, seconds: number): void {
  host.statistics.record(node, from, seconds, 'reused');
  host.statistics.hit(node);
}

function isKeepable({ inputs }: LoopIdentity): boolean {
  return inputs.every((input) => input.isDeterministic);
}

function isWithin(iterations: number, { most, isFresh }: LoopLimit): boolean {
  return iterations < most || (iterations === most && !isFresh);
}

function furthestFirst<T extends { readonly iterations: number }>(ends: readonly T[]): T[] {
  return [...ends].sort((a, b) => b.iterations - a.iterations);
}

/** A loop as calls are known. @param iterations of one of its ends */
function callOf({ form, inputs }: LoopIdentity, iterations: number | null = null): CallIdentity {
  return { name: 'loop', version: VERSION, args: [form, iterations], inputs };
}

function keyInSession({ form, inputs }: LoopIdentity): string {
  return `${form}\n${inputs.map(({ id }) => id).join()}`;
}

/** The key of one end in the durable store. */
function endKey(loop: string, iterations: number): string {
  return createHash('sha256').update(`end\n${loop}\n${iterations}`).digest('hex');
}

/** Iterations, whether it was done, and the cells of the small state. */
function packed({ iterations, isFinished, state }: LoopEnd): DenseMatrix {
  const small = state.filter((one): one is DenseMatrix => !('of' in one));
  const cells = new Float64Array(packedCells(small));
  cells.set([iterations, isFinished ? 1 : 0]);
  let at = 2;
  for (const { data } of small) {
    cells.set(data, at);
    at += data.length;
  }
  return dense(1, cells.length, cells);
}

function packedCells(shapes: readonly Pick<DenseMatrix, 'rows' | 'cols'>[]): number {
  return shapes.reduce((sum, { rows, cols }) => sum + rows * cols, 2);
}

function unpacked({ data }: DenseMatrix, shapes: readonly Shape[]): LoopEnd['state'] {
  let at = 2;
  return shapes.map((shape) => {
    if ('of' in shape) return shape;
    const { rows, cols, dtype } = shape;
    const cells = cellsOf(dtype, rows * cols);
    cells.set(data.subarray(at, at + rows * cols));
    at += rows * cols;
    return dense(rows, cols, cells);
  });
}
