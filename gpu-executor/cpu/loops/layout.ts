/**
 * Where each value of a compiled loop lies in its memory. Invariants: two values share cells only
 * where one is a view or a part of the other, or when one is made after the last read of the other;
 * what stays from turn to turn has a place of its own; a next state is written over the state where
 * nobody reads that any more, cell for cell by what writes it at the latest.
 */
import type { LoopBody } from '../../../driver/backend/loop-program.js';
import { cellBytes } from '../../../driver/ir/dtype.js';
import { denseBytes, type Expr } from '../../../driver/ir/expr.js';
import { FreeRanges } from './free-ranges.js';
import { isSameShape, joinedBy, type Unit, unitReads, type ViewOf } from './schedule.js';

/** A copy of the cells of a node. */
export interface Move {
  readonly expr: Expr;
  /** Absent: where its value lies. */
  readonly from?: number;
  readonly to: number;
}

export interface Layout {
  /** By value that has cells of its own: its address. Absent: it is read where it was given. */
  readonly places: ReadonlyMap<Expr, number>;
  /** Of each unit, what it writes. */
  readonly written: ReadonlyMap<Unit, readonly Expr[]>;
  /** Made before a turn, of what the turn writes over. */
  readonly before: readonly Move[];
  /** Made after a turn: to the state. */
  readonly after: readonly Move[];
  /** Of each root: where it lies after a turn; undefined: where its value does. */
  readonly results: readonly (number | undefined)[];
  readonly bytes: number;
}

/**
 * @param first units that run once, before the first turn
 * @param turn those of every turn
 * @param brought values from outside that have to lie in the memory
 */
export function layoutOf(
  { slots, roots }: LoopBody,
  held: (expr: Expr) => ViewOf,
  first: readonly Unit[],
  turn: readonly Unit[],
  brought: Iterable<Expr>,
): Layout {
  const ranges = new FreeRanges();
  const places = new Map<Expr, number>();
  const stay = (expr: Expr): void => void places.set(expr, ranges.take(denseBytes(expr)));
  const madeIn = new Map<Expr, number>();
  for (const [at, { nodes }] of turn.entries()) for (const node of nodes) madeIn.set(node, at);
  const { lastRead, written } = allReads(held, first, turn, roots);
  for (const expr of new Set([...slots, ...brought])) stay(expr);
  for (const unit of first) for (const expr of written.get(unit)!) stay(expr);

  const isSlot = new Set(slots);
  const before: Move[] = [];
  const after: Move[] = [];
  const results = roots.map((root, i): number | undefined => {
    const { of, offset } = held(root);
    const slot = slots[i];
    const target = slot && places.get(slot)!;
    if (of === slot && offset === 0) return target;
    if (isSlot.has(of)) {
      // The state before the turn, which the turn may write over.
      const place = ranges.take(denseBytes(root));
      before.push({ expr: root, to: place });
      if (target !== undefined) after.push({ expr: root, from: place, to: target });
      return target ?? place;
    }
    if (target === undefined) return undefined;
    const made = madeIn.get(of);
    const isWhole = of.rows * of.cols === root.rows * root.cols;
    const isFree = made !== undefined && isWhole && !places.has(of);
    if (isFree && isReadUpTo(slot!, made, turn, held, lastRead)) places.set(of, target);
    else after.push({ expr: root, to: target });
    return target;
  });
  placeRest(turn, written, lastRead, places, ranges);
  return { places, written, before, after, results, bytes: ranges.end };
}

/** Values between units of a turn, each until its last reader is done. */
function placeRest(
  turn: readonly Unit[],
  written: ReadonlyMap<Unit, readonly Expr[]>,
  lastRead: ReadonlyMap<Expr, number>,
  places: Map<Expr, number>,
  ranges: FreeRanges,
): void {
  const ending = turn.map((): Expr[] => []);
  const parts = joinedParts(turn, written, places);
  const take = (expr: Expr, end: number): void => {
    places.set(expr, ranges.take(denseBytes(expr)));
    ending[end]?.push(expr);
  };
  for (const [at, unit] of turn.entries()) {
    for (const expr of written.get(unit)!) {
      if (places.has(expr)) continue;
      const part = parts.get(expr);
      if (part === undefined) {
        take(expr, Math.max(at, lastRead.get(expr) ?? at));
        continue;
      }
      // Written where it is joined, which lives as long as any part of it.
      const { of, offset } = part;
      const all = [of, ...of.inputs.filter((input) => parts.get(input)?.of === of)];
      if (!places.has(of)) take(of, Math.max(at, ...all.map((one) => lastRead.get(one) ?? at)));
      places.set(expr, places.get(of)! + offset * cellBytes(expr));
    }
    for (const expr of ending[at]!) ranges.give(places.get(expr)!, denseBytes(expr));
  }
}

/** Values that are joined with others by a unit of this turn, each once, and lie nowhere yet. */
function joinedParts(
  turn: readonly Unit[],
  written: ReadonlyMap<Unit, readonly Expr[]>,
  places: ReadonlyMap<Expr, number>,
): ReadonlyMap<Expr, ViewOf> {
  const made = new Set(turn.flatMap((unit) => written.get(unit)!));
  const parts = new Map<Expr, ViewOf>();
  for (const { isCells, pass, nodes } of turn) {
    const [of] = nodes as [Expr];
    if (isCells || pass !== undefined || places.has(of)) continue;
    for (const [input, offset] of joinedBy(of) ?? []) {
      const isLike = made.has(input) && input.dtype === of.dtype;
      if (isLike && !parts.has(input)) parts.set(input, { of, offset });
    }
  }
  return parts;
}

/** Who reads a value last, and what units write because somebody else reads it. */
function allReads(
  held: (expr: Expr) => ViewOf,
  first: readonly Unit[],
  turn: readonly Unit[],
  roots: readonly Expr[],
) {
  const lastRead = new Map<Expr, number>();
  const isRead = new Set<Expr>();
  for (const [at, unit] of [...first.map((one) => [-1, one] as const), ...turn.entries()]) {
    const own = new Set(unit.pass ? [] : unit.nodes);
    for (const [, input] of unitReads(unit)) {
      const { of } = held(input);
      lastRead.set(of, Math.max(lastRead.get(of) ?? -1, at));
      if (!own.has(of)) isRead.add(of);
    }
  }
  for (const root of roots) {
    const { of } = held(root);
    lastRead.set(of, turn.length);
    isRead.add(of);
  }
  // A unit of one kernel writes it whoever reads it.
  const writtenBy = ({ isCells, nodes }: Unit): readonly Expr[] =>
    isCells ? nodes.filter((node) => isRead.has(node)) : nodes;
  const written = new Map([...first, ...turn].map((unit) => [unit, writtenBy(unit)]));
  return { lastRead, written };
}

/** Whether a slot is read by no unit after that one, and by it cell for cell alone. */
function isReadUpTo(
  slot: Expr,
  unitNumber: number,
  turn: readonly Unit[],
  held: (expr: Expr) => ViewOf,
  lastRead: ReadonlyMap<Expr, number>,
): boolean {
  if ((lastRead.get(slot) ?? -1) > unitNumber) return false;
  const unit = turn[unitNumber]!;
  return unitReads(unit).every(([node, input]) => {
    const { of, offset } = held(input);
    if (of !== slot) return true;
    const isAlong = isSameShape(input, node);
    return unit.isCells && offset === 0 && isAlong && of.rows * of.cols === node.rows * node.cols;
  });
}
