/**
 * Executes one plan. Whenever something has ended, all row-block targets whose other operands are
 * there start as one segment per backend, then every host operator whose operands are there runs
 * (short ones at once, long ones as promises), so that this machine works while the others do.
 * Invariant: each node is made or fails once, and then counts as having read its operands; nothing
 * is in flight when the execution ends, and a failing node fails only its consumers.
 */

import { isWhole, operandsOf, type Plan, type PlanNode, stepsOf } from '../compiler/plan.js';
import { InternalError } from '../errors.js';
import type { Expr } from '../ir/expr.js';
import type { DenseMatrix, Value } from '../ir/value.js';
import { DeviceRuns } from './device-runs.js';
import type { ExecutionContext, Outcome } from './execution-context.js';
import { failureOf } from './failure.js';
import { Operands } from './operands.js';
import { Passes } from './passes.js';
import { PlanValues } from './plan-values.js';
import { Results } from './results.js';
import { launch, type Running } from './running.js';

/** Host operators run this long at most without a break, to let signals and progress through. */
const TURN_MS = 40;

export class Execution {
  readonly #running: Running;
  readonly #passes: Passes;
  readonly #devices: DeviceRuns;
  /** Operators on whole values still to run, in plan order. */
  #host: PlanNode[] = [];

  constructor(plan: Plan, context: ExecutionContext) {
    const values = new PlanValues(plan, context.places);
    const results = new Results(plan, values, context);
    const operands = new Operands(values, context);
    this.#running = { plan, context, values, results, operands, inFlight: new Set() };
    this.#passes = new Passes(this.#running);
    this.#devices = new DeviceRuns(this.#running, (nodes) => void this.#host.push(...nodes));
    const onDevices = new Set(plan.segments?.flatMap(({ nodes }) => nodes));
    for (const node of plan.nodes) {
      if (node.stays.at !== 'nowhere') results.claim(node);
      if (isWhole(node) && !onDevices.has(node)) this.#host.push(node);
    }
  }

  /** Runs to the end and returns the outcome of each root. Never rejects, except when aborted. */
  async run(): Promise<Outcome[]> {
    const { plan, context, values, results, operands, inFlight } = this.#running;
    const { asynchronous, signal } = context;
    try {
      if (asynchronous) operands.prefetch(plan.prefetch ?? []);
      while (this.#left + inFlight.size > 0) {
        const before = this.#left;
        signal?.throwIfAborted();
        // What runs elsewhere is started before anything runs here.
        if (asynchronous) this.#startElsewhere();
        await this.#runHostOperators();
        if (asynchronous || inFlight.size === 0) this.#startElsewhere(inFlight.size === 0);
        if (inFlight.size > 0) {
          await (asynchronous ? Promise.race(inFlight) : Promise.all(inFlight));
          // And what ended with it.
          await nextTurn();
        } else if (this.#left === before) {
          throw new InternalError('execution: expected a node that can run, got none');
        }
      }
      signal?.throwIfAborted();
      const outcomes = await Promise.all(plan.roots.map((root) => this.#outcome(root)));
      if (plan.resident !== undefined && outcomes.every(({ ok }) => ok)) {
        for (const root of plan.resident) values.handOver(root);
      }
      return outcomes;
    } finally {
      await Promise.all(inFlight);
      results.end();
      this.#devices.end();
      values.end();
      await operands.end();
    }
  }

  /** Nodes that have not started. */
  get #left(): number {
    return this.#host.length + this.#passes.waiting + this.#devices.waiting;
  }

  #startElsewhere(force = false): void {
    this.#devices.launch();
    this.#passes.start(force);
  }

