/**
 * What has become of each node of one execution: a value, a failure, or nothing yet. Invariant: a
 * node has a value or a failure, never both; a transient's value may be taken out again, and the
 * node stays done.
 */
import { isInside, type Plan, type PlanNode, segmentNodes } from '../compiler/plan.js';
import { InternalError } from '../errors.js';
import type { Expr } from '../ir/expr.js';
import type { Value } from '../ir/value.js';

export type Readiness = 'ready' | 'waiting' | 'failed';

export class NodeStates {
  readonly values = new Map<Expr, Value>();
  readonly failed = new Map<Expr, Error>();
  /** Whatever had a value once. */
  readonly done = new Set<Expr>();
  readonly #plan: Plan;

  constructor(plan: Plan) {
    this.#plan = plan;
    for (const [expr, value] of plan.available) this.note(expr, value);
  }

  note(expr: Expr, value: Value): void {
    this.values.set(expr, value);
    this.done.add(expr);
  }

  fail(expr: Expr, error: Error): void {
    this.values.delete(expr);
    this.failed.set(expr, error);
  }

  /** The first failure among operands of what can't be computed now. */
  failureAmong(operands: readonly Expr[], of: Expr): Error {
    for (const operand of operands) {
      const error = this.failed.get(operand);
      if (error !== undefined) return error;
    }
    return new InternalError(`execution: expected a failed operand of ${of.op.name}`);
  }

  readiness(inputs: readonly Expr[]): Readiness {
    let readiness: Readiness = 'ready';
    for (const input of inputs) {
      if (this.failed.has(input)) return 'failed';
      if (!this.values.has(input)) readiness = 'waiting';
    }
    return readiness;
  }

  /** Of what a row-block target reads from outside its segment. */
  segmentReadiness(target: PlanNode): Readiness {
    let readiness: Readiness = 'ready';
    for (const node of segmentNodes(this.#plan, [target], this.done)) {
      for (const input of node.expr.inputs) {
        if (input.op.source === 'files') continue;
        const below = this.#plan.nodeOf.get(input);
        if (below && isInside(node, below) && !this.failed.has(input)) continue;
        const one = this.readiness([input]);
        if (one === 'failed') return 'failed';
        if (one === 'waiting') readiness = 'waiting';
      }
    }
    return readiness;
  }
}
