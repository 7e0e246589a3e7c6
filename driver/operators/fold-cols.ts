/**
 * One number from each run of `width` columns of a row: what row aggregates give, of many models
 * side by side. attrs: width, fold. output: n x (columns / width). `indexMax` and `indexMin` are the
 * first greatest and least cell, counted from 0 within the run, the first NaN where there is one.
 */
import { defineOp, type OpDef } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { rowIndexMax, rowIndexMin, rowMaxs, rowMins, rowSumSqs, rowSums } from './aggregates.js';
import { sample } from './product.js';
import { choiceAttr, shapeError, sizeAttr } from './shape-check.js';

export const COLUMN_FOLDS = ['sum', 'sumSq', 'min', 'max', 'indexMax', 'indexMin'] as const;
export type ColumnFold = (typeof COLUMN_FOLDS)[number];

/** The aggregate of a row that is a single run. */
export const rowAggregateOf: { readonly [Fold in ColumnFold]: OpDef } = {
  sum: rowSums,
  sumSq: rowSumSqs,
  min: rowMins,
  max: rowMaxs,
  indexMax: rowIndexMax,
  indexMin: rowIndexMin,
};

/** A row a run: the same cells, since they lie row by row. */
export function runsOf<M extends Pick<Float64Matrix, 'rows' | 'cols'>>(x: M, width: number): M {
  return { ...x, rows: (x.rows * x.cols) / width, cols: width };
}

const aggregateOf = (fold: unknown): OpDef => rowAggregateOf[fold as ColumnFold];

export const foldCols = defineOp({
  name: 'foldCols',
  arity: 1,
  infer: (inputs, attrs) => {
    const { rows, cols } = inputs[0]!;
    const width = sizeAttr('foldCols', attrs, 'width');
    choiceAttr('foldCols', attrs, 'fold', COLUMN_FOLDS);
    if (cols % width !== 0) throw shapeError('foldCols', `columns in runs of ${width}`, inputs);
    return { rows, cols: cols / width };
  },
  dtype: (inputs, { fold }) => aggregateOf(fold).dtype(inputs, {}),
  rowRule: () => ({ kind: 'map', blocked: [true] }),
  flops: ([x]) => x!.rows * x!.cols,
  batch: ({ one, operands: [x], maker, columns }) => ({
    layout: 'columns',
    expr: maker.intern(one.op, [columns(x!)], one.attrs),
  }),
  reference: ([x], { width, fold }, out) => {
    const runs = runsOf(x!, width as number);
    const { data } = aggregateOf(fold).reference([runs], {}, { rows: runs.rows, cols: 1 });
    return dense(x!.rows, out.cols, data);
  },
  cases: COLUMN_FOLDS.flatMap((fold) => [
    { name: `${fold} of two runs`, inputs: [sample(7, 6)], attrs: { width: 3, fold } },
    { name: `${fold} of a row`, inputs: [sample(1, 4)], attrs: { width: 2, fold } },
    {
      name: `${fold}, NaN stays in its run`,
      inputs: [dense(2, 4, Float64Array.of(1, NaN, 3, 3, -1, 2, -Infinity, 1))],
      attrs: { width: 2, fold },
    },
  ]),
});
