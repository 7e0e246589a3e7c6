/**
 * Hash-consing of expression nodes: `intern` returns the one live node for (operator, attributes,
 * inputs). Invariant: old nodes are held weakly, so dropping an expression frees it; a dead slot is
 * reclaimed when the table grows. The table is open addressing over typed arrays, hash and id of
 * each node; nodes lie in chunks in the order of their ids, so that making one writes next to the
 * last one and growing the table moves numbers only. A WeakRef costs more time than all the rest of
 * a node, so nodes are young, and held as they are, until the session has evaluated about as many
 * (`weaken`), or a million are young, or what they carry is large.
 */
import { PlanError, ShapeError } from '../errors.js';
import { memoryShares } from '../support/memory.js';
import { type Attrs, equalAttrs, hashAttrs, noAttrs } from './attrs.js';
import { denseBytes, Expr, type Meta } from './expr.js';
import type { OpDef } from './op-def.js';
import type { DenseMatrix } from './value.js';

const INITIAL_SLOTS = 1 << 12;
const CHUNK_BITS = 10;
const CHUNK_NODES = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK_NODES - 1;
/** More young nodes (some 350 MB) are made weak turn by turn, even if nothing is evaluated. */
const MAX_YOUNG = 1 << 20;
/** Freed nodes are looked for once so many were made since. */
const TIDY_NODES = 1 << 14;
/** Nodes made weak in one turn; it then takes well under two milliseconds. */
const WEAKEN_BATCH = 2048;

export class Interner {
  #hashes = new Int32Array(INITIAL_SLOTS);
  /** Id of the node in each slot. */
  #ids = new Int32Array(INITIAL_SLOTS);
  #used = 0;
  /** Nodes by id; a chunk goes when all its nodes are dead. */
  readonly #chunks: (Chunk | undefined)[] = [];
  #nextId = 1;
  /** The oldest node still held as it is. */
  #oldestYoung = 1;
  #youngBytes = 0;
  /** Likewise when young literals hold more than this. @units bytes */
  readonly #maxYoungBytes = memoryShares().literalsBytes;
  #isWeakening = false;
  /** The next id when the table was last made anew. */
  #tidiedAt = 1;
  /** Times an expression asked for was there already, so its work is shared. */
  hits = 0;

