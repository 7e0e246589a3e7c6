/**
 * Moments by group with columns added, from cached moments over some of the columns: with Z = [A
 * B], the block of each group is
 *   [ n  a'  b' ; a  C_AA  C_AB ; b  C_AB'  C_BB ],
 * of which the cached moments over A hold n, a and C_AA, `groupCross` gives C_AB and moments over B
 * the rest, centred or not; centred ones are about each group's own means, so nothing cancels.
 * Costs the width of A times that of B instead of the square of their sum. Columns may be added
 * anywhere, taken away and reordered at once. Data read from files are left alone: reading and
 * encoding every old column again is most of what a pass over all of them takes.
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import type { PlanContext, PlanRule, Proposal } from '../plan-rule.js';
import { sliceAttrs } from '../rules/merge-slices.js';
import {
  addPlaces,
  bindSegments,
  columnKey,
  columnSegments,
  cover,
  cutSegments,
  heldSegments,
  mergedPieces,
  operandsOf,
  type Piece,
  type Places,
  type Segment,
} from './columns.js';
import { bound } from './parts.js';

/** Runs of columns a block is put together from, at most; there are their square of pieces in each group. */
const MAX_RUNS = 12;
const MAX_PIECES = 4096;

export const borderGroupGram: PlanRule = {
  name: 'border-group-gram',
  ops: [ops.groupGram],
  algebra:
    'groupGram(g, [A B]) -> each block of [groupGram(g, A)] bordered by groupCross(g, A, B) and groupGram(g, B)',
  apply: (expr, context) => {
    const operands = expr.inputs.slice(1);
    if (operands.some(({ readsFiles }) => readsFiles)) return undefined;
    const wanted = operands.flatMap(columnSegments);
    const keys = new Set(wanted.slice(0, 64).map(({ part }) => columnKey(part)));
    const siblings = new Set([...keys].flatMap((key) => context.siblings(ops.groupGram, key)));
    let best: { gram: Expr; pieces: readonly Piece[]; covered: number } | undefined;
    for (const gram of siblings) {
      if (gram.attrsText !== expr.attrsText || gram.inputs[0] !== expr.inputs[0]) continue;
      const places: Places = new Map();
      addPlaces(places, gram.inputs.slice(1).flatMap(columnSegments), gram, 1);
      const pieces = mergedPieces(cover(wanted, places));
      const covered = pieces.reduce(
        (sum, { source, from, to }) => sum + (source ? to - from : 0),
        0,
      );
      if (covered === 0 || covered === expr.cols - 1 || pieces.length >= MAX_RUNS) continue;
      if (best === undefined || covered > best.covered) best = { gram, pieces, covered };
    }
    const groups = expr.attrs.groups as number;
    if (best === undefined || (best.pieces.length + 1) ** 2 * groups > MAX_PIECES) return undefined;
    return bordered(expr, best.gram, best.pieces, context);
  },
};

/** Columns of a block: of the cached one from `at` and of the cross moments from `crossAt`, or new, from `at`. */
interface Run {
  readonly isCached: boolean;
  readonly at: number;
  readonly crossAt: number;
  readonly width: number;
}

function bordered(
  expr: Expr,
  gram: Expr,
  pieces: readonly Piece[],
  context: PlanContext,
): Proposal {
  const bases = expr.inputs.slice(1).flatMap(columnSegments);
  const held = expr.inputs.slice(1).flatMap((input) => heldSegments(input, context));
  const fresh: Segment[] = [];
  const kept: Segment[] = [];
  // The first row and column of a block are the count and the sums or means; of the cross moments
  // too.
  const runs: Run[] = [{ isCached: true, at: 0, crossAt: 0, width: 1 }];
  let [next, crossed, position] = [0, 1, 0];
  for (const { source, at, from, to } of pieces) {
    const width = to - from;
    if (source === undefined) {
      fresh.push(...cutSegments(bases, position, position + width));
      runs.push({ isCached: false, at: next, crossAt: 0, width });
      next += width;
    } else {
      kept.push(...cutSegments(held, position, position + width));
      runs.push({ isCached: true, at, crossAt: crossed, width });
      crossed += width;
    }
    position += width;
  }
  const groupOf = expr.inputs[0]!;
  const added = bindSegments(fresh, context);
  const corner = context.intern(ops.groupGram, [groupOf, added], expr.attrs);
  const crosses = operandsOf(kept, context).map((operand) => ({
    ...operand,
    moments: context.intern(ops.groupCross, [groupOf, operand.operand, added], expr.attrs),
  }));
  const blocks = Array.from({ length: expr.attrs.groups as number }, (_, group) => {
    const [top, side] = [group * gram.cols, group * corner.cols];
    const newColumns: [number, number] = [1, corner.cols];
    const cross = bound(
      [
        part(corner, [side, side + 1], newColumns, context),
        ...crosses.map(({ operand, from, to, moments }) => {
          const first = group * (operand.cols + 1) + 1;
          return part(moments, [first + from, first + to], newColumns, context);
        }),
      ],
      'rows',
      context,
    );
    const flipped = context.intern(ops.transpose, [cross]);
    const cell = (row: Run, col: Run): Expr => {
      const [y, x, h, w] = [row.at, col.at, row.width, col.width];
      if (row.isCached && col.isCached)
        return part(gram, [top + y, top + y + h], [x, x + w], context);
      if (row.isCached) return part(cross, [row.crossAt, row.crossAt + h], [x, x + w], context);
      if (col.isCached) return part(flipped, [y, y + h], [col.crossAt, col.crossAt + w], context);
      return part(corner, [side + 1 + y, side + 1 + y + h], [1 + x, 1 + x + w], context);
    };
    return runs.map((row) =>
      bound(
        runs.map((col) => cell(row, col)),
        'cols',
        context,
      ),
    );
  });
  return { expr: bound(blocks.flat(), 'rows', context), uses: [gram] };
}

function part(
  x: Expr,
  rows: readonly [number, number],
  cols: readonly [number, number],
  context: PlanContext,
): Expr {
  const attrs = sliceAttrs([...rows], [...cols], x);
  const isWhole = attrs.rows === null && attrs.cols === null;
  return isWhole ? x : context.intern(ops.slice, [x], attrs);
}
