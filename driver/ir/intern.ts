/**
 * Hash-consing of expression nodes: `intern` returns the one live node for (operator, attributes, inputs).
 * Invariant: old nodes are held weakly, so dropping an expression frees it; a dead slot is reclaimed when the table grows.
 * Open addressing over typed arrays keeps the table near 16 bytes a node.
 * A WeakRef costs more time than all the rest of a node, so nodes are young, and held as they are, until the session has
 * evaluated about as many (`weaken`), or a million are young, or what they carry is large.
 */
import { PlanError, ShapeError } from '../errors.js';
import type { OpDef } from '../operators/op-def.js';
import { type Attrs, canonicalAttrs, noAttrs } from './attrs.js';
import { Expr, type Meta } from './expr.js';

const INITIAL_SLOTS = 1 << 12;
/** More young nodes than this (some 350 MB) are made weak turn by turn, whether anything is evaluated or not. */
const MAX_YOUNG = 1 << 20;
/** Likewise when young literals hold more than this. @units bytes */
const MAX_YOUNG_BYTES = 256 * 1024 * 1024;
/** Nodes made weak in one turn; it then takes well under two milliseconds. */
const WEAKEN_BATCH = 2048;

export class Interner {
  #hashes = new Int32Array(INITIAL_SLOTS);
  #refs: (Expr | WeakRef<Expr> | undefined)[] = new Array(INITIAL_SLOTS);
  #used = 0;
  /** Nodes still held strongly, oldest first; those before `#weakened` are done. */
  #young: Expr[] = [];
  #weakened = 0;
  #youngBytes = 0;
  #isWeakening = false;
  #nextId = 1;
  /** Times an expression asked for was there already, so its work is shared. */
  hits = 0;

  /**
   * The node for this operator application, made if it is new.
   * @throws ShapeError, DTypeError, PlanError from the operator's `infer`
   */
  intern(op: OpDef, inputs: readonly Expr[], attrs: Attrs = noAttrs, payload?: unknown): Expr {
    const attrsText = canonicalAttrs(attrs);
    let hash = Math.imul(op.id + 1, 0x9e3779b1);
    for (let i = 0; i < attrsText.length; i++) {
      hash = Math.imul(hash ^ attrsText.charCodeAt(i), 0x01000193);
    }
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
        const found = target(this.#refs[slot]);
        if (found === undefined) {
          if (free < 0) free = slot;
        } else if (matches(found, op, attrsText, inputs)) {
          this.hits++;
          return found;
        }
      }
      slot = (slot + 1) & mask;
    }
    const meta = this.#infer(op, inputs, attrs);
    const expr = new Expr(this.#nextId++, op, attrs, attrsText, inputs, meta, hash, payload);
    this.#young.push(expr);
    if (payload !== undefined && inputs.length === 0) this.#youngBytes += meta.rows * meta.cols * 8;
    if (this.#isCrowded() && !this.#isWeakening) {
      this.#isWeakening = true;
      setImmediate(this.#weakenTurn).unref();
    }
    if (free >= 0) {
      this.#refs[free] = expr;
    } else {
      this.#hashes[slot] = hash;
      this.#refs[slot] = expr;
      this.#used++;
      if (this.#used * 3 > this.#hashes.length * 2) this.#rehash();
    }
    return expr;
  }

  /** Live nodes; walks the table, so for tests and reports only. */
  liveCount(): number {
    let live = 0;
    for (const ref of this.#refs) if (target(ref) !== undefined) live++;
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

  /** Called by the session when it has evaluated so many nodes: makes more than that weak, so that none wait for ever. */
  weakenAfter(evaluated: number): void {
    this.weaken(4 * evaluated + 256);
  }

  /** Makes up to `count` of the oldest young nodes weak. */
  weaken(count: number): void {
    const end = Math.min(this.#weakened + count, this.#young.length);
    const mask = this.#hashes.length - 1;
    while (this.#weakened < end) {
      const expr = this.#young[this.#weakened++]!;
      let slot = expr.hash & mask;
      while (this.#refs[slot] !== expr) slot = (slot + 1) & mask;
      this.#refs[slot] = new WeakRef(expr);
    }
    if (end === this.#young.length) {
      this.#young = [];
      this.#weakened = 0;
      this.#youngBytes = 0;
    } else if (this.#weakened * 2 > this.#young.length) {
      this.#young = this.#young.slice(this.#weakened);
      this.#weakened = 0;
    }
  }

  #isCrowded(): boolean {
    return this.#young.length - this.#weakened > MAX_YOUNG || this.#youngBytes > MAX_YOUNG_BYTES;
  }

  readonly #weakenTurn = (): void => {
    this.weaken(WEAKEN_BATCH);
    this.#isWeakening = this.#isCrowded();
    if (this.#isWeakening) setImmediate(this.#weakenTurn).unref();
  };

  #rehash(): void {
    const oldHashes = this.#hashes;
    const oldRefs = this.#refs;
    let live = 0;
    for (let i = 0; i < oldRefs.length; i++) {
      if (target(oldRefs[i]) === undefined) oldRefs[i] = undefined;
      else live++;
    }
    let slots = INITIAL_SLOTS;
    while (live * 3 > slots) slots *= 2;
    const mask = slots - 1;
    this.#hashes = new Int32Array(slots);
    this.#refs = new Array(slots);
    this.#used = live;
    for (let i = 0; i < oldHashes.length; i++) {
      const ref = oldRefs[i];
      if (ref === undefined) continue;
      let slot = oldHashes[i]! & mask;
      while (this.#hashes[slot] !== 0) slot = (slot + 1) & mask;
      this.#hashes[slot] = oldHashes[i]!;
      this.#refs[slot] = ref;
    }
  }
}

function target(ref: Expr | WeakRef<Expr> | undefined): Expr | undefined {
  return ref instanceof WeakRef ? ref.deref() : ref;
}

function matches(expr: Expr, op: OpDef, attrsText: string, inputs: readonly Expr[]): boolean {
  if (expr.op !== op || expr.inputs.length !== inputs.length) return false;
  for (let i = 0; i < inputs.length; i++) if (expr.inputs[i] !== inputs[i]) return false;
  return expr.attrsText === attrsText;
}
