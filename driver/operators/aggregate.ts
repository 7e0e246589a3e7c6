/**
 * The aggregate family: one operator per function and direction (`sum`, `rowSums`, `colSums`),
 * since that reads best in plans. Full and column aggregates merge over row blocks; row aggregates
 * map. Invariant: a definition is a start value, a step and a merge; the merge is associative, so
 * any partitioning gives the same result up to rounding.
 */
import { noAttrs } from '../ir/attrs.js';
import type { BatchRule, BatchSite, BatchValue } from '../ir/batch-rule.js';
import type { Expr, Meta } from '../ir/expr.js';
import { type GradientRule, type GradientSite, noGradient } from '../ir/gradient-rule.js';
import {
  type ConformanceCase,
  defineOp,
  type Lookup,
  type OpDef,
  type OpSpec,
  type RowRule,
} from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { add, div, eq, maximum, minimum, mul, square } from './cells.js';
import { ifelse } from './ifelse.js';
import { sample } from './product.js';
import { repeatCols } from './repeat-cols.js';
import { choiceAttr, shapeError, sizeAttr } from './shape-check.js';

export interface Fold {
  readonly start: number;
  readonly step: (total: number, cell: number) => number;
  /** Joins two results. */
  readonly merge: OpDef;
  /** Of one cell, where that is not the cell. */
  readonly ofOne?: OpDef;
  readonly gradient: GradientRule;
}

/** NaN anywhere gives NaN; infinities of both signs sum to NaN, as IEEE 754 says. */
export const sumFold: Fold = {
  start: 0,
  step: (t, x) => t + x,
  merge: add,
  gradient: ({ narrowUpstream }) => [narrowUpstream],
};
export const sumSqFold: Fold = {
  start: 0,
  step: (t, x) => t + x * x,
  merge: add,
  ofOne: square,
  gradient: ({ node, narrowUpstream, make }) => [
    make(mul, [narrowUpstream, make(mul, [node.inputs[0]!, 2])]),
  ],
};
/** Least cell; NaN if any cell is NaN. */
export const minFold: Fold = {
  start: Infinity,
  step: (t, x) => Math.min(t, x),
  merge: minimum,
  gradient: ofBest,
};
/** Largest cell; NaN if any cell is NaN. */
export const maxFold: Fold = {
  start: -Infinity,
  step: (t, x) => Math.max(t, x),
  merge: maximum,
  gradient: ofBest,
};

/** Of cells that are alike each has its share, as in JAX. */
function ofBest({ node, narrowUpstream, make, unbroadcast }: GradientSite): readonly [Expr] {
  const [x] = node.inputs as [Expr];
  const isBest = make(eq, [x, node]);
  const share = make(div, [narrowUpstream, unbroadcast(isBest, node, x)]);
  return [make(ifelse, [isBest, share, 0])];
}

const reduceRule: RowRule = Object.freeze({ kind: 'reduce', blocked: [true] });
/** Aggregates of smaller operands are computed sooner than found. @units cells */
const MIN_FOUND_CELLS = 1 << 17;
const byParts = ([x]: readonly Meta[]): readonly Lookup[] =>
  x!.rows * x!.cols < MIN_FOUND_CELLS ? [] : lookups;
const lookups: readonly Lookup[] = [
  { operand: 0, by: 'rows' },
  { operand: 0, by: 'cols' },
];

const mapRule: RowRule = Object.freeze({ kind: 'map', blocked: [true] });

const inputFlops = (inputs: readonly Meta[]): number => inputs[0]!.rows * inputs[0]!.cols;

/** The aggregate of all cells in two steps: of each column or row, then of what that gave. */
export interface AggregateSteps {
  readonly cols: OpDef;
  readonly rows: OpDef;
  readonly ofResults: OpDef;
}

/** Each model's columns (or rows), then each model's results. */
function batchAll(site: BatchSite, { cols, rows, ofResults }: AggregateSteps) {
  const [x] = site.operands;
  const isColumns = x!.layout === 'columns';
  const first = site.maker.intern(isColumns ? cols : rows, [x!.expr]);
  const results = { layout: x!.layout, expr: first, rows: 1, cols: x!.cols };
  const side = isColumns ? results : site.transposed({ ...results, rows: x!.rows, cols: 1 });
  if (side.cols === 1) return { layout: side.layout, expr: side.expr };
  return { layout: 'stack', expr: site.maker.intern(ofResults, [site.stack(side)]) } as const;
}

