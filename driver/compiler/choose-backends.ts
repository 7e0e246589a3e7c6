/**
 * Chooses backends for the whole plan at once: the assignment with the least expected time,
 * counting work, transfers (each value to each place once), jobs (one a wave, however many sinks
 * share it), memory, and what later plans will have to do again because the value can't be kept
 * where it is made. Between two backends the best assignment is a minimal cut and is found exactly;
 * among more, pairs are re-chosen exactly in turn until nothing improves (alpha-beta swap). Source:
 * Stone, Multiprocessor scheduling with the aid of network flow algorithms (1977); Boykov, Veksler
 * and Zabih, Fast approximate energy minimization via graph cuts (2001), for the swaps.
 */

import type { Backend } from '../backend/backend.js';
import { InternalError } from '../errors.js';
import type { Expr } from '../ir/expr.js';
import { MinCut, UNCUTTABLE } from './min-cut.js';
import type { PassContext } from './pass.js';
import {
  type MovableNode,
  movableNodes,
  type PlacementProblem,
  type TravellingValue,
} from './placement-problem.js';
import type { Plan } from './plan.js';

/** The backend of every node that has a choice, or that only another than the local one can run. */
export type Choices = ReadonlyMap<Expr, Backend>;

/** Capacities are whole numbers of this many seconds. */
const TICK_SECONDS = 1e-7;
/** Rounds over all pairs; two or three do in practice. */
const MAX_ROUNDS = 8;
/** Plans with more nodes to choose for use the rule: choosing would cost more than it saves. */
const MAX_CANDIDATES = 20_000;

/** Undefined when there is nothing to choose: then row blocks go where row blocks run. */
export function chooseBackends(plan: Plan, context: PassContext): Choices | undefined {
  const { local, blocks, devices, policy } = context;
  if (blocks === local && devices.length === 0) return undefined;
  if (policy === 'blocks') return undefined;
  const problem = movableNodes(plan, context);
  if (problem.candidates.length > MAX_CANDIDATES) return undefined;
  const labels = new Map<MovableNode, Backend>();
  for (const candidate of problem.candidates) labels.set(candidate, startAt(candidate, context));
  if (policy === 'cost') {
    const backends = [local, ...(blocks === local ? [] : [blocks]), ...devices];
    improve(problem, backends, labels, context);
  } else if (policy === 'devices') improve(problem, devices, labels, context);
  return new Map([...labels].map(([candidate, backend]) => [candidate.expr, backend]));
}

function startAt({ allowed, expr }: MovableNode, { local, devices, policy }: PassContext): Backend {
  const device = policy === 'devices' && allowed.find((one) => devices.includes(one));
  const first = device || (allowed.includes(local) ? local : allowed[0]);
  if (first === undefined)
    throw new InternalError(`placement: expected a backend that may run ${expr.op.name}`);
  return first;
}

/** Swaps pairs of backends until no swap changes a label. */
function improve(
  problem: PlacementProblem,
  backends: readonly Backend[],
  labels: Map<MovableNode, Backend>,
  context: PassContext,
): void {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    let changed = false;
    for (let a = 0; a < backends.length; a++) {
      for (let b = a + 1; b < backends.length; b++) {
        if (swap(problem, backends[a]!, backends[b]!, labels, context)) changed = true;
      }
    }
    if (!changed || backends.length === 2) return;
  }
}

/** Chooses exactly between `here` and `there` for nodes on either. True when a label changed. */
function swap(
  problem: PlacementProblem,
  here: Backend,
  there: Backend,
  labels: Map<MovableNode, Backend>,
  context: PassContext,
): boolean {
  const free = problem.candidates.filter((candidate) => {
    const label = labels.get(candidate)!;
    return label === here || label === there;
  });
  const isOpen = free.some(({ allowed }) => allowed.includes(here) && allowed.includes(there));
  if (!isOpen) return false;
  const network = new SwapNetwork(problem, here, there, labels, context);
  const sides = network.solve(free);
  let changed = false;
  free.forEach((candidate, i) => {
    const label = sides[i] ? there : here;
    if (labels.get(candidate) === label) return;
    labels.set(candidate, label);
    changed = true;
  });
  return changed;
}

/** Source side: `here`; sink side: `there`. */
class SwapNetwork {
  readonly #problem: PlacementProblem;
  readonly #here: Backend;
  readonly #there: Backend;
  readonly #labels: ReadonlyMap<MovableNode, Backend>;
  readonly #context: PassContext;
  readonly #cut = new MinCut();
  readonly #vertexOf = new Map<MovableNode, number>();

  constructor(
    problem: PlacementProblem,
    here: Backend,
    there: Backend,
    labels: ReadonlyMap<MovableNode, Backend>,
    context: PassContext,
  ) {
    this.#problem = problem;
    this.#here = here;
    this.#there = there;
    this.#labels = labels;
    this.#context = context;
  }

