/**
 * A node whose operands are cut along an axis, as one of its operator's splits allows: the operator
 * over any range, and the cached results that hold some of it. Invariant: a place found holds
 * exactly the positions it says, for every operand that is cut and with the other operands the
 * same.
 */
import type { Expr } from '../../ir/expr.js';
import { type Split, splitsOf } from '../../ir/op-def.js';
import type { PlanContext } from '../plan-rule.js';
import { lookupsOf, MAX_KEYS, partKey } from './find-by.js';
import {
  bindSegments,
  covered,
  cutSegments,
  intersect,
  type PartRange,
  type Span,
  segmentsOf,
  sharedSpans,
} from './ranges.js';

/** Positions [from, to) of the node are those from `at` on of `source`. */
export interface CutPlace extends Span {
  readonly source: Expr;
}

/**
 * Positions of a node that are positions [from, to) of a track: for each operand that is cut the
 * same part, at the same distance from that of the first.
 */
export interface TrackPiece {
  readonly track: string;
  readonly from: number;
  readonly to: number;
  /** The node's position where it begins. */
  readonly start: number;
}

/** More parts than this are not looked at one by one. */
const MAX_PARTS = 4096;
/** Of more parts the first few together are not asked for. */
const MAX_PREFIXES = 64;

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Where segments that stand one after another begin and end. */
function rangesOf(segments: readonly PartRange[], first = 0): Range[] {
  let to = first;
  return segments.map((segment) => {
    const from = to;
    to += segment.to - segment.from;
    return { from, to };
  });
}

export class Cut {
  readonly expr: Expr;
  readonly split: Split;
  readonly #context: PlanContext;
  /** By operand; undefined for those that are the same for every part. */
  readonly #segments: readonly (readonly PartRange[] | undefined)[];
  /** The first operand that is cut. */
  readonly #first: number;

