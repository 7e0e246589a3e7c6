/**
 * What one plan makes: each value is counted, handed to the readers in the plan and put into the
 * cache if it is to be kept. Results over parts of the data that a pass leaves beside the result
 * over all are kept under the nodes that stand for the parts alone. Invariant: each node that is to
 * be kept is claimed before anybody else can plan, and put or withdrawn by the end; a node that
 * answers from cached parts stands for the nodes of the program it answers.
 */

import type { Backend, SegmentResult } from '../backend/backend.js';
import type { CacheEntry } from '../backend/cache-entry.js';
import type { FilePart } from '../compiler/file-parts.js';
import { isAlwaysMade } from '../compiler/host-rows.js';
import { isFreed, operandsOf, type Plan, type PlanNode, stepsOf } from '../compiler/plan.js';
import { observeOperator } from '../cost/measure.js';
import { InternalError } from '../errors.js';
import { rowsScanned } from '../frame/frame-data.js';
import type { Expr } from '../ir/expr.js';
import { rowsView, type Value } from '../ir/value.js';
import type { ExecutionContext } from './execution-context.js';
import type { PlanValues } from './plan-values.js';

export class Results {
  readonly #plan: Plan;
  readonly #values: PlanValues;
  readonly #context: ExecutionContext;
  readonly #claims: CacheEntry[] = [];

  constructor(plan: Plan, values: PlanValues, context: ExecutionContext) {
    this.#plan = plan;
    this.#values = values;
    this.#context = context;
  }

