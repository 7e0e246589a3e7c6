/**
 * Moments by group over some of the columns, from cached moments over more of them or in another
 * order: cell (i, j) of a group's block depends on columns i and j only, centred or not, so each
 * block is a choice of rows and columns of a cached block. A job that drops a feature, or renames
 * what it predicts among its columns, needs no pass over the data.
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import type { PlanContext, PlanRule } from '../plan-rule.js';
import { sliceAttrs } from '../rules/merge-slices.js';
import {
  addPlaces,
  columnKey,
  cover,
  featureSegments,
  type Places,
  type Segment,
} from './columns.js';
import { bound } from './parts.js';

/** Runs of columns a block is put together from, at most; there are their square of pieces in each group. */
const MAX_RUNS = 16;
const MAX_PIECES = 4096;

export const selectGroupGram: PlanRule = {
  name: 'select-group-gram',
  ops: [ops.groupGram],
  algebra:
    'groupGram(g, X[,cols]) -> each block of [groupGram(g, X)] at rows and columns 0 and 1 + cols',
  apply: (expr, context) => {
    const wanted = columnsUsed(expr, context);
    const keys = new Set(wanted.slice(0, MAX_RUNS * 4).map(({ part }) => columnKey(part)));
    for (const key of keys) {
      for (const sibling of context.siblings(ops.groupGram, key)) {
        if (sibling === expr || sibling.attrsText !== expr.attrsText) continue;
        if (sibling.inputs[0] !== expr.inputs[0]) continue;
        const places: Places = new Map();
        addPlaces(places, columnsUsed(sibling, context), sibling, 1);
        const pieces = cover(wanted, places);
        if (pieces.some(({ source }) => source === undefined)) continue;
        // The first row and column of a block are the count and the sums or means.
        const runs: Run[] = [{ at: 0, width: 1 }];
        for (const { at, from, to } of pieces) {
          const last = runs.at(-1)!;
          if (last.at + last.width === at)
            runs[runs.length - 1] = { ...last, width: last.width + to - from };
          else runs.push({ at, width: to - from });
        }
        const groups = expr.attrs.groups as number;
        if (runs.length > MAX_RUNS || runs.length ** 2 * groups > MAX_PIECES) continue;
        return { expr: select(sibling, runs, groups, context), uses: [sibling] };
      }
    }
    return undefined;
  },
};

/** Columns [at, at + width) of a block, and the rows of the same numbers. */
interface Run {
  readonly at: number;
  readonly width: number;
}

/** X's columns, then Y's. */
function columnsUsed(expr: Expr, context: PlanContext): Segment[] {
  return expr.inputs.slice(1).flatMap((input) => featureSegments(input, context));
}

function select(gram: Expr, runs: readonly Run[], groups: number, context: PlanContext): Expr {
  const side = gram.cols;
  const rows = Array.from({ length: groups }, (_, group) =>
    runs.map((row) => {
      const top = group * side + row.at;
      const pieces = runs.map((col) => {
        const attrs = sliceAttrs([top, top + row.width], [col.at, col.at + col.width], gram);
        return attrs.rows === null && attrs.cols === null
          ? gram
          : context.intern(ops.slice, [gram], attrs);
      });
      return bound(pieces, 'cols', context);
    }),
  );
  return bound(rows.flat(), 'rows', context);
}
