/**
 * Executes one plan. Whenever something has ended, all row-block targets whose other operands are
 * there start as one segment per backend, then every host operator whose operands are there runs
 * (short ones at once, long ones as promises), so that this machine works while the others do.
 * Invariant: each node claimed in the cache is put or withdrawn, nothing is in flight when the
 * execution ends, and a failing node fails only its consumers.
 */

import type { Backend } from '../backend/backend.js';
import {
  awaitedNodes,
  type CellChain,
  firstWaves,
  isFreed,
  isOverRows,
  isTarget,
  type Plan,
  type PlanNode,
  segmentNodes,
} from '../compiler/plan.js';
import { takesByRows } from '../compiler/row-blocks.js';
import { observeOperator, observeSegment } from '../cost/measure.js';
import { InternalError } from '../errors.js';
import { rowsScanned } from '../frame/frame-data.js';
import type { Expr } from '../ir/expr.js';
import type { Value } from '../ir/value.js';
import { DeviceRuns } from './device-runs.js';
import type { ExecutionContext, Outcome } from './execution-context.js';
import { failureOf } from './failure.js';
import { NodeStates } from './node-states.js';
import { Operands } from './operands.js';
import { askedParts, keepParts } from './part-results.js';
import { PromisedResults } from './promised-results.js';
import { TransientValues } from './transient-values.js';

/** Host operators run without a break for at most this long, so that signals and progress get through. */
const TURN_MS = 40;

export class Execution {
  readonly #plan: Plan;
  readonly #context: ExecutionContext;
  readonly #states: NodeStates;
  readonly #results: PromisedResults;
  readonly #transients: TransientValues;
  readonly #waves: ReadonlyMap<PlanNode, number>;
  readonly #awaited: ReadonlySet<PlanNode>;
  /** Chains that run step by step. */
  readonly #split = new Set<PlanNode>();
  /** What runs now; these promises never reject. */
  readonly #inFlight = new Set<Promise<void>>();
  readonly #operands: Operands;
  readonly #devices: DeviceRuns;
  /** Host operators and row-block targets still to run, in plan order. */
  #host: PlanNode[] = [];
  #targets: PlanNode[] = [];

