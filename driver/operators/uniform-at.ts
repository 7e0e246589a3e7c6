/**
 * Random numbers of rows by their number, wherever they stand: row i has the cells that row g_i of
 * `rand` with this seed has, uniform on [0, 1). Seeds are operands, so that the epochs of a loop and
 * the models of a stack are one expression. inputs: g (n x 1 or n x k, whole numbers from 0), seeds (1 x
 * k, likewise). attrs: cols. output: n x (k cols), float64, for each seed its columns; NaN for other
 * numbers.
 */
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { forEachCell, uniform } from './philox.js';
import { shapeError, sizeAttr } from './shape-check.js';

const isCount = (number: number): boolean => Number.isSafeInteger(number) && number >= 0;

export const uniformAt = defineOp({
  name: 'uniformAt',
  arity: 2,
  infer: (inputs, attrs) => {
    const [numbers, seeds] = inputs;
    if (seeds!.rows !== 1 || (numbers!.cols !== 1 && numbers!.cols !== seeds!.cols)) {
      throw shapeError(
        'uniformAt',
        'a row of seeds, and a column of row numbers for all or for each',
        inputs,
      );
    }
    return { rows: numbers!.rows, cols: seeds!.cols * sizeAttr('uniformAt', attrs, 'cols') };
  },
  dtype: () => 'float64',
  rowRule: () => ({ kind: 'map', blocked: [true, false] }),
  batch: ({ one, operands: [numbers, seeds], maker, columns }) => {
    const isOne = numbers!.layout === 'shared' && numbers!.cols === 1;
    if (!isOne && numbers!.cols !== seeds!.cols) return undefined;
    const own = isOne ? numbers!.expr : columns(numbers!);
    const expr = maker.intern(one.op, [own, columns(seeds!)], one.attrs);
    return { layout: 'columns', expr };
  },
  flops: (_inputs, _attrs, out) => 50 * out.rows * out.cols,
  reference: ([numbers, seeds], attrs, out) => {
    const cols = attrs.cols as number;
    const data = new Float64Array(numbers!.rows * out.cols);
    for (let i = 0; i < numbers!.rows; i++) {
      for (const [k, seed] of seeds!.data.entries()) {
        const number = numbers!.data[i * numbers!.cols + (numbers!.cols === 1 ? 0 : k)]!;
        const at = i * out.cols + k * cols;
        if (!isCount(number) || !isCount(seed)) data.fill(NaN, at, at + cols);
        else {
          forEachCell(seed, 0, number, cols, (j, high, low) => {
            data[at + j] = uniform(high, low);
          });
        }
      }
    }
    return dense(numbers!.rows, out.cols, data);
  },
  // Tolerance 0: every backend must give the same bits.
  cases: [
    {
      name: 'rows out of order, one twice, some of none',
      inputs: [
        dense(7, 1, Float64Array.of(3, 0, 3, 12345, -1, 0.5, NaN)),
        dense(1, 1, Float64Array.of(42)),
      ],
      attrs: { cols: 5 },
      tolerance: 0,
    },
    {
      name: 'two seeds, one of none',
      inputs: [dense(2, 1, Float64Array.of(0, 1)), dense(1, 3, Float64Array.of(7, -1, 8))],
      attrs: { cols: 2 },
      tolerance: 0,
    },
    {
      name: 'numbers of each',
      inputs: [dense(2, 2, Float64Array.of(0, 1, 2, 3)), dense(1, 2, Float64Array.of(9, 9))],
      attrs: { cols: 3 },
      tolerance: 0,
    },
    {
      name: '1x1',
      inputs: [dense(1, 1, Float64Array.of(0)), dense(1, 1, Float64Array.of(0))],
      attrs: { cols: 1 },
      tolerance: 0,
    },
  ],
});