  /** A value that a device holds for this plan alone is brought: it ends with the plan. */
  async #outcome(root: Expr): Promise<Outcome> {
    const { plan, context, values } = this.#running;
    const outcome = values.outcome(root);
    if (!outcome.ok || !values.endsHere(root) || plan.resident?.has(root)) return outcome;
    const { local } = context;
    try {
      return { ok: true, value: await this.#running.operands.operand(root, local, false) };
    } catch (error) {
      return { ok: false, error: failureOf(root, error, local) };
    }
  }

  async #runHostOperators(): Promise<void> {
    const waiting: PlanNode[] = [];
    const { plan, context, values } = this.#running;
    const { spill } = context.cache;
    let turnEnd = performance.now() + TURN_MS;
    let isFed = false;
    for (const node of this.#host) {
      const readiness = values.readiness(operandsOf(node));
      if (readiness === false) waiting.push(node);
      else if (readiness !== true) this.#fail(node, readiness);
      else {
        const isAwaited = plan.awaited.has(node);
        if (isFed && !isAwaited) {
          isFed = false;
          this.#startElsewhere();
          // The program leaves this machine in a turn of the event loop.
          await nextTurn();
        }
        isFed ||= context.asynchronous && isAwaited;
        this.#runHostOperator(node);
        // Values on their way to the disk hold memory: let them go before making more.
        if (spill?.isCongested) await spill.relieved();
        if (performance.now() > turnEnd) {
          await nextTurn();
          context.signal?.throwIfAborted();
          if (context.asynchronous) this.#startElsewhere();
          turnEnd = performance.now() + TURN_MS;
        }
      }
    }
    this.#host = waiting;
  }

  #runHostOperator(node: PlanNode): void {
    const start = performance.now();
    try {
      const inputs = operandsOf(node).map((input) => this.#running.values.get(input)!);
      const value = inputs.every(isDense) ? runSync(node, inputs) : undefined;
      if (value === undefined) launch(this.#running, this.#runAsync(node, start));
      else this.#finish(node, value, start, true);
    } catch (error) {
      this.#fail(node, failureOf(node.expr, error, node.backend));
    }
  }

  async #runAsync(node: PlanNode, start: number): Promise<void> {
    const { expr, backend } = node;
    const others = this.#running.inFlight.size;
    try {
      const inputs = new Map<Expr, Value>();
      for (const input of operandsOf(node)) {
        inputs.set(input, await this.#running.operands.operand(input, backend, false));
      }
      const result = await backend.run(
        {
          ...{ nodes: stepsOf(node), inputs, outputs: [expr], persist: [] },
          ...{ blocked: new Set(), isWhole: true },
        },
        this.#running.context,
      );
      const value = result.values.get(expr);
      if (value === undefined)
        throw new InternalError(`${backend.name}: expected a value for ${expr.op.name}`);
      const isAlone = others === 0 && this.#running.inFlight.size === 1;
      this.#finish(node, value, start, isAlone, result.kernels);
    } catch (error) {
      this.#fail(node, failureOf(expr, error, backend));
    }
  }

  #finish(node: PlanNode, value: Value, start: number, isAlone: boolean, kernels?: number): void {
    this.#running.results.made(node, value, start, isAlone, kernels);
    if (this.#running.context.asynchronous && this.#running.plan.broadcast?.has(node.expr)) {
      this.#running.operands.announce(node.expr, value);
    }
    this.#running.values.read(operandsOf(node), node.backend);
  }

  #fail(node: PlanNode, error: Error): void {
    this.#running.values.failed(node.expr, error);
    this.#running.results.withdraw(node.expr);
    this.#running.values.read(operandsOf(node), node.backend);
  }
}

/** At once, where the backend can. */
function runSync(
  { expr, how, backend }: PlanNode,
  inputs: readonly DenseMatrix[],
): Value | undefined {
  if (how.kind !== 'chain') return backend.runSync?.(expr, inputs);
  return backend.runChain?.(how.nodes, new Map(how.inputs.map((input, i) => [input, inputs[i]!])));
}

const isDense = (value: Value): value is DenseMatrix => value.kind === 'dense';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