  constructor(expr: Expr, split: Split, context: PlanContext) {
    this.expr = expr;
    this.split = split;
    this.#context = context;
    this.#first = split.cut.indexOf(true);
    this.#segments = expr.inputs.map((input, i) =>
      split.cut[i] ? segmentsOf(input, split.axis, context) : undefined,
    );
  }

  /** Positions of the operands that are cut. */
  get length(): number {
    return this.expr.inputs[this.#first]![this.split.axis];
  }

  /** The same operator over these ranges of its operands in order; neighbours are joined. */
  over(...ranges: readonly Range[]): Expr {
    const [{ from, to }] = ranges as readonly [Range, ...Range[]];
    if (ranges.length === 1 && from === 0 && to === this.length) return this.expr;
    const inputs = this.expr.inputs.map((input, i) => {
      const segments = this.#segments[i];
      if (segments === undefined) return input;
      const pieces =
        ranges.length === 1
          ? cutSegments(segments, from, to)
          : ranges.flatMap((range) => cutSegments(segments, range.from, range.to));
      return bindSegments(pieces, this.split.axis, this.#context);
    });
    return this.#context.intern(this.expr.op, inputs, this.expr.attrs);
  }

  /** The range cut where one part of the first operand ends and another begins. */
  byParts(range: Range): Range[] {
    return rangesOf(cutSegments(this.#segments[this.#first]!, range.from, range.to), range.from);
  }

  /**
   * The positions in order, cut where an operand enters another part: where a program cut its rows
   * once, it will again.
   */
  tracks(): TrackPiece[] {
    const lists = this.#segments.filter((segments) => segments !== undefined);
    const at = lists.map(() => ({ segment: 0, done: 0 }));
    const pieces: TrackPiece[] = [];
    for (let start = 0; start < this.length; ) {
      const here = lists.map((segments, i) => segments[at[i]!.segment]!);
      const width = Math.min(...here.map(({ from, to }, i) => to - from - at[i]!.done));
      const starts = here.map(({ from }, i) => from + at[i]!.done);
      const track = here.map(({ part }, i) => `${part.id}:${starts[i]! - starts[0]!}`).join(' ');
      const [from, to] = [starts[0]!, starts[0]! + width];
      pieces.push({ track, from, to, start });
      for (const [i, place] of at.entries()) {
        place.done += width;
        if (here[i]!.from + place.done < here[i]!.to) continue;
        place.segment++;
        place.done = 0;
      }
      start += width;
    }
    return pieces;
  }

  /**
   * Where ranges of the operands lie in cached results, in any order.
   * @param fits whether the attributes of a cached result will do; by default only equal ones
   */
  places(
    fits: (sibling: Expr) => boolean = ({ attrsText }) => attrsText === this.expr.attrsText,
  ): CutPlace[] {
    const keys = this.#keys();
    const places: CutPlace[] = [];
    const seen = new Set([this.expr]);
    for (const key of keys) {
      for (const sibling of this.#context.siblings(this.expr.op, key)) {
        if (seen.has(sibling)) continue;
        seen.add(sibling);
        if (fits(sibling)) places.push(...this.#placesIn(sibling));
      }
    }
    return [...places, ...this.#partPlaces(keys.size > 0)];
  }

  /** Those places that are all of a cached result. */
  wholePlaces(fits?: (sibling: Expr) => boolean): CutPlace[] {
    const { axis } = this.split;
    return this.places(fits).filter(
      ({ from, to, source, at }) => at === 0 && to - from === source.inputs[this.#first]![axis],
    );
  }

  #keys(): Set<Expr> {
    const { axis, cut } = this.split;
    const keys = lookupsOf(this.expr).flatMap(({ operand, by }) => {
      if (!cut[operand]) return by === 'self' ? [this.expr.inputs[operand]!] : [];
      if (by !== axis) return [];
      return this.#segments[operand]!.slice(0, MAX_KEYS).map(({ part }) => partKey(part, axis));
    });
    return new Set(keys);
  }

  /**
   * What no index knows: the results over single parts, over all of what a part is a range of and,
   * of operators too cheap to index, over the first of the parts, however many.
   */
  #partPlaces(isIndexed: boolean): CutPlace[] {
    const segments = this.#segments[this.#first]!;
    const { axis, cut } = this.split;
    const { expr } = this;
    if (segments.length > MAX_PARTS) return [];
    const places: CutPlace[] = [];
    const add = (place: CutPlace): void => {
      if (place.source !== expr && this.#context.isCached(place.source)) places.push(place);
    };
    const ranges = rangesOf(segments);
    if (cut.indexOf(true) === cut.lastIndexOf(true)) {
      for (const [i, { part, from, to }] of segments.slice(0, MAX_KEYS).entries()) {
        if (to - from === part[axis]) continue;
        const inputs = expr.inputs.map((input, k) => (k === this.#first ? part : input));
        const source = this.#context.intern(expr.op, inputs, expr.attrs);
        add({ ...ranges[i]!, source, at: from });
      }
    }
    if (ranges.length < 2) return places;
    for (const range of ranges) add({ ...range, source: this.over(range), at: 0 });
    const longest = isIndexed || ranges.length > MAX_PREFIXES ? 0 : ranges.length - 1;
    for (let count = 2; count <= longest; count++) {
      const prefix = { from: 0, to: ranges[count - 1]!.to };
      add({ ...prefix, source: this.over(prefix), at: 0 });
    }
    return places;
  }

  #placesIn(sibling: Expr): CutPlace[] {
    const { expr } = this;
    const { axis, cut, into } = this.split;
    if (sibling.inputs.length !== cut.length) return [];
    const isAlike = (other: Split): boolean =>
      other.axis === axis && other.into === into && other.cut.every((is, i) => is === cut[i]);
    if (!splitsOf(sibling).some(isAlike)) return [];
    let spans: readonly Span[] | undefined;
    for (const [i, input] of sibling.inputs.entries()) {
      const segments = this.#segments[i];
      if (segments === undefined) {
        if (input !== expr.inputs[i]) return [];
        continue;
      }
      const own = sharedSpans(segments, segmentsOf(input, axis, this.#context));
      spans = spans === undefined ? own : intersect(spans, own);
      if (spans.length === 0) return [];
    }
    return (spans ?? []).map((span) => ({ ...span, source: sibling }));
  }
}

/** A way to cut a node, and the places it is answered from. */
export interface CutAnswer {
  readonly cut: Cut;
  readonly chosen: readonly CutPlace[];
}

/**
 * Of the splits of a node, the one whose places cover most; undefined where nothing is cached.
 * @param choose places of a cut that don't overlap
 */
export function widestCut(
  expr: Expr,
  context: PlanContext,
  isUsed: (split: Split) => boolean,
  choose: (cut: Cut) => readonly CutPlace[],
): CutAnswer | undefined {
  let best: CutAnswer | undefined;
  let most = 0;
  for (const split of splitsOf(expr)) {
    if (!isUsed(split)) continue;
    const cut = new Cut(expr, split, context);
    const chosen = choose(cut);
    const share = covered(chosen) / cut.length;
    if (share <= most) continue;
    best = { cut, chosen };
    most = share;
  }
  return best;
}
