/**
 * Which cached nodes of an operator share an input, for partial reuse to find parts by. Invariant:
 * it lists only nodes whose values can be had on this machine, the last few under each input.
 */
import type { Expr } from '../ir/expr.js';
import type { OpDef } from '../ir/op-def.js';

/** Nodes remembered under one input; older ones are found by their own key only. */
const MAX_SIBLINGS = 64;

export class SiblingIndex {
  readonly #keysOf: (expr: Expr) => readonly Expr[];
  readonly #nodes = new Map<OpDef, Map<Expr, Expr[]>>();

  /** @param keysOf the inputs under which a node can be found */
  constructor(keysOf: (expr: Expr) => readonly Expr[]) {
    this.#keysOf = keysOf;
  }

  /** Nodes of this operator under `key`, oldest first. */
  of(op: OpDef, key: Expr): readonly Expr[] {
    return this.#nodes.get(op)?.get(key) ?? [];
  }

  add(expr: Expr): void {
    for (const key of this.#keysOf(expr)) {
      let ofOp = this.#nodes.get(expr.op);
      if (ofOp === undefined) {
        ofOp = new Map();
        this.#nodes.set(expr.op, ofOp);
      }
      const known = ofOp.get(key);
      if (known === undefined) ofOp.set(key, [expr]);
      else if (known.push(expr) > MAX_SIBLINGS) known.shift();
    }
  }

  remove(expr: Expr): void {
    const ofOp = this.#nodes.get(expr.op);
    if (ofOp === undefined) return;
    for (const key of this.#keysOf(expr)) {
      const kept = ofOp.get(key)?.filter((sibling) => sibling !== expr);
      if (kept === undefined) continue;
      if (kept.length === 0) ofOp.delete(key);
      else ofOp.set(key, kept);
    }
  }
}
