/**
 * What there is to choose in a plan: the nodes more than one backend may run, what each takes
 * where, and the values that travel when their producer and a reader are apart. Purely a
 * description; `choose-backends.ts` solves it.
 */

import type { Backend } from '../backend/backend.js';
import { CsrMatrix } from '../ir/csr.js';
import { denseBytes, type Expr } from '../ir/expr.js';
import type { RowRule } from '../ir/op-def.js';
import type { PassContext } from './pass.js';
import type { Plan, PlanNode } from './plan.js';
import { DATA_BYTES, isHostData, makesMoreThanItReads, rowRuleOn } from './row-blocks.js';

/** A node with a choice, or one that can't run locally. */
export interface MovableNode {
  readonly expr: Expr;
  readonly allowed: readonly Backend[];
  /** A reduction: its result is small and comes to the host by itself. */
  readonly isSink: boolean;
  /** Passes over data that must have ended before, wherever they run. */
  readonly wave: number;
  /** Expected time of all this node costs on that backend, now and later. @units seconds */
  readonly seconds: (backend: Backend) => number;
}

/** A value that several places may read. */
export interface TravellingValue {
  /** @units bytes */
  readonly bytes: number;
  /** The candidate that makes it, or undefined when it is at `at` already. */
  readonly producer: MovableNode | undefined;
  readonly at: Backend;
  readonly readers: readonly MovableNode[];
  /** Backends that read it whatever is chosen. */
  readonly readAt: readonly Backend[];
  /** Plans expected to read it after this one; they share the cost of a transfer that is kept. */
  readonly later: number;
  /** Backends that have a copy already. */
  readonly copies: readonly Backend[];
  /** How often it travels where it does not fit whole. */
  readonly passes: number;
}

export interface PlacementProblem {
  readonly candidates: readonly MovableNode[];
  readonly values: readonly TravellingValue[];
}

export function movableNodes(plan: Plan, context: PassContext): PlacementProblem {
  return new ProblemBuilder(plan, context).build();
}

class ProblemBuilder {
  readonly #plan: Plan;
  readonly #context: PassContext;
  readonly #candidates = new Map<Expr, MovableNode>();
  readonly #waves = new Map<Expr, number>();
  /** Waves that read each node by rows, through nodes that may be blocked. */
  readonly #reading = new Map<Expr, Set<number>>();

  constructor(plan: Plan, context: PassContext) {
    this.#plan = plan;
    this.#context = context;
  }

