/**
 * Ranges of rows or columns: a matrix seen as runs of its parts along an axis, through binds and
 * slices, and which of the positions wanted are positions of another matrix. One algebra for both
 * axes. Invariant: the segments of a node, bound along the axis, are the node; a span says of every
 * position it names where it lies.
 */
import type { Expr, NodeMaker } from '../../ir/expr.js';
import type { Axis } from '../../ir/op-def.js';
import { ops } from '../../operators/index.js';
import { type Range, rangeOf } from '../../operators/slice.js';
import { sliceOf } from '../rules/merge-slices.js';

/** Positions [from, to) of a part. */
export interface PartRange {
  readonly part: Expr;
  readonly from: number;
  readonly to: number;
}

/** Positions [from, to) of what is wanted lie from `at` on somewhere else. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly at: number;
}

const binds = { rows: ops.rbind, cols: ops.cbind } as const;
const across = { rows: 'cols', cols: 'rows' } as const;

/** The parts of a nest of binds in order; the node itself when it is no bind. */
export function partsOf(expr: Expr, axis: Axis): readonly Expr[] {
  if (expr.op !== binds[axis]) return [expr];
  const parts: Expr[] = [];
  const stack: Expr[] = [expr];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (node.op !== binds[axis]) parts.push(node);
    else for (let i = node.inputs.length - 1; i >= 0; i--) stack.push(node.inputs[i]!);
  }
  return parts;
}

/** The bind of these nodes; the node itself when there is one. */
export function bound(parts: readonly Expr[], axis: Axis, maker: NodeMaker): Expr {
  return parts.length === 1 ? parts[0]! : maker.intern(binds[axis], parts);
}

/** Positions [from, to) of a node along an axis, all of it across. */
export function rangeAlong(
  expr: Expr,
  axis: Axis,
  from: number,
  to: number,
  maker: NodeMaker,
): Expr {
  if (from === 0 && to === expr[axis]) return expr;
  // Of a slice across the axis it is one slice.
  const isCutAcross = expr.op === ops.slice && (expr.attrs[axis] ?? null) === null;
  const base = isCutAcross ? expr.inputs[0]! : expr;
  const other = across[axis];
  const all: Range = isCutAcross ? rangeOf(expr.attrs, other, base[other]) : [0, base[other]];
  return axis === 'rows'
    ? sliceOf(base, [from, to], all, maker)
    : sliceOf(base, all, [from, to], maker);
}

export function wholeOf(part: Expr, axis: Axis): PartRange {
  return { part, from: 0, to: part[axis] };
}

/** Binds and slices along the axis looked through. */
export function segmentsOf(expr: Expr, axis: Axis, maker: NodeMaker): PartRange[] {
  return partsOf(expr, axis).map((part) => {
    if (part.op !== ops.slice || (part.attrs[axis] ?? null) === null) return wholeOf(part, axis);
    const base = part.inputs[0]!;
    const [from, to] = rangeOf(part.attrs, axis, base[axis]);
    const other = across[axis];
    const [start, end] = rangeOf(part.attrs, other, base[other]);
    return { part: rangeAlong(base, other, start, end, maker), from, to };
  });
}

/** The segments of positions [from, to) of the whole; neighbours of one part are one. */
export function cutSegments(segments: readonly PartRange[], from: number, to: number): PartRange[] {
  const cut: PartRange[] = [];
  let start = 0;
  for (const segment of segments) {
    const end = start + segment.to - segment.from;
    const [first, last] = [Math.max(start, from), Math.min(end, to)];
    if (first < last) {
      const shift = segment.from - start;
      const previous = cut.at(-1);
      if (previous?.part === segment.part && previous.to === first + shift) {
        cut[cut.length - 1] = { ...previous, to: last + shift };
      } else cut.push({ part: segment.part, from: first + shift, to: last + shift });
    }
    start = end;
    if (start >= to) break;
  }
  return cut;
}

/** Segments where neighbours of one part are one. */
export function joined(segments: readonly PartRange[]): readonly PartRange[] {
  const isJoined = segments.every(
    ({ part, from }, i) =>
      i === 0 || segments[i - 1]!.part !== part || segments[i - 1]!.to !== from,
  );
  return isJoined ? segments : cutSegments(segments, 0, Number.POSITIVE_INFINITY);
}

/** What these segments name, bound along the axis; neighbours are taken together. */
export function bindSegments(segments: readonly PartRange[], axis: Axis, maker: NodeMaker): Expr {
  const cut = joined(segments).map(({ part, from, to }) => rangeAlong(part, axis, from, to, maker));
  return bound(cut, axis, maker);
}

