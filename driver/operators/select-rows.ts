/**
 * The rows of X where the column `mask` is not zero, in order: the rows of a fold, of training, of
 * a filter. inputs: X (n x d), mask (n x 1). attrs: rows, how many the mask selects, so that the
 * shape is known before the data are.
 */
import { DataError } from '../errors.js';
import type { Attrs } from '../ir/attrs.js';
import type { Expr } from '../ir/expr.js';
import { defineOp, type OpDef } from '../ir/op-def.js';
import { type DenseMatrix, dense } from '../ir/value.js';
import { sample } from './product.js';
import { seq } from './seq.js';
import { partOf, shapeError, sizeAttr } from './shape-check.js';

const mask = (...cells: number[]) => dense(cells.length, 1, Float64Array.from(cells));

export const selectRows: OpDef = defineOp({
  name: 'selectRows',
  arity: 2,
  work: 'move',
  infer: (inputs, attrs) => {
    const [x, chosen] = inputs;
    const rows = sizeAttr('selectRows', attrs, 'rows');
    if (chosen!.rows !== x!.rows || chosen!.cols !== 1 || rows > x!.rows) {
      throw shapeError(
        'selectRows',
        `X n x d, a mask n x 1 and at most n rows (${rows} asked for)`,
        inputs,
      );
    }
    return partOf(x!, rows, x!.cols);
  },
  dtype: ([x]) => x!.dtype,
  moveRule: () => [true, true],
  batch: ({ one, operands: [x, mask], maker, columns }) => {
    if (mask!.layout !== 'shared') return undefined;
    const expr = maker.intern(one.op, [columns(x!), mask!.expr], one.attrs);
    return { layout: 'columns', expr };
  },
  gradient: ({ node, upstream, make, sumsByRow }) => {
    const [x, chosen] = node.inputs as [Expr, Expr];
    const numbers = make(seq, [], { from: 0, by: 1, rows: x.rows });
    const taken = make(selectRows, [numbers, chosen], node.attrs);
    return [sumsByRow(upstream, taken, x.rows), undefined];
  },
  reference: ([x, chosen], attrs) => {
    const { cols, data } = x!;
    const at = chosenRows(chosen!, attrs);
    const out = new Float64Array(at.length * cols);
    at.forEach((row, i) => {
      out.set(data.subarray(row * cols, (row + 1) * cols), i * cols);
    });
    return dense(at.length, cols, out);
  },
  cases: [
    {
      name: 'some rows',
      inputs: [sample(8, 3), mask(1, 0, 0, 2, -1, 0, 0, 1)],
      attrs: { rows: 4 },
    },
    {
      name: 'a run at the end',
      inputs: [sample(7, 2), mask(0, 0, 0, 0, 0, 1, 1)],
      attrs: { rows: 2 },
    },
    { name: 'all rows', inputs: [sample(5, 2), mask(1, 1, 1, 1, 1)], attrs: { rows: 5 } },
    { name: 'NaN is not zero', inputs: [sample(3, 2), mask(0, NaN, 0)], attrs: { rows: 1 } },
    { name: '1x1', inputs: [sample(1, 1), mask(1)], attrs: { rows: 1 } },
  ],
});

/** The rows where a mask is not zero. @throws DataError where they are not as many as was said */
export function chosenRows({ data }: DenseMatrix, { rows }: Attrs): number[] {
  const at: number[] = [];
  data.forEach((cell, i) => {
    if (cell !== 0) at.push(i);
  });
  if (at.length === rows) return at;
  throw wrongCount(rows as number, at.length);
}

/** The error of a mask that selects another number of rows than was said. */
export function wrongCount(expected: number, got: number): DataError {
  return new DataError(
    `selectRows: expected ${expected} rows where the mask is not zero, got ${got}; give the number of rows it selects`,
    { op: 'selectRows', expected, got },
  );
}
