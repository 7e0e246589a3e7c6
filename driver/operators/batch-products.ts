/**
 * Products of all models in one node. A shared factor meets the other's as they stand: X %*% W is
 * one product for all, and so are stacked matrices times a shared one. Products of each model's own
 * matrices with a column or a row are cells and sums, which go by rows where the data do. t(X) %*%
 * (w * X) of a shared X is a weighted Gram matrix: the weights alone are each model's.
 */
import { type BatchOperand, type BatchSite, type BatchValue, isTall } from '../ir/batch-rule.js';
import type { Expr } from '../ir/expr.js';
import { colSumSqs, colSums } from './aggregates.js';
import { mul, square } from './cells.js';
import { stackProduct } from './stack-product.js';
import { transpose } from './transpose.js';
import { weightedGram } from './weighted-gram.js';

/** Columns of a model that fill a cache line, so that a product of them reads nothing in vain. */
const MIN_STRIDED = 8;

/** A %*% B, either transposed by a flag of the node. */
export function batchProduct(site: BatchSite): BatchValue | undefined {
  const { attrs } = site.one;
  const [first, second] = site.operands;
  const a = attrs.transposeA === true ? site.transposed(first!) : first!;
  const b = attrs.transposeB === true ? site.transposed(second!) : second!;
  const weighted = weightedProduct(site);
  if (weighted !== undefined) return weighted;
  if (a.layout === 'shared') {
    const expr = site.maker.intern(site.one.op, [a.expr, site.columns(b)]);
    return { layout: 'columns', expr };
  }
  if (b.layout === 'shared' && !isTall(a)) {
    const expr = site.maker.intern(site.one.op, [site.stack(a), b.expr]);
    return { layout: 'stack', expr };
  }
  const found = outer(site, a, b) ?? rowTimes(site, a, b) ?? timesColumn(site, a, b);
  if (found !== undefined || site.models > 1) return found ?? ofEach(site);
  const inputs = [first!.expr, second!.expr];
  return { layout: 'columns', expr: site.maker.intern(site.one.op, inputs, attrs) };
}

/** t(X) %*% X. */
export function batchGram(site: BatchSite): BatchValue {
  const [x] = site.operands;
  const scaled = scaledRows(site, site.one.inputs[0]!);
  if (scaled !== undefined) {
    const weights = site.maker.intern(square, [scaled.weights]);
    return weightedGramOf(site, { x: scaled.x, weights });
  }
  if (x!.cols === 1) {
    return { layout: 'columns', expr: site.maker.intern(colSumSqs, [site.columns(x!)]) };
  }
  const { layout, expr } = x!;
  const attrs = { models: site.models, a: layout, b: layout, transposeA: true };
  return { layout: 'columns', expr: site.maker.intern(stackProduct, [expr, expr], attrs) };
}

/** A shared matrix, its rows multiplied by each model's own numbers. */
interface ScaledRows {
  readonly x: Expr;
  readonly weights: Expr;
}

function scaledRows(site: BatchSite, product: Expr): ScaledRows | undefined {
  if (product.op !== mul) return undefined;
  const [a, b] = product.inputs as [Expr, Expr];
  for (const [x, weights] of [
    [a, b],
    [b, a],
  ] as const) {
    const own = site.valueOf(weights);
    const isColumn = weights.cols === 1 && weights.rows === x.rows;
    if (!isColumn || own.layout === 'shared' || site.valueOf(x).layout !== 'shared') continue;
    return { x, weights: site.columns(own) };
  }
  return undefined;
}

/** t(X) %*% (w * X), or t(w * X) %*% X. */
function weightedProduct(site: BatchSite): BatchValue | undefined {
  const { attrs, inputs } = site.one;
  const [first, right] = inputs as [Expr, Expr];
  const left = first.op === transpose ? first.inputs[0]! : first;
  const isTurned = (attrs.transposeA === true) !== (first.op === transpose);
  if (!isTurned || attrs.transposeB === true) return undefined;
  for (const [scaled, other] of [
    [right, left],
    [left, right],
  ] as const) {
    const found = scaledRows(site, scaled);
    if (found?.x === other) return weightedGramOf(site, found);
  }
  return undefined;
}

function weightedGramOf(site: BatchSite, { x, weights }: ScaledRows): BatchValue {
  const expr = site.maker.intern(weightedGram, [site.valueOf(x).expr, weights]);
  return { layout: 'stack', expr };
}

/** A product of each model's own matrices, where they lie. */
function ofEach({ one, models, operands, maker, columns }: BatchSite): BatchValue {
  const [a, b] = operands.map(whereItLies) as [Lying, Lying];
  const transposeA = (one.attrs.transposeA === true) !== a.isTurned;
  const transposeB = (one.attrs.transposeB === true) !== b.isTurned;
  // Tall columns are summed over rows with tall columns.
  const isSum = transposeA && isTall(a) && !transposeB;
  const right = isSum ? ({ layout: 'columns', expr: columns(b) } as const) : b;
  const flags = { ...(transposeA && { transposeA }), ...(transposeB && { transposeB }) };
  const attrs = { models, a: a.layout, b: right.layout, ...flags };
  return { layout: 'columns', expr: maker.intern(stackProduct, [a.expr, right.expr], attrs) };
}

/** An operand, or what it is the transpose of. */
interface Lying extends BatchOperand {
  readonly isTurned: boolean;
}

function whereItLies(operand: BatchOperand): Lying {
  const { layout, expr, rows, cols } = operand;
  if (layout === 'shared' || expr.op !== transpose) return { ...operand, isTurned: false };
  const turned = layout === 'stack' ? 'columns' : 'stack';
  return { layout: turned, expr: expr.inputs[0]!, rows: cols, cols: rows, isTurned: true };
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

/** Products of few tall columns with one: sums of columns, which read the rows once. */
function timesColumn(site: BatchSite, a: BatchOperand, b: BatchOperand): BatchValue | undefined {
  const turned = a.layout === 'stack' ? transposedColumns(a.expr) : undefined;
  if (b.cols !== 1 || turned === undefined || a.rows >= MIN_STRIDED) return undefined;
  const { maker } = site;
  const right = site.repeatCols(site.columns(b), 1, a.rows);
  const sums = maker.intern(colSums, [maker.intern(mul, [turned, right])]);
  return site.transposed({ layout: 'columns', expr: sums, rows: 1, cols: a.rows });
}

/** The columns that a stack is the transpose of. */
function transposedColumns(stack: Expr): Expr | undefined {
  return stack.op === transpose ? stack.inputs[0] : undefined;
}