  /**
   * The node for this operator application, made if it is new.
   * @throws ShapeError, DTypeError, PlanError from the operator's `infer`
   */
  intern(op: OpDef, inputs: readonly Expr[], attrs: Attrs = noAttrs, payload?: unknown): Expr {
    let hash = Math.imul(op.id + 1, 0x9e3779b1) ^ hashAttrs(attrs);
    for (let i = 0; i < inputs.length; i++) {
      hash = Math.imul((hash ^ inputs[i]!.id) + i, 0x85ebca6b);
      hash ^= hash >>> 15;
    }
    if (hash === 0) hash = 1;
    const mask = this.#hashes.length - 1;
    let slot = hash & mask;
    let free = -1;
    for (;;) {
      const stored = this.#hashes[slot]!;
      if (stored === 0) break;
      if (stored === hash) {
        const found = this.#node(this.#ids[slot]!);
        if (found === undefined) {
          if (free < 0) free = slot;
        } else if (matches(found, op, attrs, inputs)) {
          this.hits++;
          return found;
        }
      }
      slot = (slot + 1) & mask;
    }
    const meta = this.#infer(op, inputs, attrs);
    const dtype = op.dtype(inputs, attrs);
    const id = this.#nextId++;
    const kept = inputs.length === 0 ? noInputs : inputs;
    const expr = new Expr(id, op, attrs, kept, meta, dtype, payload);
    if ((id & CHUNK_MASK) === 0 || id === 1) this.#chunks.push([]);
    this.#chunks[id >>> CHUNK_BITS]![id & CHUNK_MASK] = expr;
    if (free >= 0) {
      this.#ids[free] = id;
    } else {
      this.#hashes[slot] = hash;
      this.#ids[slot] = id;
      this.#used++;
      if (this.#used * 3 > this.#hashes.length * 2) this.#rehash();
    }
    if (payload !== undefined && inputs.length === 0) this.#youngBytes += payloadBytes(expr);
    if (!this.#isWeakening && this.#isCrowded()) {
      this.#isWeakening = true;
      setImmediate(this.#weakenTurn).unref();
    }
    return expr;
  }

  /** Live nodes; walks the table, so for tests and reports only. */
  liveCount(): number {
    let live = 0;
    for (const id of this.#ids) if (id !== 0 && this.#node(id) !== undefined) live++;
    return live;
  }

  #infer(op: OpDef, inputs: readonly Expr[], attrs: Attrs): Meta {
    const { min, max } = op.arity;
    if (inputs.length < min || inputs.length > max) {
      throw new PlanError(
        `${op.name}: expected ${min === max ? min : `${min} to ${max}`} operands, got ${inputs.length}`,
        { op: op.name },
      );
    }
    const meta = op.infer(inputs, attrs);
    if (!(meta.rows >= 1 && meta.cols >= 1)) {
      throw new ShapeError(
        `${op.name}: expected at least one row and one column, got ${meta.rows}x${meta.cols}`,
        { op: op.name },
      );
    }
    return meta;
  }

  /** Told how many nodes the session evaluated: makes more weak, so that none wait for ever. */
  weakenAfter(evaluated: number): void {
    this.weaken(4 * evaluated + 256);
  }

  /** Makes up to `count` of the oldest young nodes weak. */
  weaken(count: number): void {
    const end = Math.min(this.#oldestYoung + count, this.#nextId);
    for (; this.#oldestYoung < end; this.#oldestYoung++) {
      const chunk = this.#chunks[this.#oldestYoung >>> CHUNK_BITS]!;
      const at = this.#oldestYoung & CHUNK_MASK;
      chunk[at] = new WeakRef(chunk[at] as Expr);
    }
    if (end === this.#nextId) this.#youngBytes = 0;
  }

  /** Forgets freed nodes where there may be many; otherwise the table waits until it is full. */
  tidy(): void {
    if (this.#nextId - this.#tidiedAt > TIDY_NODES) this.#rehash();
  }

  #node(id: number): Expr | undefined {
    const ref = this.#chunks[id >>> CHUNK_BITS]?.[id & CHUNK_MASK];
    return ref instanceof WeakRef ? ref.deref() : ref;
  }

  #isCrowded(): boolean {
    const young = this.#nextId - this.#oldestYoung;
    return young > MAX_YOUNG || this.#youngBytes > this.#maxYoungBytes;
  }

  readonly #weakenTurn = (): void => {
    this.weaken(WEAKEN_BATCH);
    this.#isWeakening = this.#isCrowded();
    if (this.#isWeakening) setImmediate(this.#weakenTurn).unref();
  };

  #rehash(): void {
    const oldHashes = this.#hashes;
    const oldIds = this.#ids;
    this.#tidiedAt = this.#nextId;
    this.#sweep();
    let live = 0;
    for (let i = 0; i < oldIds.length; i++) {
      const id = oldIds[i]!;
      if (id === 0 || this.#chunks[id >>> CHUNK_BITS]?.[id & CHUNK_MASK] === undefined)
        oldIds[i] = 0;
      else live++;
    }
    let slots = INITIAL_SLOTS;
    while (live * 3 > slots) slots *= 2;
    const mask = slots - 1;
    this.#hashes = new Int32Array(slots);
    this.#ids = new Int32Array(slots);
    this.#used = live;
    for (let i = 0; i < oldIds.length; i++) {
      const id = oldIds[i]!;
      if (id === 0) continue;
      let slot = oldHashes[i]! & mask;
      while (this.#hashes[slot] !== 0) slot = (slot + 1) & mask;
      this.#hashes[slot] = oldHashes[i]!;
      this.#ids[slot] = id;
    }
  }

  /** Forgets the nodes that were freed. */
  #sweep(): void {
    const last = this.#oldestYoung >>> CHUNK_BITS;
    for (let c = 0; c <= last && c < this.#chunks.length; c++) {
      const chunk = this.#chunks[c];
      if (chunk === undefined) continue;
      let live = 0;
      for (let i = 0; i < chunk.length; i++) {
        const ref = chunk[i];
        if (ref instanceof WeakRef && ref.deref() === undefined) chunk[i] = undefined;
        if (chunk[i] !== undefined) live++;
      }
      if (live === 0 && c < last) this.#chunks[c] = undefined;
    }
  }
}

/** What a leaf carries: a matrix in its own form; of anything else a guess. @units bytes */
function payloadBytes(expr: Expr): number {
  const { sparse } = expr.payload as Partial<DenseMatrix>;
  return sparse?.bytes ?? denseBytes(expr);
}

const noInputs: readonly Expr[] = Object.freeze([]);

type Chunk = (Expr | WeakRef<Expr> | undefined)[];

function matches(expr: Expr, op: OpDef, attrs: Attrs, inputs: readonly Expr[]): boolean {
  if (expr.op !== op || expr.inputs.length !== inputs.length) return false;
  for (let i = 0; i < inputs.length; i++) if (expr.inputs[i] !== inputs[i]) return false;
  return equalAttrs(expr.attrs, attrs);
}
