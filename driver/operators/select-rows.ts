/**
 * The rows of X where the column `mask` is not zero, in order: the rows of a fold, of training, of
 * a filter. inputs: X (n x d), mask (n x 1). attrs: rows, how many the mask selects, so that the
 * shape is known before the data are.
 */
import { DataError } from '../errors.js';
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { sample } from './product.js';
import { shapeError, sizeAttr } from './shape-check.js';

const mask = (...cells: number[]) => dense(cells.length, 1, Float64Array.from(cells));

export const selectRows = defineOp({
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
    return { rows, cols: x!.cols };
  },
  dtype: ([x]) => x!.dtype,
  moveRule: () => [true, true],
  batch: ({ one, operands: [x, mask], maker, columns }) => {
    if (mask!.layout !== 'shared') return undefined;
    const expr = maker.intern(one.op, [columns(x!), mask!.expr], one.attrs);
    return { layout: 'columns', expr };
  },
  reference: ([x, chosen], attrs) => {
    const { cols, data } = x!;
    const at: number[] = [];
    chosen!.data.forEach((cell, i) => {
      if (cell !== 0) at.push(i);
    });
    if (at.length !== attrs.rows) {
      throw new DataError(
        `selectRows: expected ${attrs.rows} rows where the mask is not zero, got ${at.length}; give the number of rows it selects`,
        { op: 'selectRows', expected: attrs.rows as number, got: at.length },
      );
    }
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