/** Runs of positions that two lists of segments share, numbered in both; adjoining runs join. */
export function sharedSpans(wanted: readonly PartRange[], held: readonly PartRange[]): Span[] {
  const byPart = new Map<Expr, Span[]>();
  let start = 0;
  for (const { part, from, to } of held) {
    const known = byPart.get(part);
    if (known === undefined) byPart.set(part, [{ from, to, at: start }]);
    else known.push({ from, to, at: start });
    start += to - from;
  }
  const spans: Span[] = [];
  /** By their distance, the last span: positions ascend, so no other one can go on. */
  const lastAt = new Map<number, number>();
  start = 0;
  for (const { part, from, to } of wanted) {
    for (const place of byPart.get(part) ?? []) {
      const first = Math.max(from, place.from);
      const last = Math.min(to, place.to);
      if (first >= last) continue;
      const at = place.at + first - place.from;
      const span = { from: start + first - from, to: start + last - from, at };
      const i = lastAt.get(span.at - span.from) ?? -1;
      if (spans[i]?.to === span.from) spans[i] = { ...spans[i]!, to: span.to };
      else lastAt.set(span.at - span.from, spans.push(span) - 1);
    }
    start += to - from;
  }
  return spans;
}

export function intersect(a: readonly Span[], b: readonly Span[]): Span[] {
  const out: Span[] = [];
  for (const one of a) {
    for (const other of b) {
      if (one.at - one.from !== other.at - other.from) continue;
      const [from, to] = [Math.max(one.from, other.from), Math.min(one.to, other.to)];
      if (from < to) out.push({ from, to, at: one.at + from - one.from });
    }
  }
  return out;
}

/** From the first position on, always the span that reaches furthest; cut where they overlap. */
export function covering<T extends Span>(spans: readonly T[], length: number): T[] {
  const chosen: T[] = [];
  const byStart = [...spans].sort((a, b) => a.from - b.from);
  let position = 0;
  let i = 0;
  let furthest: T | undefined;
  while (position < length) {
    for (; i < byStart.length && byStart[i]!.from <= position; i++) {
      if (furthest === undefined || byStart[i]!.to > furthest.to) furthest = byStart[i];
    }
    if (furthest !== undefined && furthest.to > position) {
      const at = furthest.at + position - furthest.from;
      chosen.push({ ...furthest, from: position, at });
      position = furthest.to;
    } else if (i < byStart.length) position = byStart[i]!.from;
    else break;
  }
  return chosen;
}

/** Spans that do not overlap and cover most positions, of these the fewest; in order and whole. */
export function widest<T extends Span>(spans: readonly T[]): T[] {
  const byEnd = [...spans].sort((a, b) => a.to - b.to);
  interface Best {
    readonly covered: number;
    readonly count: number;
    readonly last: T | undefined;
    readonly before: Best | undefined;
  }
  const best: Best[] = [{ covered: 0, count: 0, last: undefined, before: undefined }];
  for (const span of byEnd) {
    let low = 0;
    let high = best.length - 1;
    // The last choice among spans that end where this one begins, or before.
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (byEnd[middle - 1]!.to <= span.from) low = middle;
      else high = middle - 1;
    }
    const before = best[low]!;
    const covered = before.covered + span.to - span.from;
    const count = before.count + 1;
    const skip = best.at(-1)!;
    const isBetter = covered > skip.covered || (covered === skip.covered && count < skip.count);
    best.push(isBetter ? { covered, count, last: span, before } : skip);
  }
  const chosen: T[] = [];
  for (let at: Best | undefined = best.at(-1); at?.last !== undefined; at = at.before) {
    chosen.push(at.last);
  }
  return chosen.reverse();
}

/** Positions [from, to), and the span they lie in, if in any. */
export interface RangePiece<T extends Span> {
  readonly from: number;
  readonly to: number;
  readonly span: T | undefined;
}

/** All positions in order, as the spans chosen and the gaps between them. */
export function piecesOf<T extends Span>(chosen: readonly T[], length: number): RangePiece<T>[] {
  const pieces: RangePiece<T>[] = [];
  let next = 0;
  for (const span of chosen) {
    if (next < span.from) pieces.push({ from: next, to: span.from, span: undefined });
    pieces.push({ from: span.from, to: span.to, span });
    next = span.to;
  }
  if (next < length) pieces.push({ from: next, to: length, span: undefined });
  return pieces;
}

/** How many positions these ranges hold. */
export function covered(spans: readonly { readonly from: number; readonly to: number }[]): number {
  return spans.reduce((sum, { from, to }) => sum + to - from, 0);
}