  /** For each free candidate, whether it goes `there`. */
  solve(free: readonly MovableNode[]): boolean[] {
    for (const candidate of free) this.#vertexOf.set(candidate, this.#cut.vertex());
    for (const candidate of free) this.#addWork(candidate);
    for (const value of this.#problem.values) this.#addTransfers(value);
    this.#addStarts(free);
    const sides = this.#cut.solve();
    return free.map((candidate) => sides[this.#vertexOf.get(candidate)!]!);
  }

  #addWork(candidate: MovableNode): void {
    const vertex = this.#vertexOf.get(candidate)!;
    const cost = (backend: Backend): number =>
      candidate.allowed.includes(backend) ? ticks(candidate.seconds(backend)) : UNCUTTABLE;
    this.#cut.edge(this.#cut.source, vertex, cost(this.#there));
    this.#cut.edge(vertex, this.#cut.sink, cost(this.#here));
  }

  /** A value travels to a backend once, however many nodes read it there. */
  #addTransfers(value: TravellingValue): void {
    const { bytes, producer, at, readers, readAt, copies } = value;
    const { costs } = this.#context;
    const from = producer ? this.#vertexOf.get(producer) : undefined;
    const home = producer ? this.#labels.get(producer)! : at;
    for (const to of [this.#here, this.#there]) {
      const other = to === this.#here ? this.#there : this.#here;
      const vertices = readers.flatMap((reader) => this.#vertexOf.get(reader) ?? []);
      const isFixedReader =
        readAt.includes(to) ||
        readers.some((reader) => !this.#vertexOf.has(reader) && this.#labels.get(reader) === to);
      if (vertices.length === 0 && (!isFixedReader || from === undefined)) continue;
      // Paid when the producer is on `other` (or is fixed elsewhere) and some reader is on `to`.
      const origin = from === undefined ? home : other;
      if (origin === to || copies.includes(to)) continue;
      const now = costs.transferSeconds(origin, to, bytes) + this.#exchange(origin);
      const fits = bytes <= this.#limit(to);
      // Whoever may read it there then takes it by rows.
      const isStreamed = !fits && this.#isStreamingDevice(to);
      const times = isStreamed ? value.passes : 1;
      const seconds = (now * times) / (1 + (this.#isCopyKept(to, bytes) ? value.later : 0));
      const capacity = fits || isStreamed ? ticks(seconds) : UNCUTTABLE;
      this.#addHyperedge(to, capacity, from, isFixedReader ? undefined : vertices);
    }
  }

  /** @param vertices readers that may go to `to`; undefined when one is there for certain */
  #addHyperedge(
    to: Backend,
    capacity: number,
    from: number | undefined,
    vertices: readonly number[] | undefined,
  ): void {
    const cut = this.#cut;
    const toSink = to === this.#there;
    const end = toSink ? cut.sink : cut.source;
    const start = from ?? (toSink ? cut.source : cut.sink);
    const hub = vertices === undefined ? end : cut.vertex();
    if (toSink) cut.edge(start, hub, capacity);
    else cut.edge(hub, start, capacity);
    for (const vertex of vertices ?? []) {
      if (toSink) cut.edge(hub, vertex, UNCUTTABLE);
      else cut.edge(vertex, hub, UNCUTTABLE);
    }
  }

  /** A backend that is started by segments is started once a wave. */
  #addStarts(free: readonly MovableNode[]): void {
    for (const backend of [this.#here, this.#there]) {
      const seconds = this.#context.costs.start(backend).seconds;
      if (seconds === 0) continue;
      const byWave = new Map<number, MovableNode[]>();
      for (const candidate of free) {
        if (!candidate.isSink) continue;
        const known = byWave.get(candidate.wave);
        if (known === undefined) byWave.set(candidate.wave, [candidate]);
        else known.push(candidate);
      }
      for (const [wave, sinks] of byWave) {
        const runsAnyway = this.#problem.candidates.some(
          (other) =>
            other.isSink &&
            other.wave === wave &&
            !this.#vertexOf.has(other) &&
            this.#labels.get(other) === backend,
        );
        if (runsAnyway) continue;
        const vertices = sinks.map((sink) => this.#vertexOf.get(sink)!);
        this.#addHyperedge(backend, ticks(seconds), undefined, vertices);
      }
    }
  }

  /** Bringing a value out of a backend takes an exchange of its own. */
  #exchange(from: Backend): number {
    return from === this.#context.local ? 0 : this.#context.costs.start(from).seconds;
  }

  /** Whether what travels there is still there for the next plan. */
  #isCopyKept(to: Backend, bytes: number): boolean {
    const { local, blocks, places } = this.#context;
    return to === local ? bytes <= places.host.budgetBytes : to === blocks;
  }

  #isStreamingDevice(to: Backend): boolean {
    return this.#context.devices.includes(to) && to.capabilities.blocks === 'stream';
  }

  #limit(to: Backend): number {
    return to === this.#context.local
      ? this.#context.materialiseBytes
      : (to.costs?.memoryBytes ?? Infinity);
  }
}

function ticks(seconds: number): number {
  return Math.min(UNCUTTABLE, seconds / TICK_SECONDS);
}
