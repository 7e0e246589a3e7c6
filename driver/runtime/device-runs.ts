/**
 * The device segments of one execution. A segment is queued as soon as its operands have names, and
 * its results are handles at once, so a device is never waited for between two kernels; a result
 * that the host reads is brought when its event has come. What was queued is taken into the cache
 * when the segment has ended. Invariants: a failed kernel fails what reads its value and nothing
 * else; when the memory of a device is full, what its tier can spare goes, then what the plan would
 * keep for later plans alone, then what is read later goes to the host for a while where that costs
 * less than the host takes, and what does not fit, or the device refuses, runs on the host; no handle of a failed or
 * cancelled segment stays.
 */
import type { Backend, Segment, SegmentResult } from '../backend/backend.js';
import { pinValues } from '../backend/cache-tier.js';
import type { DeviceSegment } from '../compiler/device-segments.js';
import { isFreed, operandsOf, type PlanNode } from '../compiler/plan.js';
import { observeSegment } from '../cost/measure.js';
import { InternalError, ResourceError, UnsupportedError } from '../errors.js';
import type { Expr } from '../ir/expr.js';
import type { Handle, Value } from '../ir/value.js';
import { failureOf } from './failure.js';
import { shares } from './results.js';
import { launch, type Running } from './running.js';

export class DeviceRuns {
  readonly #running: Running;
  /** Runs nodes on the host after all. */
  readonly #runHere: (nodes: readonly PlanNode[]) => void;
  readonly #pins: (() => void)[] = [];
  #waiting: readonly DeviceSegment[];

  constructor(running: Running, runHere: (nodes: readonly PlanNode[]) => void) {
    this.#running = running;
    this.#runHere = runHere;
    this.#waiting = running.plan.segments ?? [];
  }

