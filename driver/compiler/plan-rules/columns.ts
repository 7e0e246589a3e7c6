/**
 * Matrices seen as runs of columns of their parts, and which of the columns wanted are columns of
 * operands that cached results were made from. Invariant: the segments of a node, side by side, are
 * the node.
 */
import type { AttrValue } from '../../ir/attrs.js';
import type { Expr, NodeMaker } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import { rangeOf } from '../../operators/slice.js';
import type { PlanContext } from '../plan-rule.js';
import { sliceAttrs } from '../rules/merge-slices.js';
import { bound, partsOf } from './parts.js';
import { rowsOf } from './rows.js';

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

/** More operands than this are bound: a call each would cost more than the copy. */
const MAX_OPERANDS = 12;

/** As `columnSegments`, where a bind that is cached is a part itself. */
export function heldSegments(expr: Expr, context: PlanContext): Segment[] {
  const segments: Segment[] = [];
  const stack: Expr[] = [expr];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (node.op !== ops.cbind || context.isCached(node)) {
      segments.push(...(node.op === ops.cbind ? [wholeOf(node)] : columnSegments(node)));
    } else for (let i = node.inputs.length - 1; i >= 0; i--) stack.push(node.inputs[i]!);
  }
  return segments.length > MAX_OPERANDS ? [wholeOf(expr)] : segments;
}

function wholeOf(part: Expr): Segment {
  return { part, from: 0, to: part.cols };
}

/** Columns [from, to) of an operand. */
interface Operand {
  readonly operand: Expr;
  readonly from: number;
  readonly to: number;
}

/** What to compute with for these columns: whole parts where most of one is asked for, else the columns copied out. */
export function operandsOf(segments: readonly Segment[], context: PlanContext): Operand[] {
  const used = new Map<Expr, number>();
  const runs: Segment[] = [];
  for (const segment of segments) {
    const { part, from, to } = segment;
    used.set(part, (used.get(part) ?? 0) + to - from);
    const last = runs.at(-1);
    if (last?.part === part && last.to === from) runs[runs.length - 1] = { ...last, to };
    else runs.push(segment);
  }
  return runs.map(({ part, from, to }) => {
    if (2 * used.get(part)! >= part.cols) return { operand: part, from, to };
    return { operand: columnsOf(part, from, to, context), from: 0, to: to - from };
  });
}

/** What a cached result over this part is found under: slices, products and encodings are looked through. */
export function columnKey(part: Expr): Expr {
  const isMade = part.op === ops.slice || part.op === ops.matmul || part.op === ops.encode;
  return isMade ? part.inputs[0]! : part;
}

/** The bind of columns a node is a range of rows of; undefined when it is no such range. */
export function boundBelow(expr: Expr): Expr | undefined {
  if (expr.op !== ops.slice || (expr.attrs.cols ?? null) !== null) return undefined;
  const base = expr.inputs[0]!;
  return base.op === ops.cbind ? base : undefined;
}

/** cbind(A, B)[a:b,] as cbind(A[a:b,], B[a:b,]), whose columns can be told apart; anything else as it is. */
export function spreadRows(expr: Expr, context: PlanContext): Expr {
  const base = boundBelow(expr);
  if (base === undefined) return expr;
  const [from, to] = rangeOf(expr.attrs, 'rows', base.rows);
  const parts = partsOf(base, 'cols').map((part) => rowsOf(part, from, to, context));
  return bound(parts, 'cols', context);
}

/** As `columnSegments`, where an encoding of a frame stands for the encodings of its features, side by side. */
export function featureSegments(expr: Expr, maker: NodeMaker): Segment[] {
  return columnSegments(expr).flatMap((segment) => {
    const { part } = segment;
    if (part.op !== ops.encode) return [segment];
    const features = part.attrs.features as readonly AttrValue[];
    if (features.length === 1) return [segment];
    const single = features.map((feature) => {
      const one = maker.intern(ops.encode, part.inputs, { ...part.attrs, features: [feature] });
      return { part: one, from: 0, to: one.cols };
    });
    return cutSegments(single, segment.from, segment.to);
  });
}

/**
 * As `columnSegments`, where columns of A %*% B[,a:b] are columns of A %*% B: a name to find them
 * by; the product itself is never asked for.
 */
export function productSegments(expr: Expr, maker: NodeMaker): Segment[] {
  return columnSegments(expr).flatMap((segment) => {
    const { part } = segment;
    if (part.op !== ops.matmul || part.attrsText.includes('true')) return [segment];
    const [left, right] = part.inputs as [Expr, Expr];
    const named = columnSegments(right).map(({ part: base, from, to }) => ({
      part: maker.intern(ops.matmul, [left, base], part.attrs),
      from,
      to,
    }));
    return cutSegments(named, segment.from, segment.to);
  });
}

/** Whether a product with it is a sum: one column, all ones. */
export function isOnes(expr: Expr): boolean {
  return expr.op === ops.fill && expr.cols === 1 && expr.attrs.value === 1;
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

/** Neighbours among the new pieces count as one run; so do neighbours in the cached matrix. */
export function mergedPieces(pieces: readonly Piece[]): Piece[] {
  const out: Piece[] = [];
  for (const piece of pieces) {
    const last = out[out.length - 1];
    const isNext =
      last !== undefined &&
      last.part === piece.part &&
      last.to === piece.from &&
      last.source === piece.source &&
      (piece.source === undefined || last.at + last.to - last.from === piece.at);
    if (isNext) out[out.length - 1] = { ...last, to: piece.to };
    else out.push(piece);
  }
  return out;
}

/** Columns of a node, or the node itself when they are all. */
export function columnsOf(expr: Expr, from: number, to: number, maker: NodeMaker): Expr {
  if (from === 0 && to === expr.cols) return expr;
  return maker.intern(ops.slice, [expr], sliceAttrs([0, expr.rows], [from, to], expr));
}

/** The columns of operands that these segments name, side by side; neighbours are taken together. */
export function bindSegments(segments: readonly Segment[], context: PlanContext): Expr {
  return joinColumns(
    segments.map(({ part, from, to }) => ({ source: part, at: from, width: to - from })),
    context,
  );
}

/** Columns [at, at + width) of each source, side by side; neighbours are taken together. */
export function joinColumns(
  pieces: readonly { readonly source: Expr; readonly at: number; readonly width: number }[],
  context: PlanContext,
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