  /** Promises the cache what is to be kept of a node. */
  claim(node: PlanNode): void {
    const { expr } = node;
    if (!this.#context.keeps(node) || !expr.isDeterministic || isFreed(node)) return;
    for (const key of this.#keysOf(expr)) {
      const claim = this.#context.cache.claim(key);
      if (claim !== undefined) this.#claims.push(claim);
    }
  }

  /**
   * An operator on whole values is done, or a chain of them.
   * @param isAlone nothing else ran meanwhile, so the time is its own
   * @param kernels default: one a step
   */
  made(node: PlanNode, value: Value, start: number, isAlone: boolean, kernels?: number): void {
    const { statistics, costs } = this.#context;
    const { expr, backend } = node;
    const end = performance.now();
    const seconds = (end - start) / 1000;
    const steps = stepsOf(node);
    if (isAlone && steps.length === 1) observeOperator(costs, backend, expr, seconds);
    for (const step of steps) {
      this.noteLetGo(step, step.isDeterministic && (isFreed(node) || step !== expr));
      const state = step === expr ? 'computed' : 'fused';
      this.record(step, backend.name, seconds / steps.length, state);
      statistics.operator(backend.name, step.op.name, start, end);
    }
    statistics.kernels += kernels ?? steps.length;
    this.#keep(node, value, seconds + this.#values.secondsOf(operandsOf(node)));
  }

  /** A pass over data is done. */
  passMade(
    backend: Backend,
    planned: readonly PlanNode[],
    targets: readonly PlanNode[],
    { values, kernels, passes, sparkJobs }: SegmentResult,
    start: number,
  ): void {
    const { statistics, local } = this.#context;
    const end = performance.now();
    const seconds = (end - start) / 1000;
    for (const [node, share] of shares(planned, seconds)) {
      const value = values.get(node.expr);
      this.record(node.expr, backend.name, share, value === undefined ? 'fused' : 'computed');
      if (value !== undefined) this.#keep(node, value, seconds);
    }
    for (const { expr, how, stays } of planned) {
      if (how.kind !== 'rows' || backend !== local) continue;
      if (isAlwaysMade(expr)) continue;
      this.noteLetGo(expr, stays.at === 'nowhere');
    }
    const names = new Set(targets.map(({ expr }) => expr.op.name));
    statistics.bar(backend.name, `pass: ${[...names].join(', ')}`, start, end);
    statistics.kernels += kernels;
    // A sink walks its data once even where the backend holds them whole.
    const sinks = targets.filter(({ how }) => how.kind === 'reduce');
    statistics.passes += Math.max(passes, sinks.length > 0 ? 1 : 0);
    statistics.sparkJobs += sparkJobs;
    statistics.rowsRead += rowsScanned(planned.map(({ expr }) => expr));
    for (const target of targets) {
      if (!this.#values.isDone(target.expr)) {
        throw new InternalError(`${backend.name}: expected a value for ${target.expr.op.name}`);
      }
      this.#keepParts(target, values, seconds);
    }
  }

  /** Counts whether results that are not kept are asked for again. */
  noteLetGo(expr: Expr, isLetGo: boolean): void {
    const { transients, cache } = this.#context;
    if (expr.wasTransient) {
      transients.returned(expr);
      cache.results.returned(expr);
    }
    if (isLetGo) {
      transients.seen(expr);
      cache.results.seen(expr);
    }
    expr.wasTransient ||= isLetGo;
  }

  /** It will not come: whoever waits for it computes it. */
  withdraw(expr: Expr): void {
    for (const key of this.#keysOf(expr)) this.#context.cache.withdraw(key);
  }

  /** Withdraws what was not put. */
  end(): void {
    for (const claim of this.#claims) {
      if (claim.state === 'pending') this.#context.cache.withdraw(claim.expr);
    }
  }

  /** The program's nodes that a plan node stands for: itself, unless it uses cached parts. */
  #keysOf(expr: Expr): readonly Expr[] {
    return this.#plan.partial?.originals.get(expr) ?? [expr];
  }

  /** Counts a node that was computed. @param seconds what it took */
  record(expr: Expr, backend: string, seconds: number, state: 'computed' | 'fused'): void {
    const { statistics } = this.#context;
    if (this.#plan.partial?.answers.has(expr)) statistics.partial++;
    else statistics.misses++;
    for (const key of this.#keysOf(expr)) statistics.record(key, backend, seconds, state);
  }

  /** @param seconds what it took, from what is kept */
  #keep(node: PlanNode, value: Value, seconds: number): void {
    const isOwned = !isFreed(node) && this.put(node.expr, value, seconds, node.backend.name);
    this.#values.made(node, value, isOwned, seconds);
  }

  /** True when the value is the cache's from now on. */
  put(expr: Expr, value: Value, seconds: number, backend: string): boolean {
    const { cache, statistics, onComputed } = this.#context;
    const answer = this.#plan.partial?.answers.get(expr);
    let total = seconds;
    if (answer !== undefined) {
      // What it would take without the parts, so that the entry is kept as what it is worth.
      for (const use of answer.uses) total += cache.probe(use)?.seconds ?? 0;
      for (const node of answer.compensation) {
        if (node !== expr) total += statistics.nodes.get(node)?.seconds ?? 0;
      }
    }
    const keys = this.#keysOf(expr);
    const first = keys[0]!;
    const isOwned = cache.put(first, value, total, backend);
    onComputed?.(first, value, total);
    for (let i = 1; i < keys.length; i++) {
      const key = keys[i]!;
      cache.alias(key, first, total);
      onComputed?.(key, value, total);
    }
    return isOwned;
  }

  /** What one plan makes twice is kept once; parts are worth their share of the rows. */
  #keepParts(target: PlanNode, values: ReadonlyMap<Expr, Value>, seconds: number): void {
    const { cache, keeps, onComputed } = this.#context;
    const parts = keptParts(target);
    const rows = parts.at(-1)?.to ?? 0;
    for (const part of parts) {
      const value = partValue(target, part, values);
      if (!keeps(target) || value === undefined || cache.claim(part.expr) === undefined) continue;
      const share = (seconds * (part.to - part.from)) / rows;
      cache.put(part.expr, value, share, target.backend.name);
      onComputed?.(part.expr, value, share);
    }
  }
}

/** The time of each node of a segment, by its work. @units seconds */
export function shares(nodes: readonly PlanNode[], seconds: number): Map<PlanNode, number> {
  const flops = nodes.map(({ expr }) => 1 + expr.op.flops(expr.inputs, expr.attrs, expr));
  const total = flops.reduce((sum, value) => sum + value, 0);
  return new Map(nodes.map((node, i) => [node, (seconds * flops[i]!) / total]));
}

/** The parts a backend is asked for: those of reductions. Rows of a result need no asking. */
export function askedParts(targets: readonly PlanNode[]): ReadonlyMap<Expr, readonly FilePart[]> {
  const sums = targets.filter((node) => node.how.kind === 'reduce' && keptParts(node).length > 0);
  return new Map(sums.map((node) => [node.expr, keptParts(node)]));
}

/** Results over parts of the data that are kept beside a node's own. */
export function keptParts({ stays }: PlanNode): readonly FilePart[] {
  return stays.at === 'host' ? (stays.parts ?? []) : [];
}

/** Undefined where the backend left it out. */
function partValue(
  { expr, how }: PlanNode,
  part: FilePart,
  values: ReadonlyMap<Expr, Value>,
): Value | undefined {
  if (how.kind === 'reduce') return values.get(part.expr);
  const value = values.get(expr);
  return value?.kind === 'dense' ? rowsView(value, part.from, part.to) : undefined;
}
