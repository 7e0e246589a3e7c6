/**
 * Operands seen as runs of rows of their parts, through `rbind`s and slices of rows, and which rows
 * of a result are rows of cached results. Invariant: the segments of a node, under one another, are
 * the node; a place found holds exactly the rows it says, for every operand taken by rows and with
 * the other operands the same.
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import { rangeOf } from '../../operators/slice.js';
import type { PlanContext } from '../plan-rule.js';
import { sliceAttrs } from '../rules/merge-slices.js';
import { bound, MAX_PREFIXES, partsOf } from './parts.js';

/** Rows [from, to) of a part. */
export interface RowSegment {
  readonly part: Expr;
  readonly from: number;
  readonly to: number;
}

/** Rows [from, to) of a result are the rows from `at` on of `source`. */
export interface RowPlace {
  readonly from: number;
  readonly to: number;
  readonly source: Expr;
  readonly at: number;
}

/**
 * Rows of a node that are rows [from, to) of a track: for each operand cut by rows the same part,
 * at the same distance from that of the first.
 */
export interface RowPiece {
  readonly track: string;
  readonly from: number;
  readonly to: number;
  /** The node's row where it begins. */
  readonly row: number;
}

/** More parts than this are not looked at one by one. */
const MAX_PARTS = 4096;
/** Parts whose cached results are asked for. */
const MAX_LOOKUPS = 64;

/** What a cached result over this part is found under: slices are looked through. */
export function rowKey(part: Expr): Expr {
  return part.op === ops.slice ? part.inputs[0]! : part;
}

export function rowSegments(expr: Expr, context: PlanContext): RowSegment[] {
  return partsOf(expr, 'rows').map((part) => {
    if (part.op !== ops.slice || (part.attrs.rows ?? null) === null) {
      return { part, from: 0, to: part.rows };
    }
    const base = part.inputs[0]!;
    const [from, to] = rangeOf(part.attrs, 'rows', base.rows);
    const cols = rangeOf(part.attrs, 'cols', base.cols);
    const isWide = cols[0] === 0 && cols[1] === base.cols;
    const attrs = sliceAttrs([0, base.rows], cols, base);
    return { part: isWide ? base : context.intern(ops.slice, [base], attrs), from, to };
  });
}

/** Rows [from, to) of a node, or the node itself when they are all. */
export function rowsOf(expr: Expr, from: number, to: number, context: PlanContext): Expr {
  if (from === 0 && to === expr.rows) return expr;
  if (expr.op === ops.slice && (expr.attrs.rows ?? null) === null) {
    const base = expr.inputs[0]!;
    const attrs = sliceAttrs([from, to], rangeOf(expr.attrs, 'cols', base.cols), base);
    return context.intern(ops.slice, [base], attrs);
  }
  return context.intern(ops.slice, [expr], sliceAttrs([from, to], [0, expr.cols], expr));
}

/** A node whose operands are cut by rows: what is common to the rules over rows. */
export class RowCut {
  readonly expr: Expr;
  readonly #blocked: readonly boolean[];
  readonly #context: PlanContext;
  /** By operand; undefined for those that are the same for every row. */
  readonly #segments: readonly (readonly RowSegment[] | undefined)[];

