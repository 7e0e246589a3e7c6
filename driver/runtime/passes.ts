/**
 * The passes over data of one execution: which targets wait, which share a pass, and what a pass
 * reads. Invariants: a target is made or fails once, and then counts as having read operands; an
 * operand that can't be brought fails its readers, not what shares their pass.
 */
import type { Backend } from '../backend/backend.js';
import { segmentNodes, type Target } from '../compiler/plan.js';
import { takesByRows } from '../compiler/row-blocks.js';
import { observeSegment } from '../cost/measure.js';
import type { Expr } from '../ir/expr.js';
import type { Value } from '../ir/value.js';
import { failureOf } from './failure.js';
import { askedParts } from './results.js';
import { launch, type Running } from './running.js';

export class Passes {
  readonly #running: Running;
  #targets: readonly Target[];

  constructor(running: Running) {
    this.#running = running;
    this.#targets = running.plan.targets;
  }

  /** Targets that no pass has been started for. */
  get waiting(): number {
    return this.#targets.length;
  }

  /**
   * Starts what is ready, one segment a backend. Unless forced, a pass waits for the other targets
   * of its wave, so that they share it.
   */
  start(force: boolean): void {
    const { values, operands } = this.#running;
    const ready = new Map<Backend, Target[]>();
    const held = new Map<Backend, Target[]>();
    for (const target of this.#targets) {
      const readiness = values.readiness(target.operands);
      const failure = typeof readiness === 'boolean' ? values.failureAmong(target.kept) : readiness;
      if (failure !== undefined) {
        this.#fail(target, failure);
        continue;
      }
      const groups = readiness ? ready : held;
      const group = groups.get(target.node.backend);
      if (group === undefined) groups.set(target.node.backend, [target]);
      else group.push(target);
    }
    for (const [backend, targets] of ready) {
      const last = targets.reduce((most, { wave }) => Math.max(most, wave), 0);
      const waiting = held.get(backend) ?? [];
      if (!force && waiting.some(({ wave }) => wave <= last)) {
        held.set(backend, [...waiting, ...targets]);
      } else launch(this.#running, this.#run(backend, targets));
    }
    this.#targets = [...held.values()].flat();
    operands.sendAhead();
  }

  async #run(backend: Backend, targets: readonly Target[]): Promise<void> {
    const { plan, context, values, results, inFlight } = this.#running;
    const start = performance.now();
    const asked = targets.map(({ node }) => node);
    const planned = segmentNodes(plan, asked, (expr) => values.isDone(expr));
    const nodes = planned.map(({ expr }) => expr);
    const byRows = planned.filter(({ how }) => how.kind === 'rows').map(({ expr }) => expr);
    const resultsAt = (place: 'host' | 'there'): Expr[] =>
      asked.filter(({ stays }) => stays.at === place).map(({ expr }) => expr);
    try {
      const inputs = await this.#operands(nodes, backend);
      if (inputs === undefined) {
        this.#targets = [...this.#targets, ...targets];
        return;
      }
      // What had to be brought first has its own measurement.
      const run = performance.now();
      const others = inFlight.size;
      const segment = {
        nodes,
        inputs,
        outputs: resultsAt('host'),
        persist: resultsAt('there'),
        blocked: new Set(byRows),
        parts: askedParts(asked),
      };
      const result = await backend.run(segment, context);
      // Work that shares this machine with other work says nothing of what it takes.
      if (others <= 1 && inFlight.size <= 1) {
        const seconds = (performance.now() - run) / 1000;
        observeSegment(context.costs, backend, nodes, inputs, result.values, seconds);
      }
      results.passMade(backend, planned, asked, result, start);
      for (const target of targets) this.#read(target);
    } catch (error) {
      for (const target of targets) {
        this.#fail(target, failureOf(target.node.expr, error, backend));
      }
    }
  }

  /** What these nodes read from outside, as the backend takes it; undefined if some failed. */
  async #operands(nodes: readonly Expr[], backend: Backend): Promise<Map<Expr, Value> | undefined> {
    const inside = new Set(nodes);
    const byRows = new Map<Expr, boolean>();
    for (const expr of nodes) {
      for (const input of expr.inputs) {
        if (input.op.source === 'files' || inside.has(input) || byRows.has(input)) continue;
        byRows.set(input, takesByRows(expr, input, backend));
      }
    }
    const { operands, values } = this.#running;
    operands.takeAlong(byRows.keys());
    const inputs = new Map<Expr, Value>();
    for (const [input, takesHandles] of byRows) {
      try {
        inputs.set(input, await operands.operand(input, backend, takesHandles));
      } catch (error) {
        values.failed(input, failureOf(input, error, backend));
      }
    }
    return inputs.size === byRows.size ? inputs : undefined;
  }

  #fail(target: Target, error: Error): void {
    this.#running.values.failed(target.node.expr, error);
    this.#running.results.withdraw(target.node.expr);
    this.#read(target);
  }

  /** It is made of what it read, or never will be. */
  #read({ node, operands, kept }: Target): void {
    this.#running.values.read(operands, node.backend);
    this.#running.values.read(kept, node.backend);
  }
}
