/**
 * Products of all models in one node. A shared factor meets the other's as they stand: X %*% W is
 * one product for all, and so are stacked matrices times a shared one. Products of each model's own
 * matrices with a column or a row are cells and sums, which go by rows where the data do.
 */
import { type BatchOperand, type BatchSite, type BatchValue, isTall } from '../ir/batch-rule.js';
import type { Expr } from '../ir/expr.js';
import { colSums, rowSums } from './aggregates.js';
import { mul } from './cells.js';
import { transpose } from './transpose.js';

/** A %*% B, either transposed by a flag of the node. */
export function batchProduct(site: BatchSite): BatchValue | undefined {
  const { attrs } = site.one;
  const [first, second] = site.operands;
  const a = attrs.transposeA === true ? site.transposed(first!) : first!;
  const b = attrs.transposeB === true ? site.transposed(second!) : second!;
  if (a.layout === 'shared') {
    const expr = site.maker.intern(site.one.op, [a.expr, site.columns(b)]);
    return { layout: 'columns', expr };
  }
  if (b.layout === 'shared' && !isTall(a)) {
    const expr = site.maker.intern(site.one.op, [site.stack(a), b.expr]);
    return { layout: 'stack', expr };
  }
  return outer(site, a, b) ?? rowTimes(site, a, b) ?? timesColumn(site, a, b);
}

/** [r, 1] %*% [1, c]. */
function outer(site: BatchSite, a: BatchOperand, b: BatchOperand): BatchValue | undefined {
  if (a.cols !== 1) return undefined;
  const left = site.repeatCols(site.columns(a), 1, b.cols);
  return { layout: 'columns', expr: site.maker.intern(mul, [left, site.columns(b)]) };
}

/** [1, m] %*% [m, c]: sums of columns. */
function rowTimes(site: BatchSite, a: BatchOperand, b: BatchOperand): BatchValue | undefined {
  if (a.rows !== 1) return undefined;
  const column = site.columns(site.transposed(a));
  const left = site.repeatCols(column, 1, b.cols);
  const products = site.maker.intern(mul, [left, site.columns(b)]);
  return { layout: 'columns', expr: site.maker.intern(colSums, [products]) };
}

/** [r, m] %*% [m, 1]: sums of columns of the transpose, or of rows of the stack. */
function timesColumn(site: BatchSite, a: BatchOperand, b: BatchOperand): BatchValue | undefined {
  if (b.cols !== 1) return undefined;
  if (a.layout !== 'stack') return undefined;
  const { maker } = site;
  const turned = transposedColumns(a.expr);
  if (turned !== undefined) {
    const right = site.repeatCols(site.columns(b), 1, a.rows);
    const sums = maker.intern(colSums, [maker.intern(mul, [turned, right])]);
    return site.transposed({ layout: 'columns', expr: sums, rows: 1, cols: a.rows });
  }
  const row = site.stack(site.transposed(b));
  const products = maker.intern(mul, [a.expr, site.repeatRows(row, 1, a.rows)]);
  return { layout: 'stack', expr: maker.intern(rowSums, [products]) };
}

/** The columns that a stack is the transpose of. */
function transposedColumns(stack: Expr): Expr | undefined {
  return stack.op === transpose ? stack.inputs[0] : undefined;
}
