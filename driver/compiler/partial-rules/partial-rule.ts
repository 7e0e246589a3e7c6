/**
 * What a partial-reuse rule is: it looks at one node that is not cached and proposes an equal
 * expression over nodes that are, plus a compensation for the rest. It owns no traversal, no cost
 * decision and no cache; `partial-reuse.ts` owns those, accepts a proposal only when it is clearly
 * cheaper, and keeps its value under the original node. Source: LIMA (SIGMOD 2021) section 4.2,
 * there with one appended row or column; here with any number of parts.
 */
import type { Expr } from '../../ir/expr.js';
import type { OpDef } from '../../ir/op-def.js';
import type { NodeMaker } from '../rule.js';

export interface PartialContext extends NodeMaker {
  /** True when the node's value can be read without computing: cached on the host, or in the durable store. */
  isCached(expr: Expr): boolean;
  /** Cached nodes of this operator that their rule made findable under `key`, oldest first. */
  siblings(op: OpDef, key: Expr): readonly Expr[];
}

export interface PartialRewrite {
  /** Equal to the node asked for. */
  readonly expr: Expr;
  /** The cached nodes it is built on; at least one. */
  readonly uses: readonly Expr[];
}

export interface PartialRule {
  /** verb-object, the file's name. */
  readonly name: string;
  /** The operators it answers. */
  readonly ops: readonly OpDef[];
  /** What it does, as mathematics; `[..]` marks what is cached. */
  readonly algebra: string;
  readonly apply: (expr: Expr, context: PartialContext) => PartialRewrite | undefined;
}
