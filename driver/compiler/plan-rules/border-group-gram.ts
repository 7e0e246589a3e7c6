/**
 * Moments by group from cached moments over other columns. Cell (i, j) of a group's block depends
 * on columns i and j only, centred or not, so fewer columns, or others in front, are a choice of
 * rows and columns of the cached block. With columns added, Z = [A B], the block of each group is
 *   [ n  a'  b' ; a  C_AA  C_AB ; b  C_AB'  C_BB ],
 * of which the cached moments over A hold n, a and C_AA, `groupCross` gives C_AB and moments over B
 * the rest; centred ones are about each group's own means, so nothing cancels. Costs the width of A
 * times that of B instead of the square of their sum. Of data read from files columns are chosen
 * only: reading and encoding every old column again is most of what a pass over all of them takes.
 * So are weighted ones: `groupCross` knows no weights.
 */
import type { Expr } from '../../ir/expr.js';
import { gramOperands } from '../../operators/group-gram.js';
import { ops } from '../../operators/index.js';
import type { PlanContext, PlanRule } from '../plan-rule.js';
import { sliceOf } from '../rules/merge-slices.js';
import {
  type Border,
  blockRows,
  borderOf,
  type ColumnRun,
  columnOperands,
  featureSegments,
  mostCovered,
} from './columns.js';
import { bindSegments, bound, type PartRange } from './ranges.js';

/** Runs of columns a block is made from, at most; each group has their square of pieces. */
const MAX_RUNS = 16;
const MAX_PIECES = 4096;

export const borderGroupGram: PlanRule = {
  name: 'border-group-gram',
  ops: [ops.groupGram],
  algebra:
    'groupGram(g, [A B]) -> each block of [groupGram(g, A)] bordered by groupCross(g, A, B) and groupGram(g, B); groupGram(g, X[,cols]) -> each block of [groupGram(g, X)] at rows and columns 0 and 1 + cols',
  apply: (expr, context) => {
    const columns = ({ inputs, attrs }: Expr): PartRange[] =>
      gramOperands(inputs, attrs).columns.flatMap((input) => featureSegments(input, context));
    const { columns: operands, weights } = gramOperands(expr.inputs, expr.attrs);
    const columnsOf = (sibling: Expr): PartRange[] | undefined => {
      const isAlike =
        sibling.attrsText === expr.attrsText &&
        sibling.inputs[0] === expr.inputs[0] &&
        gramOperands(sibling.inputs, sibling.attrs).weights === weights;
      return isAlike && sibling !== expr ? columns(sibling) : undefined;
    };
    const best = mostCovered(ops.groupGram, columns(expr), columnsOf, MAX_RUNS - 1, context);
    if (best === undefined) return undefined;
    const isBordered = best.columns < expr.cols - 1;
    const isRead = weights !== undefined || operands.some(({ readsFiles }) => readsFiles);
    if (isBordered && isRead) return undefined;
    const border = borderOf(best.pieces, operands, 1, context);
    const groups = expr.attrs.groups as number;
    if (border.runs.length ** 2 * groups > MAX_PIECES) return undefined;
    const cellIn = isBordered
      ? bordered(expr, best.source, border, context)
      : (group: number) => cellOf(best.source, group * best.source.cols, 0, context);
    const rows = Array.from({ length: groups }, (_, group) =>
      blockRows(border.runs, cellIn(group), context),
    );
    return { expr: bound(rows.flat(), 'rows', context), uses: [best.source] };
  },
};

type Cell = (row: ColumnRun, col: ColumnRun) => Expr;

/** The cells of a block that begins at a row and a column. */
function cellOf(x: Expr, top: number, left: number, context: PlanContext): Cell {
  return (row, col) => {
    const [y, z] = [top + row.at, left + col.at];
    return sliceOf(x, [y, y + row.width], [z, z + col.width], context);
  };
}

function bordered(
  expr: Expr,
  gram: Expr,
  { kept, fresh }: Border,
  context: PlanContext,
): (group: number) => Cell {
  const groupOf = expr.inputs[0]!;
  const added = bindSegments(fresh, 'cols', context);
  const corner = context.intern(ops.groupGram, [groupOf, added], expr.attrs);
  const crosses = columnOperands(kept, context).map((operand) => ({
    ...operand,
    moments: context.intern(ops.groupCross, [groupOf, operand.operand, added], expr.attrs),
  }));
  return (group) => {
    const side = group * corner.cols;
    const cross = bound(
      [
        sliceOf(corner, [side, side + 1], [1, corner.cols], context),
        ...crosses.map(({ operand, from, to, moments }) => {
          const first = group * (operand.cols + 1) + 1;
          return sliceOf(moments, [first + from, first + to], [1, corner.cols], context);
        }),
      ],
      'rows',
      context,
    );
    const flipped = context.intern(ops.transpose, [cross]);
    const old = cellOf(gram, group * gram.cols, 0, context);
    const both = cellOf(corner, side + 1, 1, context);
    return (row, col) => {
      if (row.isCached && col.isCached) return old(row, col);
      if (!row.isCached && !col.isCached) return both(row, col);
      const [y, x] = row.isCached ? [row.crossAt, col.at] : [row.at, col.crossAt];
      const mixed = row.isCached ? cross : flipped;
      return sliceOf(mixed, [y, y + row.width], [x, x + col.width], context);
    };
  };
}
