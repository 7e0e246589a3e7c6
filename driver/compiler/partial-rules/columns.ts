/**
 * Matrices seen as runs of columns of their parts, and which of the columns wanted are columns of operands that cached
 * results were made from. Invariant: the segments of a node, side by side, are the node.
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import { rangeOf } from '../../operators/slice.js';
import type { NodeMaker } from '../rule.js';
import { sliceAttrs } from '../rules/merge-slices.js';
import type { PartialContext } from './partial-rule.js';
import { bound, partsOf } from './parts.js';

/** Columns [from, to) of a part. */
export interface Segment {
  readonly part: Expr;
  readonly from: number;
  readonly to: number;
}

/** A segment, and where its result lies: from column `at` of `source`, or nowhere. */
export interface Piece extends Segment {
  readonly source: Expr | undefined;
  readonly at: number;
}

interface Place {
  readonly from: number;
  readonly to: number;
  readonly source: Expr;
  readonly at: number;
}

/** Which columns are to be had, by part. */
export type Places = Map<Expr, Place[]>;

/** `cbind`s and slices of columns looked through. */
export function columnSegments(expr: Expr): Segment[] {
  return partsOf(expr, 'cols').map((part) => {
    if (part.op !== ops.slice || (part.attrs.rows ?? null) !== null) {
      return { part, from: 0, to: part.cols };
    }
    const base = part.inputs[0]!;
    const [from, to] = rangeOf(part.attrs, 'cols', base.cols);
    return { part: base, from, to };
  });
}

/** The segments of columns [from, to) of the whole. */
export function cutSegments(segments: readonly Segment[], from: number, to: number): Segment[] {
  const cut: Segment[] = [];
  let start = 0;
  for (const segment of segments) {
    const end = start + segment.to - segment.from;
    const first = Math.max(start, from);
    const last = Math.min(end, to);
    if (first < last) {
      const shift = segment.from - start;
      cut.push({ part: segment.part, from: first + shift, to: last + shift });
    }
    start = end;
    if (start >= to) break;
  }
  return cut;
}

/** Adds what `source` holds: the results of `segments`, side by side from column `at`. */
export function addPlaces(
  places: Places,
  segments: readonly Segment[],
  source: Expr,
  at = 0,
): void {
  let next = at;
  for (const { part, from, to } of segments) {
    const known = places.get(part);
    const place = { from, to, source, at: next };
    if (known === undefined) places.set(part, [place]);
    else known.push(place);
    next += to - from;
  }
}

/** The wanted columns in order, cut where their place changes. */
export function cover(wanted: readonly Segment[], places: Places): Piece[] {
  const pieces: Piece[] = [];
  for (const { part, from, to } of wanted) {
    const known = places.get(part) ?? [];
    for (let col = from; col < to; ) {
      const place = known.find((one) => one.from <= col && col < one.to);
      let end = to;
      if (place !== undefined) end = Math.min(to, place.to);
      else for (const one of known) if (one.from > col && one.from < end) end = one.from;
      const at = place === undefined ? 0 : place.at + col - place.from;
      pieces.push({ part, from: col, to: end, source: place?.source, at });
      col = end;
    }
  }
  return pieces;
}

/** Columns of a node, or the node itself when they are all. */
export function columnsOf(expr: Expr, from: number, to: number, maker: NodeMaker): Expr {
  if (from === 0 && to === expr.cols) return expr;
  return maker.intern(ops.slice, [expr], sliceAttrs([0, expr.rows], [from, to], expr));
}

/** The columns of operands that these segments name, side by side; neighbours are taken together. */
export function bindSegments(segments: readonly Segment[], context: PartialContext): Expr {
  return joinColumns(
    segments.map(({ part, from, to }) => ({ source: part, at: from, width: to - from })),
    context,
  );
}

/** Columns [at, at + width) of each source, side by side; neighbours are taken together. */
export function joinColumns(
  pieces: readonly { readonly source: Expr; readonly at: number; readonly width: number }[],
  context: PartialContext,
): Expr {
  const runs: { source: Expr; from: number; to: number }[] = [];
  for (const { source, at, width } of pieces) {
    const last = runs[runs.length - 1];
    if (last !== undefined && last.source === source && last.to === at) last.to = at + width;
    else runs.push({ source, from: at, to: at + width });
  }
  return bound(
    runs.map(({ source, from, to }) => columnsOf(source, from, to, context)),
    'cols',
    context,
  );
}
