/**
 * The values of one running plan: what has become of each node, and who still reads it. A value is
 * let go after the last read that the plan foresees: memory goes back to the backend that made it,
 * a handle that the cache doesn't own is released. Invariants: a node has a value or a failure,
 * never both; memory goes back only when nothing else can read it: what shares its cells with
 * another value, travels, or was read by another backend is left to the garbage collector.
 */
import type { Backend } from '../backend/backend.js';
import type { Places } from '../backend/places.js';
import { isFreed, isOverRows, type Plan, type PlanNode } from '../compiler/plan.js';
import { InternalError } from '../errors.js';
import type { Expr } from '../ir/expr.js';
import { type Cells, heldCells, type Value } from '../ir/value.js';
import type { Outcome } from './execution-context.js';

/** What has become of a node. */
interface Slot {
  /** Absent: the value was there before, or there is none. */
  readonly node?: PlanNode;
  readonly error?: Error;
  /** Absent: it failed, or its last reader is done. */
  value: Value | undefined;
  /** Reads to come. */
  left: number;
  /** The cache's. */
  isOwned: boolean;
  /** Its memory can be read by others. */
  isShared: boolean;
  /** What making it took, from what is kept. @units seconds */
  readonly seconds: number;
}

/** Of values that were there before. */
const THERE = { left: Infinity, isOwned: true, isShared: true, seconds: 0 };

export class PlanValues {
  readonly #plan: Plan;
  readonly #places: Places;
  readonly #slots = new Map<Expr, Slot>();

  constructor(plan: Plan, places: Places) {
    this.#plan = plan;
    this.#places = places;
    for (const [expr, value] of plan.available) {
      this.#slots.set(expr, { ...THERE, value });
    }
  }

  get(expr: Expr): Value | undefined {
    return this.#slots.get(expr)?.value;
  }

  isDone(expr: Expr): boolean {
    return this.#slots.get(expr) !== undefined;
  }

  /** Whether all of these are there, or the first failure. @throws InternalError for one dropped */
  readiness(inputs: readonly Expr[]): boolean | Error {
    let isReady = true;
    for (const input of inputs) {
      const slot = this.#slots.get(input);
      if (slot === undefined) isReady = false;
      else if (slot.error !== undefined) return slot.error;
      else if (slot.value === undefined) {
        throw new InternalError(`execution: expected to read ${input.op.name} before it was freed`);
      }
    }
    return isReady;
  }

  failureAmong(exprs: readonly Expr[]): Error | undefined {
    for (const expr of exprs) {
      const error = this.#slots.get(expr)?.error;
      if (error !== undefined) return error;
    }
    return undefined;
  }

  /** @throws InternalError when it has none */
  outcome(root: Expr): Outcome {
    const slot = this.#slots.get(root);
    if (slot?.error !== undefined) return { ok: false, error: slot.error };
    if (slot?.value !== undefined) return { ok: true, value: slot.value };
    throw new InternalError('execution: expected a value for every root');
  }

  /** @param seconds what it took, from what is kept */
  made(node: PlanNode, value: Value, isOwned: boolean, seconds: number): void {
    const { expr } = node;
    // Passes and whoever is sent the value may hold on to it.
    const isShared = isOverRows(node) || this.#plan.broadcast?.has(expr) === true;
    const slot: Slot = { node, value, left: node.reads, isOwned, isShared, seconds };
    this.#slots.set(expr, slot);
    // Element-wise operators write a value of their own; others, as `reshape`, may give a view of
    // what they read.
    const cells = heldCells(value);
    if (!expr.op.elementwise && cells !== undefined) this.#noteViews(expr, cells, slot);
  }

  /** The name of a value whose maker still runs and whose owner is unknown. Stays until `owned`. */
  named(node: PlanNode, value: Value): void {
    this.made(node, value, false, 0);
    this.#slots.get(node.expr)!.left++;
  }

  /** The maker of a named value has ended. */
  owned({ expr, backend }: PlanNode, isOwned: boolean): void {
    const slot = this.#slots.get(expr);
    if (slot === undefined) return;
    slot.isOwned = isOwned;
    this.read([expr], backend);
  }

  /** The plan is changed: these are read once more. */
  expect(exprs: readonly Expr[]): void {
    for (const expr of exprs) {
      const slot = this.#slots.get(expr);
      const node = this.#plan.nodeOf.get(expr);
      if (slot !== undefined) slot.left++;
      else if (node !== undefined) node.reads++;
    }
  }

  /** Whether a value lies on a device, and nobody reads it after the plan. */
  endsHere(root: Expr): boolean {
    const slot = this.#slots.get(root);
    const isThere = slot?.value?.kind === 'handle' && !slot.isOwned;
    return isThere && slot.node !== undefined && !isOverRows(slot.node);
  }

  /** A value that is left where it is made: whoever asked for it lets it go. */
  handOver(root: Expr): void {
    const slot = this.#slots.get(root);
    if (slot !== undefined) slot.isOwned = true;
  }

  failed(expr: Expr, error: Error): void {
    this.#slots.set(expr, { ...THERE, value: undefined, error });
  }

  /** What making these took beyond what is kept. @units seconds */
  secondsOf(inputs: readonly Expr[]): number {
    let seconds = 0;
    for (const input of inputs) {
      const slot = this.#slots.get(input);
      if (slot !== undefined && isFreed(slot.node)) seconds += slot.seconds;
    }
    return seconds;
  }

  /** A reader of these is done. */
  read(inputs: readonly Expr[], reader: Backend): void {
    for (const input of inputs) {
      const slot = this.#slots.get(input);
      if (slot === undefined) continue;
      if (slot.node?.backend !== reader) slot.isShared = true;
      if (--slot.left === 0) this.#free(slot);
    }
  }

  /** What the cache doesn't own is let go, whoever was to read it. */
  end(): void {
    for (const slot of this.#slots.values()) if (slot.value?.kind === 'handle') this.#free(slot);
  }

  #noteViews(expr: Expr, { buffer }: Cells, slot: Slot): void {
    for (const input of expr.inputs) {
      const read = this.#slots.get(input);
      if (read === undefined || heldCells(read.value)?.buffer !== buffer) continue;
      read.isShared = true;
      slot.isShared = true;
    }
  }

  #free(slot: Slot): void {
    const { node, value } = slot;
    slot.value = undefined;
    if (slot.isOwned || value === undefined) return;
    if (value.kind === 'handle') this.#places.release(value);
    else if (!slot.isShared && isFreed(node)) node!.backend.recycle?.(value);
  }
}
