/** Nodes and segments made without a session: for tests of what a backend does with a segment. */

import type { Segment } from '../../driver/backend/backend.js';
import { type Attrs, noAttrs } from '../../driver/ir/attrs.js';
import type { Expr } from '../../driver/ir/expr.js';
import { Interner } from '../../driver/ir/intern.js';
import type { DenseMatrix } from '../../driver/ir/value.js';
import { type OpName, ops } from '../../driver/operators/index.js';

const interner = new Interner();
let nextKey = 0;

export function make(op: OpName, inputs: readonly Expr[], attrs: Attrs = noAttrs): Expr {
  return interner.intern(ops[op], inputs, attrs);
}

/** A host value as a node. */
export function literal(value: DenseMatrix): Expr {
  const attrs = { rows: value.rows, cols: value.cols, key: `segment-test:${nextKey++}` };
  return interner.intern(ops.literal, [], attrs, value);
}

/** Uniform in 0..1 from a seed, by position. */
export function random(rows: number, cols: number, seed: number): Expr {
  return make('rand', [], { rows, cols, seed, distribution: 'uniform', min: 0, max: 1 });
}

/** All nodes by row blocks unless `parts` says otherwise. */
export function segment(nodes: readonly Expr[], parts: Partial<Segment> = {}): Segment {
  return { nodes, inputs: new Map(), outputs: [], persist: [], blocked: new Set(nodes), ...parts };
}
