/**
 * The one node type of the program: operator, canonical attributes, inputs. The expression graph
 * *is* the lineage. Invariant: nodes are immutable and interned per session (see `intern.ts`), so
 * equal expressions are one object and `===` is equality; `lineage-key.ts` gives the name that
 * outlives the process. Source: LIMA (SIGMOD 2021) lineage items; hash-consing after Filliatre and
 * Conchon (ML Workshop 2006).
 */

import { type Attrs, canonicalAttrs } from './attrs.js';
import { cellBytes, type DType, type Typed } from './dtype.js';
import type { OpDef } from './op-def.js';

/** What is known of a value before it exists. */
export interface Meta {
  readonly rows: number;
  readonly cols: number;
  /** Expected number of non-zero cells; defaults to rows * cols. */
  readonly nnz?: number | undefined;
}

export class Expr implements Meta, Typed {
  readonly id: number;
  readonly op: OpDef;
  readonly attrs: Attrs;
  readonly inputs: readonly Expr[];
  readonly rows: number;
  readonly cols: number;
  /** Expected non-zero cells; undefined means dense. */
  readonly nnz: number | undefined;
  readonly dtype: DType;
  /** 1 + the largest height of the inputs; leaves have height 1. */
  readonly height: number;
  /** False when this node or any ancestor is non-deterministic; such nodes are never reused. */
  readonly isDeterministic: boolean;
  /** Whether it is computed from files: appended data change it. */
  readonly readsFiles: boolean;
  /** Data a leaf owns and its attributes only name: cells of a literal, paths of a frame. */
  readonly payload: unknown;
  /** Filled by `lineageKey` on demand. */
  lineage: string | undefined = undefined;
  /** The one API object of this node; owned by `driver/matrix`. */
  facade: unknown = undefined;
  /** The equal, cheaper node that the simplify pass made of it (itself when nothing applies). */
  simplified: Expr | undefined = undefined;
  /** Computed before but not kept: the next value is. Set by executions, read by transients. */
  wasTransient = false;
  #attrsText: string | undefined;

  constructor(
    id: number,
    op: OpDef,
    attrs: Attrs,
    inputs: readonly Expr[],
    meta: Meta,
    dtype: DType,
    payload: unknown,
  ) {
    this.id = id;
    this.op = op;
    this.attrs = attrs;
    this.inputs = inputs;
    this.rows = meta.rows;
    this.cols = meta.cols;
    this.nnz = meta.nnz;
    this.dtype = dtype;
    this.payload = payload;
    let height = 0;
    let deterministic = op.deterministic;
    let readsFiles = op.source === 'files';
    for (let i = 0; i < inputs.length; i++) {
      const input = inputs[i]!;
      if (input.height > height) height = input.height;
      if (!input.isDeterministic) deterministic = false;
      if (input.readsFiles) readsFiles = true;
    }
    this.height = height + 1;
    this.isDeterministic = deterministic;
    this.readsFiles = readsFiles;
  }

  /** Canonical text of `attrs`; empty for none. Kept where each run over files asks for it again. */
  get attrsText(): string {
    if (!this.readsFiles && this.op.rowsOf === undefined) return canonicalAttrs(this.attrs);
    this.#attrsText ??= canonicalAttrs(this.attrs);
    return this.#attrsText;
  }
}

/** Makes nodes; a session's interner. */
export interface NodeMaker {
  intern(op: OpDef, inputs: readonly Expr[], attrs?: Attrs, payload?: unknown): Expr;
}

/** `rows x cols` of a node, as messages show it. */
export function shapeText(meta: Meta): string {
  return `${meta.rows}x${meta.cols}`;
}

/** Bytes of the dense value. @units bytes */
export function denseBytes(value: Meta & Typed): number {
  return value.rows * value.cols * cellBytes(value);
}

/**
 * All nodes reachable from `roots`, inputs before consumers, each once. Iterative, so that a
 * lineage a million nodes deep does not overflow the stack.
 * @param stopAt nodes whose inputs are not visited (they are listed themselves)
 */
export function topological(
  roots: readonly Expr[],
  stopAt: (expr: Expr) => boolean = () => false,
): Expr[] {
  const order: Expr[] = [];
  const seen = new Set<Expr>();
  const stack: { expr: Expr; next: number }[] = [];
  for (const root of roots) {
    if (seen.has(root)) continue;
    seen.add(root);
    stack.push({ expr: root, next: stopAt(root) ? root.inputs.length : 0 });
    while (stack.length > 0) {
      const frame = stack[stack.length - 1]!;
      if (frame.next < frame.expr.inputs.length) {
        const input = frame.expr.inputs[frame.next++]!;
        if (!seen.has(input)) {
          seen.add(input);
          stack.push({ expr: input, next: stopAt(input) ? input.inputs.length : 0 });
        }
      } else {
        order.push(frame.expr);
        stack.pop();
      }
    }
  }
  return order;
}
