/**
 * What a plan rule is: it sees a whole plan, looks at one of its nodes that has no value, and
 * proposes an equal expression over values that are there, plus a compensation for the rest. It
 * owns no traversal and no cache, and no decision whether a proposal pays unless it weighs the
 * whole plan; `run-plan-rules.ts` owns those, accepts what is clearly cheaper, and keeps the value
 * under the node the program knows. Source: LIMA (SIGMOD 2021) section 4.2, there with one appended
 * row or column; here with any number of parts.
 */
import type { Expr, NodeMaker } from '../ir/expr.js';
import type { OpDef } from '../ir/op-def.js';

export interface PlanContext extends NodeMaker {
  readonly roots: readonly Expr[];
  /** True for nodes whose value exists or is being computed; nothing below them is looked at. */
  isThere(expr: Expr): boolean;
  /** True when the node's value is cached on the host or stored durably: nothing is computed. */
  isCached(expr: Expr): boolean;
  /** Cached nodes of this operator that its `findBy` made findable under `key`, oldest first. */
  siblings(op: OpDef, key: Expr): readonly Expr[];
  /** Expected time of one node, with what it takes to plan it. @units seconds */
  estimate(expr: Expr): number;
  /** What is new may cost this share of what it replaces. */
  readonly maxRatio: number;
  /** Nodes expected to take less are not worth an answer of their own. @units seconds */
  readonly minSeconds: number;
  /** What an analysis finds in this plan; it is made when first asked for, once. */
  ofPlan<T>(analysis: (context: PlanContext) => T): T;
}

export interface Proposal {
  /** Equal to the node asked for. */
  readonly expr: Expr;
  /** The cached nodes it is built on. */
  readonly uses: readonly Expr[];
  /** Set by rules that weigh the plan as a whole, which the runner then does not do again. */
  readonly weighed?: AnswerCost;
}

export interface AnswerCost {
  /** Every node made for the answer, parts of other answers among them. */
  readonly made: readonly Expr[];
  /** This answer's share of what the rule makes; a later rule wins at equal cost. @units seconds */
  readonly seconds: number;
}

export interface PlanRule {
  /** verb-object, the file's name. */
  readonly name: string;
  /** The operators it answers. */
  readonly ops: readonly OpDef[];
  /** What it does, as mathematics; `[..]` marks what is cached. */
  readonly algebra: string;
  /** It saves reading files: it is asked for all nodes over files, however quick, and no others. */
  readonly savesReading?: true;
  readonly apply: (expr: Expr, context: PlanContext) => Proposal | undefined;
}
