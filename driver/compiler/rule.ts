/**
 * What a rewrite rule is, and what the runner promises it. A rule looks at one node and its inputs
 * and returns an equal, cheaper node, or undefined for "no change". It owns no traversal, no
 * recursion over the plan, no state and no I/O; `run-rules.ts` owns all of that and checks that
 * shape and determinism stay.
 */
import type { Expr, NodeMaker } from '../ir/expr.js';
import type { OpDef } from '../ir/op-def.js';

export interface RuleContext extends NodeMaker {
  /** True when the plan needs the node's value elsewhere, or simplified it by itself before. */
  isShared(expr: Expr): boolean;
}

export interface Rule {
  /** verb-object, the file's name. */
  readonly name: string;
  /** `down`: before the inputs, for patterns that inner rewrites would hide. `up`: after them. */
  readonly direction: 'up' | 'down';
  /** The operators it starts from. */
  readonly ops: readonly OpDef[];
  /** What it does, as mathematics. */
  readonly algebra: string;
  readonly apply: (expr: Expr, context: RuleContext) => Expr | undefined;
}