/** Over all cells, to 1x1. */
export function fullAggregate(name: string, fold: Fold, bySteps: () => AggregateSteps): OpDef {
  return defineOp({
    name,
    arity: 1,
    infer: () => ({ rows: 1, cols: 1 }),
    rowRule: () => reduceRule,
    flops: inputFlops,
    reference: ([x]) => dense(1, 1, Float64Array.of(x!.data.reduce(fold.step, fold.start))),
    merge: fold.merge,
    gradient: fold.gradient,
    colSplits: () => [{ axis: 'cols', cut: [true], merge: fold.merge }],
    batch: (site) => batchAll(site, bySteps()),
    findBy: byParts,
    cases: aggregateCases,
  });
}

/** Over the cells of each row, to rows x 1. */
export function rowAggregate(name: string, fold: Fold, runs: OfRuns): OpDef {
  const ofRow = (row: Float64Array): number => row.reduce(fold.step, fold.start);
  const batch: BatchRule = (site) => {
    const [x] = site.operands;
    if (x!.cols > 1) return batchRows(site, runs);
    const { ofOne } = fold;
    return ofOne === undefined ? x! : { ...x!, expr: site.maker.intern(ofOne, [x!.expr]) };
  };
  return rowByRow(name, ofRow, aggregateCases, {
    merge: fold.merge,
    gradient: fold.gradient,
    batch,
  });
}

/** The operator over runs of columns, and what it calls this aggregate. */
export interface OfRuns {
  readonly op: () => OpDef;
  readonly fold: ColumnFold;
}

/** Each row of each model's own matrix. */
function batchRows(
  { models, one, operands: [x], maker }: BatchSite,
  { op, fold }: OfRuns,
): BatchValue {
  const { layout, expr, cols } = x!;
  if (layout === 'stack' || models === 1) return { layout, expr: maker.intern(one.op, [expr]) };
  return { layout, expr: maker.intern(op(), [expr], { width: cols, fold }) };
}

/** One number from each row, to rows x 1. */
function rowByRow(
  name: string,
  ofRow: (row: Float64Array) => number,
  cases: readonly ConformanceCase[],
  { merge, ...facts }: { merge?: OpDef } & Pick<OpSpec, 'batch' | 'dtype' | 'gradient'>,
): OpDef {
  return defineOp({
    name,
    arity: 1,
    infer: ([x]) => ({ rows: x!.rows, cols: 1 }),
    ...facts,
    rowRule: () => mapRule,
    flops: inputFlops,
    reference: ([x]) => {
      const { rows, cols, data } = x!;
      const out = new Float64Array(rows);
      for (let i = 0; i < rows; i++) out[i] = ofRow(data.subarray(i * cols, (i + 1) * cols));
      return dense(rows, 1, out);
    },
    ...(merge ? { colSplits: () => [{ axis: 'cols', cut: [true], merge }] } : {}),
    findBy: byParts,
    cases,
  });
}

/** Over the cells of each column, to 1 x cols. */
export function colAggregate(name: string, fold: Fold): OpDef {
  return defineOp({
    name,
    arity: 1,
    infer: ([x]) => ({ rows: 1, cols: x!.cols }),
    rowRule: () => reduceRule,
    flops: inputFlops,
    reference: ([x]) => {
      const { rows, cols, data } = x!;
      const out = new Float64Array(cols).fill(fold.start);
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < cols; j++) out[j] = fold.step(out[j]!, data[i * cols + j]!);
      }
      return dense(1, cols, out);
    },
    merge: fold.merge,
    gradient: fold.gradient,
    colSplits: () => [{ axis: 'cols', cut: [true], into: 'cols' }],
    batch: ({ one, operands: [x], maker, columns }) => ({
      layout: 'columns',
      expr: maker.intern(one.op, [columns(x!)]),
    }),
    findBy: byParts,
    cases: aggregateCases,
  });
}

/**
 * Zero-based column of the first best cell of each row, to rows x 1. A row with NaN gives the
 * column of its first NaN, as NumPy's argmax and argmin do.
 */
