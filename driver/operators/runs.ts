/**
 * Binding and cutting of channels: each row is so many runs of columns, one a pixel, and the columns
 * of a run are its channels. `cbind` and `slice` are the case of one run.
 */
import { dtypeAttr } from '../ir/dtype.js';
import type { Expr } from '../ir/expr.js';
import { partsInOrder } from '../ir/gradient-rule.js';
import { defineOp, type OpDef } from '../ir/op-def.js';
import { type Cells, copyRun, type DenseMatrix, dense } from '../ir/value.js';
import { fill } from './fill.js';
import { sample } from './product.js';
import { finiteAttr, partOf, shapeError, sizeAttr, wholeAttr } from './shape-check.js';

type Three = [number, number, number];

/** Run i of each operand beside run i of the others. attrs: runs, how many a row has. */
export const bindRuns: OpDef = defineOp({
  name: 'bindRuns',
  arity: { min: 2, max: Number.POSITIVE_INFINITY },
  work: 'move',
  infer: (inputs, attrs) => {
    const runs = sizeAttr('bindRuns', attrs, 'runs');
    const { rows } = inputs[0]!;
    if (inputs.some((one) => one.rows !== rows || one.cols % runs !== 0)) {
      throw shapeError('bindRuns', `equal rows and columns in ${runs} runs`, inputs);
    }
    return { rows, cols: inputs.reduce((sum, one) => sum + one.cols, 0) };
  },
  rowRule: (inputs) => ({ kind: 'map', blocked: inputs.map(() => true) }),
  batch: ({ one, models, operands, maker, columns }) => {
    const attrs = { runs: models * (one.attrs.runs as number) };
    return { layout: 'columns', expr: maker.intern(bindRuns, operands.map(columns), attrs) };
  },
  gradient: (site) => {
    const runs = site.node.attrs.runs as number;
    const width = site.node.cols / runs;
    return partsInOrder(
      site,
      ({ cols }) => cols / runs,
      (from, to) => site.make(sliceRuns, [site.upstream], { width, from, to }),
    );
  },
  reference: (inputs, attrs, { cols }) => {
    const out = new Float64Array(inputs[0]!.rows * cols);
    bindRunsInto(out, inputs, attrs.runs as number);
    return dense(inputs[0]!.rows, cols, out);
  },
  cases: [
    { name: 'two of three pixels', inputs: [sample(4, 6), sample(4, 3, 2)], attrs: { runs: 3 } },
    {
      name: 'three operands',
      inputs: [sample(3, 4), sample(3, 8, 2), sample(3, 2, 3)],
      attrs: { runs: 2 },
    },
    { name: '1x1', inputs: [sample(1, 1), sample(1, 1, 2)], attrs: { runs: 1 } },
  ],
});

/** Columns [from, to) of each run. attrs: width of a run, from, to. */
export const sliceRuns: OpDef = defineOp({
  name: 'sliceRuns',
  arity: 1,
  work: 'move',
  infer: (inputs, attrs) => {
    const width = sizeAttr('sliceRuns', attrs, 'width');
    const from = wholeAttr('sliceRuns', attrs, 'from', 0);
    const to = finiteAttr('sliceRuns', attrs, 'to');
    const { rows, cols } = inputs[0]!;
    if (cols % width !== 0 || !(from < to && to <= width)) {
      throw shapeError(
        'sliceRuns',
        `columns in runs of ${width}, and ${from}..${to} there`,
        inputs,
      );
    }
    return partOf(inputs[0]!, rows, (cols / width) * (to - from));
  },
  rowRule: () => ({ kind: 'map', blocked: [true] }),
  batch: ({ one, operands: [x], maker, columns }) => ({
    layout: 'columns',
    expr: maker.intern(sliceRuns, [columns(x!)], one.attrs),
  }),
  gradient: ({ node, upstream, make }) => {
    const [x] = node.inputs as [Expr];
    const [width, from, to] = [node.attrs.width, node.attrs.from, node.attrs.to] as Three;
    const runs = x.cols / width;
    const zeros = (columns: number): Expr[] => {
      const shape = { rows: x.rows, cols: runs * columns, value: 0, ...dtypeAttr(x.dtype) };
      return columns === 0 ? [] : [make(fill, [], shape)];
    };
    const parts = [...zeros(from), upstream, ...zeros(width - to)];
    return [parts.length === 1 ? upstream : make(bindRuns, parts, { runs })];
  },
  reference: ([x], attrs, { cols }) => {
    const out = new Float64Array(x!.rows * cols);
    const [width, from, to] = [attrs.width, attrs.from, attrs.to] as Three;
    sliceRunsInto(out, x!.data, width, from, to);
    return dense(x!.rows, cols, out);
  },
  cases: [
    { name: 'the middle', inputs: [sample(4, 12)], attrs: { width: 4, from: 1, to: 3 } },
    { name: 'the first', inputs: [sample(3, 6)], attrs: { width: 2, from: 0, to: 1 } },
    { name: 'all', inputs: [sample(3, 6)], attrs: { width: 3, from: 0, to: 3 } },
    { name: '1x1', inputs: [sample(1, 1)], attrs: { width: 1, from: 0, to: 1 } },
  ],
});

/** Writes the bound rows, for both the oracle and the local kernel. */
export function bindRunsInto(out: Cells, inputs: readonly DenseMatrix[], runs: number): void {
  const total = out.length / inputs[0]!.rows / runs;
  let first = 0;
  for (const { data, cols } of inputs) {
    const width = cols / runs;
    for (let from = 0, to = first; from < data.length; from += width, to += total) {
      copyRun(out, to, data, from, width);
    }
    first += width;
  }
}

/** Writes the columns of the runs, for both the oracle and the local kernel. */
export function sliceRunsInto(
  out: Cells,
  data: Cells,
  width: number,
  from: number,
  to: number,
): void {
  const count = to - from;
  for (let run = 0, at = 0; run < data.length; run += width, at += count) {
    copyRun(out, at, data, run + from, count);
  }
}
