/**
 * The steps of a plan in the order in which `execution.ts` takes them when nothing is late: which
 * rows go in one pass decides how their sums are rounded. Invariant: a pass has the targets that
 * `passes.ts` would start together.
 */
import type { LoopPass } from '../backend/loop-program.js';
import {
  isWhole,
  operandsOf,
  type Plan,
  type PlanNode,
  segmentNodes,
  stepsOf,
  type Target,
} from '../compiler/plan.js';
import { InternalError } from '../errors.js';
import type { Expr } from '../ir/expr.js';

/** @param plan of one backend, which runs both passes and whole values */
export function loopSteps(plan: Plan): (Expr | LoopPass)[] {
  return new Steps(plan).all();
}

class Steps {
  readonly #plan: Plan;
  readonly #done: Set<Expr>;
  readonly #steps: (Expr | LoopPass)[] = [];
  #host: PlanNode[];
  #targets: readonly Target[];
  /** Passes that have started and not ended. */
  readonly #running: LoopPass[] = [];

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#done = new Set(plan.available.keys());
    this.#host = plan.nodes.filter(isWhole);
    this.#targets = plan.targets;
  }

  all(): (Expr | LoopPass)[] {
    while (this.#host.length + this.#targets.length + this.#running.length > 0) {
      const before = this.#steps.length;
      this.#start(false);
      this.#runHost();
      this.#start(this.#running.length === 0);
      const ended = this.#running.shift();
      for (const expr of ended?.outputs ?? []) this.#done.add(expr);
      if (ended === undefined && this.#steps.length === before) {
        throw new InternalError('loop: expected a node that can run, got none');
      }
    }
    return this.#steps;
  }

  #runHost(): void {
    const waiting: PlanNode[] = [];
    let isFed = false;
    for (const node of this.#host) {
      if (!this.#isReady(operandsOf(node))) {
        waiting.push(node);
        continue;
      }
      const isAwaited = this.#plan.awaited.has(node);
      if (isFed && !isAwaited) {
        isFed = false;
        this.#start(false);
      }
      isFed ||= isAwaited;
      this.#steps.push(...stepsOf(node));
      this.#done.add(node.expr);
    }
    this.#host = waiting;
  }

  /** See `Passes.start`. */
  #start(force: boolean): void {
    const ready = this.#targets.filter(({ operands }) => this.#isReady(operands));
    const waiting = this.#targets.filter((target) => !ready.includes(target));
    const last = Math.max(...ready.map(({ wave }) => wave));
    if (ready.length === 0 || (!force && waiting.some(({ wave }) => wave <= last))) return;
    this.#targets = waiting;
    const asked = ready.map(({ node }) => node);
    const planned = segmentNodes(this.#plan, asked, (expr) => this.#done.has(expr));
    const nodes = planned.map(({ expr }) => expr);
    const inside = new Set(nodes);
    const operands = new Set(nodes.flatMap(({ inputs }) => inputs));
    const pass = {
      nodes,
      operands: [...operands].filter((input) => !inside.has(input)),
      outputs: asked.map(({ expr }) => expr),
      blocked: new Set(planned.flatMap(({ expr, how }) => (how.kind === 'rows' ? [expr] : []))),
    };
    this.#steps.push(pass);
    this.#running.push(pass);
  }

  #isReady(inputs: readonly Expr[]): boolean {
    return inputs.every((input) => this.#done.has(input));
  }
}