  constructor(expr: Expr, blocked: readonly boolean[], context: PlanContext) {
    this.expr = expr;
    this.#blocked = blocked;
    this.#context = context;
    this.#segments = expr.inputs.map((input, i) =>
      blocked[i] ? rowSegments(input, context) : undefined,
    );
  }

  /** Rows of the operands that are cut. */
  get rows(): number {
    return this.expr.inputs[this.#first]!.rows;
  }

  get #first(): number {
    return this.#blocked.indexOf(true);
  }

  /** The same operator over rows [from, to) of its operands; neighbouring rows of a part are taken at once. */
  over(from: number, to: number): Expr {
    if (from === 0 && to === this.rows) return this.expr;
    const inputs = this.expr.inputs.map((input, i) => {
      const segments = this.#segments[i];
      if (segments === undefined) return input;
      const pieces = cut(segments, from, to).map((piece) =>
        rowsOf(piece.part, piece.from, piece.to, this.#context),
      );
      return bound(pieces, 'rows', this.#context);
    });
    return this.#context.intern(this.expr.op, inputs, this.expr.attrs);
  }

  /** The rows in order, cut where any operand passes from one part to another; runs that go on are one. */
  pieces(): RowPiece[] {
    const lists = this.#segments.filter((segments) => segments !== undefined);
    const at = lists.map(() => ({ segment: 0, done: 0 }));
    const pieces: RowPiece[] = [];
    for (let row = 0; row < this.rows; ) {
      const here = lists.map((segments, i) => segments[at[i]!.segment]!);
      const width = Math.min(...here.map(({ from, to }, i) => to - from - at[i]!.done));
      const starts = here.map(({ from }, i) => from + at[i]!.done);
      const track = here.map(({ part }, i) => `${part.id}:${starts[i]! - starts[0]!}`).join(' ');
      const [from, to] = [starts[0]!, starts[0]! + width];
      const last = pieces.at(-1);
      if (last?.track === track && last.to === from) pieces[pieces.length - 1] = { ...last, to };
      else pieces.push({ track, from, to, row });
      for (const [i, place] of at.entries()) {
        place.done += width;
        if (here[i]!.from + place.done < here[i]!.to) continue;
        place.segment++;
        place.done = 0;
      }
      row += width;
    }
    return pieces;
  }

  /**
   * Where rows of the operands are rows of the operands of cached results, in any order.
   * @param fits whether the attributes of a cached result will do; by default only equal ones
   */
  places(
    fits: (sibling: Expr) => boolean = ({ attrsText }) => attrsText === this.expr.attrsText,
  ): RowPlace[] {
    const places: RowPlace[] = [];
    const seen = new Set<Expr>([this.expr]);
    const keys = new Set(this.#segments[this.#first]!.map(({ part }) => rowKey(part)));
    for (const key of [...keys].slice(0, MAX_LOOKUPS)) {
      for (const sibling of this.#context.siblings(this.expr.op, key)) {
        if (seen.has(sibling)) continue;
        seen.add(sibling);
        if (fits(sibling)) places.push(...this.#placesIn(sibling));
      }
    }
    return places;
  }

  /**
   * What no index knows (the durable store's single parts, operators too cheap to index): the
   * results over the first of the parts, however many, and over single parts, where they are
   * cached.
   */
  partPlaces(): RowPlace[] {
    const segments = this.#segments[this.#first]!;
    if (segments.length < 2 || segments.length > MAX_PARTS) return [];
    const ends = [0];
    for (const { from, to } of segments) ends.push(ends.at(-1)! + to - from);
    const ranges = segments.map((_, i) => [ends[i]!, ends[i + 1]!] as const);
    const longest = segments.length > MAX_PREFIXES ? 0 : segments.length - 1;
    for (let count = 2; count <= longest; count++) ranges.push([0, ends[count]!]);
    return ranges.flatMap(([from, to]) => {
      const source = this.over(from, to);
      return this.#context.isCached(source) ? [{ from, to, source, at: 0 }] : [];
    });
  }

  #placesIn(sibling: Expr): RowPlace[] {
    const { expr } = this;
    if (sibling.inputs.length !== expr.inputs.length) return [];
    const rule = sibling.op.rowRule(sibling.inputs, sibling.attrs);
    if (!('blocked' in rule)) return [];
    let spans: readonly Span[] | undefined;
    for (const [i, input] of sibling.inputs.entries()) {
      if (rule.blocked[i] !== this.#blocked[i]) return [];
      const segments = this.#segments[i];
      if (segments === undefined) {
        if (input !== expr.inputs[i]) return [];
        continue;
      }
      const own = shared(segments, rowSegments(input, this.#context));
      spans = spans === undefined ? own : intersect(spans, own);
      if (spans.length === 0) return [];
    }
    return (spans ?? []).map((span) => ({ ...span, source: sibling }));
  }
}

interface Span {
  readonly from: number;
  readonly to: number;
  readonly at: number;
}

function cut(segments: readonly RowSegment[], from: number, to: number): RowSegment[] {
  const pieces: RowSegment[] = [];
  let start = 0;
  for (const segment of segments) {
    const end = start + segment.to - segment.from;
    const [first, last] = [Math.max(start, from), Math.min(end, to)];
    if (first < last) {
      const shift = segment.from - start;
      const previous = pieces.at(-1);
      if (previous?.part === segment.part && previous.to === first + shift) {
        pieces[pieces.length - 1] = { ...previous, to: last + shift };
      } else pieces.push({ part: segment.part, from: first + shift, to: last + shift });
    }
    start = end;
    if (start >= to) break;
  }
  return pieces;
}

/** Runs of rows that two operands share, in both their numberings; runs that go on are one. */
function shared(wanted: readonly RowSegment[], cached: readonly RowSegment[]): Span[] {
  const byPart = new Map<Expr, { readonly segment: RowSegment; readonly start: number }[]>();
  let start = 0;
  for (const segment of cached) {
    const known = byPart.get(segment.part);
    if (known === undefined) byPart.set(segment.part, [{ segment, start }]);
    else known.push({ segment, start });
    start += segment.to - segment.from;
  }
  const spans: Span[] = [];
  start = 0;
  for (const { part, from, to } of wanted) {
    for (const place of byPart.get(part) ?? []) {
      const first = Math.max(from, place.segment.from);
      const last = Math.min(to, place.segment.to);
      if (first >= last) continue;
      const at = place.start + first - place.segment.from;
      spans.push({ from: start + first - from, to: start + last - from, at });
    }
    start += to - from;
  }
  return joined(spans);
}

/** Neighbours in both numberings become one. */
function joined(spans: readonly Span[]): Span[] {
  const out: Span[] = [];
  for (const span of spans) {
    const i = out.findIndex(
      (one) => one.to === span.from && one.at + one.to - one.from === span.at,
    );
    if (i < 0) out.push(span);
    else out[i] = { ...out[i]!, to: span.to };
  }
  return out;
}

function intersect(a: readonly Span[], b: readonly Span[]): Span[] {
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