export function rowIndexAggregate(
  name: string,
  isBetter: (cell: number, best: number) => boolean,
  runs: OfRuns,
): OpDef {
  const ofRow = (row: Float64Array): number => {
    const first = row.findIndex(Number.isNaN);
    if (first >= 0) return first;
    return row.reduce((best, cell, j) => (isBetter(cell, row[best]!) ? j : best), 0);
  };
  const cases = [
    ...aggregateCases,
    {
      name: 'ties take the first column',
      inputs: [dense(2, 4, Float64Array.of(1, 3, 3, 1, 2, 2, 2, 2))],
    },
  ];
  return rowByRow(name, ofRow, cases, {
    dtype: () => 'float64',
    gradient: noGradient,
    batch: (site) => batchRows(site, runs),
  });
}

export const COLUMN_FOLDS = ['sum', 'sumSq', 'min', 'max', 'indexMax', 'indexMin'] as const;
export type ColumnFold = (typeof COLUMN_FOLDS)[number];

/** A row a run: the same cells, since they lie row by row. */
export function runsOf<M extends Meta>(x: M, width: number): M {
  return { ...x, rows: (x.rows * x.cols) / width, cols: width };
}

/**
 * One number from each run of `width` columns of a row: what row aggregates give, of many models
 * side by side. attrs: width, fold. output: rows x (cols / width).
 */
export function runAggregate(
  name: string,
  ofRow: () => { readonly [Fold in ColumnFold]: OpDef },
): OpDef {
  return defineOp({
    name,
    arity: 1,
    infer: (inputs, attrs) => {
      const { rows, cols } = inputs[0]!;
      const width = sizeAttr(name, attrs, 'width');
      choiceAttr(name, attrs, 'fold', COLUMN_FOLDS);
      if (cols % width !== 0) throw shapeError(name, `columns in runs of ${width}`, inputs);
      return { rows, cols: cols / width };
    },
    dtype: (inputs, { fold }) => ofRow()[fold as ColumnFold].dtype(inputs, noAttrs),
    rowRule: () => mapRule,
    flops: inputFlops,
    batch: batchRuns,
    gradient: runGradient,
    reference: ([x], { width, fold }, out) => {
      const runs = runsOf(x!, width as number);
      const aggregate = ofRow()[fold as ColumnFold];
      const { data } = aggregate.reference([runs], noAttrs, { rows: runs.rows, cols: 1 });
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
}

/** As `ofBest` and the folds above, of each run. */
const runGradient: GradientRule = ({ node, upstream, make }) => {
  const { width, fold } = node.attrs as { readonly width: number; readonly fold: ColumnFold };
  const [x] = node.inputs as [Expr];
  if (fold === 'indexMax' || fold === 'indexMin') return [];
  const overRun = (expr: Expr): Expr => make(repeatCols, [expr], { width: 1, times: width });
  const g = overRun(upstream);
  if (fold === 'sum') return [g];
  if (fold === 'sumSq') return [make(mul, [g, make(mul, [x, 2])])];
  const isBest = make(eq, [x, overRun(node)]);
  const count = overRun(make(node.op, [isBest], { width, fold: 'sum' }));
  return [make(ifelse, [isBest, make(div, [g, count]), 0])];
};

/** Runs of columns are runs wherever the matrices of models stand. */
export function batchRuns({ one, operands: [x], maker }: BatchSite): BatchValue {
  return { layout: x!.layout, expr: maker.intern(one.op, [x!.expr], one.attrs) };
}

const aggregateCases: readonly ConformanceCase[] = [
  {
    name: 'tall',
    inputs: [
      dense(
        23,
        4,
        Float64Array.from({ length: 92 }, (_, i) => Math.sin(i * 3) * 5),
      ),
    ],
  },
  {
    name: 'one row',
    inputs: [
      dense(
        1,
        9,
        Float64Array.from({ length: 9 }, (_, i) => Math.cos(i)),
      ),
    ],
  },
  {
    name: 'one column',
    inputs: [
      dense(
        8,
        1,
        Float64Array.from({ length: 8 }, (_, i) => Math.cos(i * 2) - 0.5),
      ),
    ],
  },
  { name: '1x1', inputs: [dense(1, 1, Float64Array.of(-7.5))] },
  {
    name: 'NaN and infinities, a row and a column each',
    inputs: [dense(3, 3, Float64Array.of(1, NaN, 2, Infinity, 4, 5, -3, 6, -Infinity))],
  },
  {
    name: 'infinities of both signs in one row',
    inputs: [dense(2, 2, Float64Array.of(Infinity, -Infinity, 1, 2))],
  },
];