  constructor(plan: Plan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
    this.#states = new NodeStates(plan);
    this.#waves = firstWaves(plan);
    this.#awaited = awaitedNodes(plan);
    this.#results = new PromisedResults(plan, context);
    this.#transients = new TransientValues(plan, this.#states.values);
    this.#operands = new Operands(this.#states.values, context);
    this.#devices = new DeviceRuns(plan, context, {
      states: this.#states,
      results: this.#results,
      operands: this.#operands,
      launch: (work) => this.#launch(work),
      runHere: (nodes) => void this.#host.push(...nodes),
      finished: (node) => this.#transients.finished(node),
    });
    const onDevices = new Set(plan.segments?.flatMap(({ nodes }) => nodes));
    for (const node of plan.nodes) {
      if (node.how.kind === 'fused') continue;
      if (isTarget(node)) this.#targets.push(node);
      else if (isOverRows(node)) continue;
      else if (!onDevices.has(node)) this.#host.push(node);
      if (!isFreed(node)) this.#results.claim(node.expr);
    }
  }

  /** Runs to the end and returns the outcome of each root. Never rejects, except when aborted. */
  async run(): Promise<Outcome[]> {
    try {
      if (this.#context.asynchronous) this.#operands.prefetch(this.#plan.prefetch ?? []);
      while (this.#left() > 0 || this.#inFlight.size > 0) {
        const before = this.#left();
        this.#context.signal?.throwIfAborted();
        // What runs elsewhere is started before anything runs here.
        if (this.#context.asynchronous) this.#launchSegments(false);
        await this.#runHostOperators();
        if (this.#context.asynchronous || this.#inFlight.size === 0) {
          this.#launchSegments(this.#inFlight.size === 0);
        }
        if (this.#inFlight.size > 0) await this.#settleSome();
        else if (this.#left() === before) {
          throw new InternalError('execution: expected a node that can run, got none');
        }
      }
      this.#context.signal?.throwIfAborted();
    } finally {
      await Promise.all(this.#inFlight);
      this.#results.end();
      this.#devices.end();
      await this.#operands.end((expr) => this.#results.isOwned(expr));
    }
    return this.#plan.roots.map((root) => {
      const error = this.#states.failed.get(root);
      if (error !== undefined) return { ok: false, error };
      const value = this.#states.values.get(root);
      if (value === undefined)
        throw new InternalError('execution: expected a value for every root');
      return { ok: true, value };
    });
  }

  /** What has not started. */
  #left(): number {
    return this.#host.length + this.#targets.length + this.#devices.waiting;
  }

  /** Work that never rejects: failures are kept by node. */
  #launch(work: Promise<void>): void {
    this.#inFlight.add(work);
    void work.then(() => this.#inFlight.delete(work));
  }

  /** Waits until something in flight has ended, and what ended with it. */
  async #settleSome(): Promise<void> {
    if (this.#context.asynchronous) await Promise.race(this.#inFlight);
    else await Promise.all(this.#inFlight);
    await nextTurn();
  }

  async #runHostOperators(): Promise<void> {
    const waiting: PlanNode[] = [];
    const { spill } = this.#context.cache;
    let turnEnd = performance.now() + TURN_MS;
    let isFed = false;
    for (const node of this.#host) {
      const chain = node.how.kind === 'chain' && !this.#split.has(node) ? node.how : undefined;
      const readiness = this.#states.readiness(chain?.inputs ?? node.expr.inputs);
      if (readiness === 'failed') this.#inherit(node.expr, chain?.inputs);
      else if (readiness === 'waiting') waiting.push(node);
      else {
        if (isFed && !this.#awaited.has(node)) {
          isFed = false;
          this.#launchSegments(false);
          // The program leaves this machine in a turn of the event loop.
          await nextTurn();
        }
        isFed ||= this.#context.asynchronous && this.#awaited.has(node);
        if (chain === undefined) this.#runHostOperator(node);
        else this.#runChain(node, chain, waiting);
        // Values on their way to the disk hold memory: let them go before making more.
        if (spill?.isCongested) await spill.relieved();
        const now = performance.now();
        if (now > turnEnd) {
          await nextTurn();
          this.#context.signal?.throwIfAborted();
          if (this.#context.asynchronous) this.#launchSegments(false);
          turnEnd = performance.now() + TURN_MS;
        }
      }
    }
    this.#host = waiting;
  }

  #runHostOperator(node: PlanNode): void {
    const { expr, backend } = node;
    const inputs = expr.inputs.map((input) => this.#states.values.get(input)!);
    const start = performance.now();
    try {
      if (inputs.every((value) => value.kind === 'dense')) {
        const value = backend.runSync?.(expr, inputs);
        if (value !== undefined) {
          this.#finish(node, value, start, 1, true);
          return;
        }
      }
    } catch (error) {
      this.#fail(expr, error, backend);
      return;
    }
    this.#launch(this.#runAsync(node, start));
  }

  /** In one loop; step by step where the backend would rather not. */
  #runChain(node: PlanNode, chain: CellChain, waiting: PlanNode[]): void {
    const start = performance.now();
    const inputs = new Map(chain.inputs.map((input) => [input, this.#states.values.get(input)!]));
    try {
      const value = node.backend.runChain?.(chain.nodes, inputs);
      if (value !== undefined) {
        this.#finish(node, value, start, chain.nodes.length, true, chain);
        return;
      }
    } catch (error) {
      this.#fail(node.expr, error, node.backend);
      return;
    }
    this.#split.add(node);
    for (const expr of chain.nodes) {
      const step = this.#plan.nodeOf.get(expr)!;
      if (this.#states.readiness(expr.inputs) === 'ready') this.#runHostOperator(step);
      else waiting.push(step);
    }
  }

  async #runAsync(node: PlanNode, start: number): Promise<void> {
    const { expr, backend } = node;
    const others = this.#inFlight.size;
    try {
      const inputs = new Map<Expr, Value>();
      for (const input of expr.inputs) {
        inputs.set(input, await this.#operands.operand(input, backend, false));
      }
      const result = await backend.run(
        { nodes: [expr], inputs, outputs: [expr], persist: [], blocked: new Set() },
        this.#context,
      );
      const value = result.values.get(expr);
      if (value === undefined)
        throw new InternalError(`${backend.name}: expected a value for ${expr.op.name}`);
      const alone = others === 0 && this.#inFlight.size === 1;
      this.#finish(node, value, start, result.kernels, alone);
    } catch (error) {
      this.#fail(expr, error, backend);
    }
  }

  /**
   * Starts what is ready, one segment a backend. Unless forced, a pass waits for the other targets
   * of its wave, so that they share it.
   */
  #launchSegments(force: boolean): void {
    this.#devices.launch();
    const ready = new Map<Backend, PlanNode[]>();
    const held = new Map<Backend, PlanNode[]>();
    for (const target of this.#targets) {
      const readiness = this.#states.segmentReadiness(target);
      if (readiness === 'failed') {
        const below = segmentNodes(this.#plan, [target], this.#states.done);
        this.#inherit(
          target.expr,
          below.flatMap(({ expr }) => expr.inputs),
        );
        continue;
      }
      const groups = readiness === 'ready' ? ready : held;
      const group = groups.get(target.backend);
      if (group === undefined) groups.set(target.backend, [target]);
      else group.push(target);
    }
    for (const [backend, targets] of ready) {
      const last = targets.reduce((wave, target) => Math.max(wave, this.#waveOf(target)), 0);
      const waiting = held.get(backend) ?? [];
      if (!force && waiting.some((target) => this.#waveOf(target) <= last)) {
        held.set(backend, [...waiting, ...targets]);
      } else this.#launch(this.#runSegment(backend, targets));
    }
    this.#targets = [...held.values()].flat();
    this.#operands.sendAhead();
  }

  #waveOf(target: PlanNode): number {
    return this.#waves.get(target) ?? target.wave;
  }

  async #runSegment(backend: Backend, targets: readonly PlanNode[]): Promise<void> {
    const start = performance.now();
    const planned = segmentNodes(this.#plan, targets, this.#states.done);
    const nodes = planned.map((node) => node.expr);
    const inside = new Set(nodes);
    const operands = new Map<Expr, boolean>();
    for (const { expr } of planned) {
      for (const input of expr.inputs) {
        if (input.op.source === 'files' || inside.has(input) || operands.has(input)) continue;
        operands.set(input, takesByRows(expr, input, backend));
      }
    }
    this.#operands.takeAlong(operands.keys());
    const inputs = new Map<Expr, Value>();
    try {
      for (const [input, byRows] of operands) {
        inputs.set(input, await this.#operands.operand(input, backend, byRows));
      }
      // What had to be brought first has its own measurement.
      const run = performance.now();
      const others = this.#inFlight.size;
      const result = await backend.run(
        {
          nodes,
          inputs,
          outputs: targets.filter(({ stays }) => stays.at === 'host').map(({ expr }) => expr),
          persist: targets.filter(({ stays }) => stays.at === 'there').map(({ expr }) => expr),
          blocked: new Set(
            planned.filter(({ how }) => how.kind === 'rows').map(({ expr }) => expr),
          ),
          parts: askedParts(targets),
        },
        this.#context,
      );
      // Work that shares this machine with other work says nothing of what it takes.
      if (others <= 1 && this.#inFlight.size <= 1) {
        const seconds = (performance.now() - run) / 1000;
        observeSegment(this.#context.costs, backend, nodes, inputs, result.values, seconds);
      }
      this.#finishSegment(backend, planned, targets, result.values, start);
      const { statistics } = this.#context;
      statistics.kernels += result.kernels;
      // A sink walks its data once even where the backend holds them whole.
      statistics.passes += Math.max(
        result.passes,
        targets.some(({ how }) => how.kind === 'reduce') ? 1 : 0,
      );
      statistics.sparkJobs += result.sparkJobs;
      statistics.rowsRead += rowsScanned(nodes);
    } catch (error) {
      for (const target of targets) this.#fail(target.expr, error, backend);
    }
  }

  #finishSegment(
    backend: Backend,
    planned: readonly PlanNode[],
    targets: readonly PlanNode[],
    values: ReadonlyMap<Expr, Value>,
    start: number,
  ): void {
    const { statistics } = this.#context;
    const end = performance.now();
    const seconds = (end - start) / 1000;
    const flops = planned.map(({ expr }) => 1 + expr.op.flops(expr.inputs, expr.attrs, expr));
    const total = flops.reduce((sum, value) => sum + value, 0);
    planned.forEach(({ expr }, i) => {
      const share = (seconds * flops[i]!) / total;
      const value = values.get(expr);
      this.#results.record(expr, backend.name, share, value === undefined ? 'fused' : 'computed');
      if (value === undefined) return;
      this.#states.note(expr, value);
      this.#results.put(expr, value, seconds, backend.name);
    });
    keepParts(targets, values, seconds, backend.name, this.#context);
    const names = targets.map((node) => node.expr.op.name);
    statistics.bar(backend.name, `pass: ${[...new Set(names)].join(', ')}`, start, end);
    for (const { expr } of targets) {
      if (!this.#states.values.has(expr))
        throw new InternalError(`${backend.name}: expected a value for ${expr.op.name}`);
    }
  }

  /** @param alone nothing else ran meanwhile, so the time is the operator's own */
  #finish(
    node: PlanNode,
    value: Value,
    start: number,
    kernels: number,
    alone: boolean,
    chain?: CellChain,
  ): void {
    const { statistics, costs, transients } = this.#context;
    const { expr, backend } = node;
    const end = performance.now();
    const seconds = (end - start) / 1000;
    if (alone && chain === undefined) observeOperator(costs, backend, expr, seconds);
    const total = this.#transients.total(node, seconds, chain);
    this.#states.note(expr, value);
    for (const step of chain?.nodes ?? [expr]) {
      if (step.wasTransient) transients.returned(step);
      const isLetGo = isFreed(node) || step !== expr;
      if (isLetGo) transients.seen(step);
      step.wasTransient ||= isLetGo;
      const share = chain === undefined ? seconds : seconds / chain.nodes.length;
      this.#results.record(step, backend.name, share, step === expr ? 'computed' : 'fused');
      statistics.operator(backend.name, step.op.name, start, end);
    }
    if (!isFreed(node)) this.#results.put(expr, value, total, backend.name);
    this.#transients.finished(node, value, chain);
    statistics.kernels += kernels;
    if (this.#context.asynchronous && this.#plan.broadcast?.has(expr)) {
      this.#operands.announce(expr, value);
    }
  }

  /** @param operands of what was to be computed, where they are not the node's alone */
  #inherit(expr: Expr, operands: readonly Expr[] = expr.inputs): void {
    this.#states.failed.set(expr, this.#states.failureAmong(operands, expr));
    this.#results.withdraw(expr);
  }

  #fail(expr: Expr, error: unknown, backend: Backend): void {
    this.#states.failed.set(expr, failureOf(expr, error, backend));
    this.#results.withdraw(expr);
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