  /** Segments that wait for other backends. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Queues the segments whose operands have values, names of values, or failures. */
  launch(): void {
    const { values } = this.#running;
    this.#waiting = this.#waiting.filter((segment) => {
      const isReady = segment.inputs.every((input) => values.isDone(input));
      if (isReady) launch(this.#running, this.#run(segment));
      return !isReady;
    });
  }

  /** Later plans read the rest. */
  end(): void {
    for (const unpin of this.#pins.splice(0)) unpin();
  }

  async #run(segment: DeviceSegment): Promise<void> {
    const start = performance.now();
    const inputs = new Map<Expr, Value>();
    const failures = await this.#gather(segment, inputs);
    const nodes = segment.nodes.filter((node) => {
      const failed = node.expr.inputs.find((input) => failures.has(input));
      if (failed === undefined) return true;
      failures.set(node.expr, failures.get(failed)!);
      this.#fail(node, failures.get(failed)!);
      return false;
    });
    const { context, values } = this.#running;
    if (nodes.length === 0) {
      values.read(segment.inputs, segment.backend);
      return;
    }
    try {
      const result = await this.#queue(segment, nodes, inputs);
      const brought: Promise<void>[] = [];
      for (const node of nodes) {
        const value = result.values.get(node.expr);
        if (value === undefined) continue;
        // Rows that were made block by block are on the host already.
        if (value.kind === 'dense' || node.stays.at === 'there') values.named(node, value);
        else brought.push(this.#bring(node, value));
      }
      const end = this.#finish(segment, nodes, inputs, result, brought, start);
      launch(this.#running, end);
    } catch (error) {
      const { local } = context;
      const canRun = nodes.every(({ expr }) => this.#canRunHere(expr));
      const isLeft = error instanceof ResourceError || error instanceof UnsupportedError;
      if (!isLeft || !canRun) {
        for (const node of nodes) this.#fail(node, error);
      } else {
        context.statistics.leave(segment.backend.name, nodes.length, error);
        for (const node of nodes) {
          node.backend = local;
          values.expect(operandsOf(node));
        }
        this.#runHere(nodes);
      }
      values.read(segment.inputs, segment.backend);
    }
  }

  /** Operands as the device takes them. @returns those that have no value */
  async #gather(
    { backend, inputs }: DeviceSegment,
    gathered: Map<Expr, Value>,
  ): Promise<Map<Expr, unknown>> {
    const { values, operands } = this.#running;
    const failures = new Map<Expr, unknown>();
    operands.takeAlong(inputs);
    await Promise.all(
      inputs.map(async (input) => {
        try {
          const failed = values.failureAmong([input]);
          if (failed !== undefined) throw failed;
          gathered.set(input, await operands.operand(input, backend, true));
        } catch (error) {
          failures.set(input, error);
        }
      }),
    );
    return failures;
  }

  /** Again with more room while memory is short. */
  async #queue(
    { backend, results }: DeviceSegment,
    planned: readonly PlanNode[],
    inputs: ReadonlyMap<Expr, Value>,
  ): Promise<SegmentResult> {
    const nodes = planned.map(({ expr }) => expr);
    let persist = planned.filter((node) => results.has(node.expr) || this.#isKept(node));
    for (;;) {
      const segment: Segment = {
        nodes,
        inputs,
        outputs: [],
        persist: persist.map(({ expr }) => expr),
        spare: new Set(persist.flatMap(({ expr }) => (results.has(expr) ? [] : [expr]))),
        blocked: new Set(),
      };
      try {
        return await backend.run(segment, this.#running.context);
      } catch (error) {
        if (!(error instanceof ResourceError)) throw error;
        if (await this.#running.context.places.makeRoom(backend, error)) continue;
        const needed = persist.filter(({ expr }) => results.has(expr));
        if (persist.length > needed.length) persist = needed;
        else if (!(await this.#vacate(backend, error, nodes, inputs))) throw error;
      }
    }
  }

  /** Values that are read later make room for these, if that beats running them on the host. */
  async #vacate(
    backend: Backend,
    error: ResourceError,
    nodes: readonly Expr[],
    inputs: ReadonlyMap<Expr, Value>,
  ): Promise<boolean> {
    const { local, costs, places } = this.#running.context;
    if (!nodes.every((expr) => this.#canRunHere(expr))) {
      return places.vacate(backend, error, Infinity, inputs.values());
    }
    let gainSeconds = 0;
    for (const expr of nodes) {
      gainSeconds += costs.work(local, expr).seconds - costs.work(backend, expr).seconds;
    }
    return places.vacate(backend, error, gainSeconds, inputs.values());
  }

  #canRunHere(expr: Expr): boolean {
    return this.#running.context.local.capabilities.ops.has(expr.op.name);
  }

  #isKept(node: PlanNode): boolean {
    const { expr, stays } = node;
    const isForLater = expr.isDeterministic && stays.at === 'there' && stays.isKept;
    return isForLater && this.#running.context.keeps(node);
  }

  async #bring(node: PlanNode, handle: Handle): Promise<void> {
    const { context, values } = this.#running;
    try {
      const value = await context.places.fetch(handle, context);
      if (value === undefined)
        throw new InternalError(`${handle.backend}: expected to collect ${handle.id}`);
      values.named(node, value.it);
    } catch (error) {
      this.#fail(node, error);
    } finally {
      context.places.release(handle);
    }
  }

  async #finish(
    { backend, results: read, inputs: operands }: DeviceSegment,
    nodes: readonly PlanNode[],
    inputs: ReadonlyMap<Expr, Value>,
    result: SegmentResult,
    brought: readonly Promise<void>[],
    start: number,
  ): Promise<void> {
    const end = await result.ended;
    await Promise.all(brought);
    const { context, values, results } = this.#running;
    const { cache, costs, places, statistics } = context;
    const now = performance.now();
    const seconds = end?.seconds ?? (now - start) / 1000;
    const exprs = nodes.map(({ expr }) => expr);
    if (!end?.failures.size && end?.isFirst !== true) {
      observeSegment(costs, backend, exprs, inputs, result.values, seconds);
    }
    for (const [node, share] of shares(nodes, seconds)) {
      const { expr } = node;
      const value = values.get(expr);
      const error = end?.failures.get(expr);
      const handle = node.stays.at === 'there' ? result.values.get(expr) : undefined;
      // A reader may have met the failure before.
      const isLost = error !== undefined || value === undefined;
      if (isLost && handle?.kind === 'handle') places.release(handle);
      if (error !== undefined) this.#fail(node, error);
      else {
        results.noteLetGo(expr, expr.isDeterministic && isFreed(node));
        results.record(expr, backend.name, share, value === undefined ? 'fused' : 'computed');
        if (value === undefined) results.withdraw(expr);
        else values.owned(node, results.put(expr, value, share, backend.name));
        // The cache may let it go from here on, but not before this plan has read it.
        if (value?.kind === 'handle' && read.has(expr))
          this.#pins.push(pinValues(cache.tiers, [value]));
      }
    }
    values.read(operands, backend);
    const names = new Set(exprs.map(({ op }) => op.name));
    statistics.bar(backend.name, `segment: ${[...names].join(', ')}`, start, now);
    statistics.kernels += result.kernels;
    statistics.passes += result.passes;
  }

  #fail({ expr, backend }: PlanNode, error: unknown): void {
    this.#running.values.failed(expr, failureOf(expr, error, backend));
    this.#running.results.withdraw(expr);
  }
}
