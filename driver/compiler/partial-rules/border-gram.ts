/**
 * The Gram matrix of column-bound operands by quadrants, from that of some of the columns: with X = [A B],
 *   tsmm(X) = [ tsmm(A)  P ; t(P)  tsmm(B) ],  P = t(A) %*% B,
 * for columns added anywhere, taken away or put in another order. P and t(P) are one product, so the result is exactly
 * symmetric. Taking rows away (tsmm(X) - tsmm(rest)) is left out: where the rest dominates, the difference of the two
 * sums keeps none of the digits of the small one, and no bound on that is known before the values are.
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import { sliceAttrs } from '../rules/merge-slices.js';
import {
  addPlaces,
  bindSegments,
  columnSegments,
  cover,
  type Piece,
  type Segment,
} from './columns.js';
import type { PartialContext, PartialRule } from './partial-rule.js';
import { bound } from './parts.js';

/** The result has the square of this many blocks at most. */
const MAX_PIECES = 12;

export const borderGram: PartialRule = {
  name: 'border-gram',
  ops: [ops.tsmm],
  algebra: 'tsmm(cbind(A, B)) -> rbind(cbind([tsmm(A)], P), cbind(t(P), tsmm(B))), P = t(A) %*% B',
  apply: (expr, context) => {
    const wanted = columnSegments(expr.inputs[0]!);
    const siblings = new Set(
      wanted.slice(0, 64).flatMap(({ part }) => context.siblings(ops.tsmm, part)),
    );
    let best: { gram: Expr; pieces: readonly Piece[]; covered: number } | undefined;
    for (const gram of siblings) {
      const places = new Map();
      addPlaces(places, columnSegments(gram.inputs[0]!), gram);
      const pieces = merged(cover(wanted, places));
      const covered = widthOf(pieces.filter(({ source }) => source !== undefined));
      if (covered === 0 || pieces.length > MAX_PIECES) continue;
      if (best === undefined || covered > best.covered) best = { gram, pieces, covered };
    }
    if (best === undefined) return undefined;
    return { expr: assemble(best.gram, best.pieces, context), uses: [best.gram] };
  },
};

function widthOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** A run of columns of the result: in the cached matrix from `at`, or new, from `at` among the new columns. */
interface Run {
  readonly isCached: boolean;
  readonly at: number;
  readonly width: number;
}

/** Neighbours among the new pieces count as one run; so do neighbours in the cached matrix. */
function merged(pieces: readonly Piece[]): Piece[] {
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

function assemble(gram: Expr, pieces: readonly Piece[], context: PartialContext): Expr {
  const fresh = pieces.filter(({ source }) => source === undefined);
  const runs: Run[] = [];
  let next = 0;
  for (const { source, at, from, to } of pieces) {
    const width = to - from;
    const isCached = source !== undefined;
    const run = { isCached, at: isCached ? at : next, width };
    if (!isCached) next += width;
    const last = runs[runs.length - 1];
    if (last?.isCached === isCached && last.at + last.width === run.at) {
      runs[runs.length - 1] = { ...last, width: last.width + width };
    } else runs.push(run);
  }
  const blockOf = blocks(gram, fresh, context);
  const rows = runs.map((row) =>
    bound(
      runs.map((col) => blockOf(row, col)),
      'cols',
      context,
    ),
  );
  return bound(rows, 'rows', context);
}

function blocks(
  gram: Expr,
  fresh: readonly Piece[],
  context: PartialContext,
): (row: Run, col: Run) => Expr {
  const part = (x: Expr, row: Run, col: Run): Expr => {
    if (row.width === x.rows && col.width === x.cols) return x;
    const attrs = sliceAttrs([row.at, row.at + row.width], [col.at, col.at + col.width], x);
    return context.intern(ops.slice, [x], attrs);
  };
  if (fresh.length === 0) return (row, col) => part(gram, row, col);
  const added = bindSegments(fresh, context);
  const cross = context.intern(ops.matmul, [gram.inputs[0]!, added], { transposeA: true });
  const corner = context.intern(ops.tsmm, [added]);
  const flipped = context.intern(ops.transpose, [cross]);
  return (row, col) => {
    if (row.isCached) return part(col.isCached ? gram : cross, row, col);
    return part(col.isCached ? flipped : corner, row, col);
  };
}