  build(): PlacementProblem {
    for (const node of this.#plan.nodes) this.#consider(node);
    this.#countReaders();
    return { candidates: [...this.#candidates.values()], values: this.#values() };
  }

  #consider({ expr }: PlanNode): void {
    const { local, blocks, devices } = this.#context;
    const rule = rowRuleOn(expr, blocks);
    const has = (backend: Backend): boolean => backend.capabilities.ops.has(expr.op.name);
    const overRows = this.#isOverRows(expr, rule);
    const isSink = rule.kind === 'reduce' && overRows;
    let wave = 0;
    for (const input of expr.inputs) wave = Math.max(wave, this.#waves.get(input) ?? 0);
    if (isSink) wave++;
    this.#waves.set(expr, wave);
    // A frame is read by the engine that opened it.
    const readsFrame = rule.kind === 'source' && expr.inputs.length > 0;
    const allowed: Backend[] = [];
    if (has(local) && !(readsFrame && blocks !== local)) allowed.push(local);
    const staysHere = rule.kind === 'reduce' && makesMoreThanItReads(expr, rule.blocked);
    if (blocks !== local && overRows && has(blocks) && !staysHere) allowed.push(blocks);
    if (!readsFrame)
      for (const device of devices) if (this.#fits(device, expr)) allowed.push(device);
    if (this.#context.persisted.has(expr) && allowed.includes(blocks)) {
      allowed.splice(0, allowed.length, blocks);
    }
    if (allowed.length === 0 || (allowed.length === 1 && allowed[0] === local)) return;
    const seconds = (backend: Backend): number => this.#seconds(expr, backend, isSink);
    this.#candidates.set(expr, { expr, allowed, isSink, wave, seconds });
  }

  /** Whether the node can be evaluated by row blocks that are worth sending away. */
  #isOverRows(expr: Expr, rule: RowRule): boolean {
    if (rule.kind === 'source') return expr.inputs.length > 0 || denseBytes(expr) >= DATA_BYTES;
    if (rule.kind !== 'map' && rule.kind !== 'reduce') return false;
    return expr.inputs.some((input, i) => {
      if (!rule.blocked[i]) return false;
      const known = this.#candidates.get(input);
      if (known !== undefined) return known.allowed.includes(this.#context.blocks) && !known.isSink;
      const value = this.#plan.available.get(input);
      if (value?.kind === 'handle') return value.backend === this.#context.blocks.name;
      return isHostData(input, this.#plan.available.get(input));
    });
  }

  /** Whole, or by row blocks. */
  #fits(device: Backend, expr: Expr): boolean {
    if (!device.capabilities.ops.has(expr.op.name)) return false;
    if (device.takes?.(expr) === false) return false;
    const limit = device.costs?.memoryBytes ?? Infinity;
    if (heldBytes(expr, expr.inputs) <= limit) return true;
    if (device.capabilities.blocks !== 'stream' || !expr.inputs.every((e) => this.#canLeave(e)))
      return false;
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    if (!rule.blocked.includes(true)) return false;
    const whole = expr.inputs.filter((_, i) => !rule.blocked[i]);
    return heldBytes(rule.kind === 'reduce' ? expr : undefined, whole) <= limit;
  }

  /** False for rows that are made here and never whole. */
  #canLeave(expr: Expr): boolean {
    const isMadeHere = this.#plan.nodeOf.has(expr) && !this.#candidates.has(expr);
    return !isMadeHere || denseBytes(expr) <= this.#context.materialiseBytes;
  }

  /** From the consumers down: which waves read each node. */
  #countReaders(): void {
    for (let i = this.#plan.nodes.length - 1; i >= 0; i--) {
      const { expr } = this.#plan.nodes[i]!;
      const candidate = this.#candidates.get(expr);
      if (candidate === undefined) continue;
      const waves = candidate.isSink ? [candidate.wave] : (this.#reading.get(expr) ?? []);
      for (const input of expr.inputs) {
        const known = this.#reading.get(input) ?? new Set<number>();
        for (const wave of waves) known.add(wave);
        this.#reading.set(input, known);
      }
    }
  }

  /**
   * Work once if the value can be kept there, else once for each pass that reads it, in this plan
   * and in those expected after it. The result of a sink comes to the host. Making a value that
   * plans foreseen will read from where it is kept is divided among them, as a transfer is: what
   * its readers take comes again with each of them.
   */
  #seconds(expr: Expr, backend: Backend, isSink: boolean): number {
    const { costs, history, local, blocks, materialiseBytes } = this.#context;
    const work = costs.work(backend, expr).seconds;
    if (isSink) return work + costs.download(backend, denseBytes(expr)).seconds;
    const limit = backend === local ? materialiseBytes : (backend.costs?.memoryBytes ?? Infinity);
    if (denseBytes(expr) <= limit) return work / (1 + history.foreseen(expr));
    const passes = this.#passesOver(expr);
    const isStreamed = backend === local || backend === blocks;
    return isStreamed ? work * (passes + history.expected(expr)) : work;
  }

  #passesOver(expr: Expr): number {
    return Math.max(1, this.#reading.get(expr)?.size ?? 1);
  }

  #values(): TravellingValue[] {
    const readers = new Map<Expr, { candidates: MovableNode[]; fixed: Set<Backend> }>();
    const read = (expr: Expr): { candidates: MovableNode[]; fixed: Set<Backend> } => {
      const known = readers.get(expr) ?? { candidates: [], fixed: new Set<Backend>() };
      readers.set(expr, known);
      return known;
    };
    for (const { expr } of this.#plan.nodes) {
      const candidate = this.#candidates.get(expr);
      for (const input of expr.inputs) {
        if (candidate === undefined) read(input).fixed.add(this.#context.local);
        else read(input).candidates.push(candidate);
      }
    }
    for (const root of this.#plan.roots) {
      const { persisted, resident, local } = this.#context;
      if (!persisted.has(root) && !resident.has(root)) read(root).fixed.add(local);
    }
    return [...readers].flatMap(([expr, { candidates, fixed }]) =>
      this.#travels(expr, candidates, [...fixed]),
    );
  }

  #travels(
    expr: Expr,
    readers: readonly MovableNode[],
    readAt: readonly Backend[],
  ): TravellingValue[] {
    const producer = this.#candidates.get(expr);
    if (producer === undefined && readers.length === 0) return [];
    const { history } = this.#context;
    // A sink's result is on the host whoever computed it; devices keep theirs.
    const comesHere = producer?.isSink === true && !this.#hasDevice(producer);
    return [
      {
        bytes: this.#sentBytes(expr),
        producer: comesHere ? undefined : producer,
        at: this.#placeOf(expr),
        readers,
        readAt,
        later: producer === undefined ? history.expected(expr) : history.foreseen(expr),
        copies: this.#copiesOf(expr),
        passes: this.#passesOver(expr),
      },
    ];
  }

  /** Compressed rows travel as they are. @units bytes */
  #sentBytes(expr: Expr): number {
    const value = this.#plan.available.get(expr);
    return value instanceof CsrMatrix ? value.bytes : denseBytes(expr);
  }

  #hasDevice({ allowed }: MovableNode): boolean {
    return allowed.some((backend) => this.#context.devices.includes(backend));
  }

  #copiesOf(expr: Expr): readonly Backend[] {
    const value = this.#plan.available.get(expr);
    const { local, places } = this.#context;
    return value?.kind === 'handle' && places.host.has(value) ? [local] : [];
  }

  #placeOf(expr: Expr): Backend {
    const value = this.#plan.available.get(expr);
    const { local, blocks, devices } = this.#context;
    if (value?.kind !== 'handle') return local;
    return [blocks, ...devices].find((backend) => backend.name === value.backend) ?? local;
  }
}

/** @units bytes */
function heldBytes(result: Expr | undefined, operands: readonly Expr[]): number {
  const made = result === undefined ? 0 : denseBytes(result);
  return operands.reduce((sum, operand) => sum + operandBytes(operand), made);
}

/** Compressed rows are read as they are. @units bytes */
function operandBytes(operand: Expr): number {
  const { payload } = operand;
  return payload instanceof CsrMatrix ? payload.bytes : denseBytes(operand);
}
