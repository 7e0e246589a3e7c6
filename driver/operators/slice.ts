/**
 * A contiguous part of a matrix. attrs: rows and cols, each [from, to) zero-based, or null for all;
 * null is the only form for "all", so that equal slices are equal expressions. A slice of columns
 * keeps its rows, so it maps over row blocks; a slice of rows takes its input whole, or moves rows
 * where row blocks are kept.
 */
import type { Attrs } from '../ir/attrs.js';
import { type BatchOperand, isTall } from '../ir/batch-rule.js';
import type { Meta } from '../ir/expr.js';
import { defineOp, wholeRule } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { sample } from './product.js';
import { partOf, shapeError } from './shape-check.js';

export type Range = readonly [from: number, to: number];

/** The attribute's range over `size` rows or columns. */
export function rangeOf(attrs: Attrs, name: 'rows' | 'cols', size: number): Range {
  return (attrs[name] as Range | null | undefined) ?? [0, size];
}

function checked(attrs: Attrs, name: 'rows' | 'cols', inputs: readonly Meta[]): Range {
  const size = inputs[0]![name];
  const [from, to] = rangeOf(attrs, name, size);
  const fits = Number.isSafeInteger(from) && Number.isSafeInteger(to);
  if (!fits || from < 0 || from >= to || to > size) {
    throw shapeError('slice', `${name} [${from}, ${to}) within [0, ${size})`, inputs);
  }
  return [from, to];
}

export const slice = defineOp({
  name: 'slice',
  arity: 1,
  work: 'move',
  isSeenThrough: true,
  infer: (inputs, attrs) => {
    const [firstRow, endRow] = checked(attrs, 'rows', inputs);
    const [firstCol, endCol] = checked(attrs, 'cols', inputs);
    return partOf(inputs[0]!, endRow - firstRow, endCol - firstCol);
  },
  rowRule: (_inputs, attrs) =>
    (attrs.rows ?? null) === null ? { kind: 'map', blocked: [true] } : wholeRule,
  moveRule: (_inputs, attrs) => ((attrs.rows ?? null) === null ? undefined : [true]),
  // Rows are cut of columns, and columns of a stack.
  batch: ({ one: { op, attrs, rows }, operands: [x], maker, columns, stack }) => {
    if ((attrs.cols ?? null) === null) {
      const expr = maker.intern(op, [columns(x!)], { rows: attrs.rows ?? null, cols: null });
      return { layout: 'columns', expr };
    }
    if ((attrs.rows ?? null) === null) {
      if (isTall(x!)) return undefined;
      const expr = maker.intern(op, [stack(x!)], { rows: null, cols: attrs.cols! });
      return { layout: 'stack', expr };
    }
    const rowsCut = maker.intern(op, [columns(x!)], { rows: attrs.rows!, cols: null });
    const part: BatchOperand = { layout: 'columns', expr: rowsCut, rows, cols: x!.cols };
    if (isTall(part)) return undefined;
    const expr = maker.intern(op, [stack(part)], { rows: null, cols: attrs.cols! });
    return { layout: 'stack', expr };
  },
  gradient: ({ node, upstream, placed }) => {
    const rows = (node.attrs.rows as Range | null | undefined) ?? null;
    const cols = (node.attrs.cols as Range | null | undefined) ?? null;
    return [placed(upstream, node.inputs[0]!, rows, cols)];
  },
  reference: ([x], attrs) => {
    const [firstRow, endRow] = rangeOf(attrs, 'rows', x!.rows);
    const [firstCol, endCol] = rangeOf(attrs, 'cols', x!.cols);
    const cols = endCol - firstCol;
    const out = new Float64Array((endRow - firstRow) * cols);
    for (let i = firstRow; i < endRow; i++) {
      const start = i * x!.cols;
      out.set(x!.data.subarray(start + firstCol, start + endCol), (i - firstRow) * cols);
    }
    return dense(endRow - firstRow, cols, out);
  },
  cases: [
    { name: 'rows', inputs: [sample(8, 3)], attrs: { rows: [2, 6], cols: null } },
    { name: 'columns', inputs: [sample(8, 5)], attrs: { rows: null, cols: [1, 4] } },
    { name: 'both', inputs: [sample(8, 5)], attrs: { rows: [0, 3], cols: [4, 5] } },
    { name: 'one cell', inputs: [sample(8, 5)], attrs: { rows: [7, 8], cols: [4, 5] } },
    { name: 'all', inputs: [sample(4, 5)], attrs: { rows: null, cols: null } },
  ],
});
