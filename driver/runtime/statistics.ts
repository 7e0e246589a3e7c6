/**
 * What a session did: counters, devices' own, a timeline and one record per executed node. Counters
 * only grow; a run reports the difference between two snapshots. Short host operators are merged into
 * bursts, so that a search of a thousand solves is one bar of the timeline and not a thousand.
 */
import type { Backend, DeviceWork } from '../backend/backend.js';
import type { Plan } from '../compiler/plan.js';
import type { Expr } from '../ir/expr.js';
import { forgetOldest } from '../support/forget-oldest.js';

export interface Counters {
  /** Results asked for again and not computed again. */
  readonly hits: number;
  /** Results answered from cached parts and a compensation. */
  readonly partial: number;
  /** Results computed. */
  readonly misses: number;
  /** Time that values took which were there before, each once however often asked for. @units seconds */
  readonly savedSeconds: number;
  readonly kernels: number;
  readonly passes: number;
  readonly scans: number;
  /** Rows read from files, for matrices and for statistics. */
  readonly rowsRead: number;
  readonly sparkJobs: number;
}

export interface TimelineBar {
  readonly lane: string;
  readonly name: string;
  /** @units milliseconds of `performance.now()` */
  readonly start: number;
  readonly end: number;
}

export interface NodeRecord {
  backend: string;
  seconds: number;
  state: 'computed' | 'fused' | 'reused';
  /** Times the value was asked for beyond the first. */
  hits: number;
}

/** Host operators closer together than this belong to one burst. @units milliseconds */
const BURST_GAP_MS = 5;
const MAX_PLANS = 8;
/** Of the timeline, the latest. */
const MAX_BARS = 1 << 14;
/** Nodes remembered, the latest: a session of days must not hold every node it ever computed. */
const MAX_NODES = 1 << 18;

export class Statistics {
  partial = 0;
  misses = 0;
  kernels = 0;
  passes = 0;
  scans = 0;
  rowsRead = 0;
  sparkJobs = 0;
  readonly nodes = new Map<Expr, NodeRecord>();
  /** The last plans executed, newest last. */
  readonly plans: Plan[] = [];
  /** Steps that a device could not take after all, by device, and why the first of them. */
  readonly left = new Map<string, { steps: number; readonly why: string }>();
  /** Turns that compiled loops took. */
  compiledTurns = 0;
  /** Loops that were run by plans, by reason. */
  readonly loops = new Map<string, number>();
  readonly #asked = new Map<Expr, number>();
  readonly #bars: TimelineBar[] = [];
  /** What devices had done when this began. */
  readonly #before: readonly (readonly [Backend, DeviceWork])[];
  #burst: { lane: string; start: number; end: number; counts: Map<string, number> } | undefined;

  /** @param backends those that count as devices are told of by `devices` */
  constructor(backends: Iterable<Backend> = []) {
    this.#before = [...backends].flatMap((backend) => {
      const work = backend.work?.();
      return work === undefined ? [] : [[backend, work] as const];
    });
  }

  /** A result was asked for again: its node was there, or its value was cached. */
  hit(expr: Expr): void {
    this.#asked.set(expr, (this.#asked.get(expr) ?? 0) + 1);
    forgetOldest(this.#asked, MAX_NODES);
  }

  record(expr: Expr, backend: string, seconds: number, state: NodeRecord['state']): void {
    const known = this.nodes.get(expr);
    if (known === undefined) {
      this.nodes.set(expr, { backend, seconds, state, hits: 0 });
      forgetOldest(this.nodes, MAX_NODES);
    } else if (state !== 'reused') Object.assign(known, { backend, seconds, state });
  }

  /** Steps of a device run on the host. */
  leave(device: string, steps: number, error: Error): void {
    const known = this.left.get(device);
    if (known === undefined) this.left.set(device, { steps, why: error.message });
    else known.steps += steps;
  }

  /** A plan is about to run. */
  planned(plan: Plan): void {
    this.plans.push(plan);
    if (this.plans.length > MAX_PLANS) this.plans.shift();
  }

  /** One host operator ran. */
  operator(lane: string, op: string, start: number, end: number): void {
    const burst = this.#burst;
    if (burst !== undefined && burst.lane === lane && start - burst.end < BURST_GAP_MS) {
      burst.end = end;
      burst.counts.set(op, (burst.counts.get(op) ?? 0) + 1);
      return;
    }
    this.#flush();
    this.#burst = { lane, start, end, counts: new Map([[op, 1]]) };
  }

  /** A loop is run by plans. */
  loop(why: string): void {
    this.loops.set(why, (this.loops.get(why) ?? 0) + 1);
  }

  /** Turns of a compiled loop, of the nodes of that plan. */
  turns({ nodes }: Plan, turns: number, kernels: number, bar: TimelineBar): void {
    const { lane, name, start, end } = bar;
    this.compiledTurns += turns;
    this.kernels += kernels;
    this.misses += kernels;
    const seconds = (end - start) / 1000 / Math.max(1, kernels);
    for (const { expr } of nodes) this.record(expr, lane, seconds, 'computed');
    this.bar(lane, name, start, end);
  }

  /** A longer piece of work ran: a segment, a scan. */
  bar(lane: string, name: string, start: number, end: number): void {
    this.#flush();
    this.#add({ lane, name, start, end });
  }

  timeline(): readonly TimelineBar[] {
    this.#flush();
    return this.#bars;
  }

  counters(): Counters {
    for (const record of this.nodes.values()) record.hits = 0;
    let hits = 0;
    for (const [expr, count] of this.#asked) {
      const record = this.nodes.get(expr.simplified ?? expr);
      if (record === undefined) continue;
      record.hits += count;
      hits += count;
    }
    let savedSeconds = 0;
    for (const { state, seconds } of this.nodes.values()) {
      if (state === 'reused') savedSeconds += seconds;
    }
    const { partial, misses, kernels, passes, scans, rowsRead, sparkJobs } = this;
    return { hits, partial, misses, savedSeconds, kernels, passes, scans, rowsRead, sparkJobs };
  }

  /** What each device has done since this began, whoever it did it for. */
  devices(): ReadonlyMap<string, DeviceWork> {
    return new Map(
      this.#before.map(([backend, before]) => {
        const now = backend.work!();
        const since = Object.entries(now).map(([name, count]) => [
          name,
          count - before[name as keyof DeviceWork],
        ]);
        const { peakBytes } = now;
        return [backend.name, { ...now, ...Object.fromEntries(since), peakBytes }];
      }),
    );
  }

  #add(bar: TimelineBar): void {
    this.#bars.push(bar);
    if (this.#bars.length > MAX_BARS) this.#bars.splice(0, MAX_BARS >> 3);
  }

  #flush(): void {
    const burst = this.#burst;
    if (burst === undefined) return;
    this.#burst = undefined;
    const parts = [...burst.counts].sort((a, b) => b[1] - a[1]);
    const shown = parts.slice(0, 4).map(([op, count]) => (count > 1 ? `${op} x${count}` : op));
    if (parts.length > 4) shown.push('..');
    const { lane, start, end } = burst;
    this.#add({ lane, name: shown.join(', '), start, end });
  }
}
