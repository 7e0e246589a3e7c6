/**
 * Which of its columns each of many linear models prefers, row by row: models stand side by side in
 * W, `widths` columns each, and a row's column under a model is that of its greatest X W + b. Nearest
 * centres are such models, |x - c|^2 being least where 2 x c - c^2 is greatest.
 *
 * inputs: X (n x d), W ((d+1) x M, last row the intercepts). attrs: widths, which sum to M.
 * output: n x models, zero-based places within the model's columns, the first of equals; float32.
 */
import { PlanError } from '../errors.js';
import type { Attrs } from '../ir/attrs.js';
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { sample } from './product.js';
import { shapeError } from './shape-check.js';

export const bestColumns = defineOp({
  name: 'bestColumns',
  arity: 2,
  work: 'product',
  infer: (inputs, attrs) => {
    const [x, w] = inputs;
    const widths = widthsAttr('bestColumns', attrs);
    if (w!.rows !== x!.cols + 1 || w!.cols !== total(widths)) {
      throw shapeError('bestColumns', `X n x d and W (d+1) x ${total(widths)}`, inputs);
    }
    return { rows: x!.rows, cols: widths.length };
  },
  // Places are small whole numbers, and there is one for each row and model.
  dtype: () => 'float32',
  rowRule: () => ({ kind: 'map', blocked: [true, false] }),
  flops: ([x, w]) => 2 * x!.rows * x!.cols * w!.cols,
  reference: (inputs, attrs, out) => {
    const [x, w] = inputs as [Float64Matrix, Float64Matrix];
    const widths = attrs.widths as readonly number[];
    const data = new Float64Array(x.rows * widths.length);
    for (let i = 0; i < x.rows; i++) {
      let column = 0;
      widths.forEach((width, m) => {
        let best = Number.NEGATIVE_INFINITY;
        for (let k = 0; k < width; k++, column++) {
          let decision = w.data[x.cols * w.cols + column]!;
          for (let j = 0; j < x.cols; j++) {
            decision += x.data[i * x.cols + j]! * w.data[j * w.cols + column]!;
          }
          if (!(decision > best)) continue;
          best = decision;
          data[i * widths.length + m] = k;
        }
      });
    }
    return dense(x.rows, out.cols, data);
  },
  cases: [
    {
      name: 'models of three, one and two columns',
      inputs: [sample(9, 4), sample(5, 6, 3)],
      attrs: { widths: [3, 1, 2] },
    },
    {
      name: 'equal columns: the first',
      inputs: [sample(3, 1), dense(2, 3, Float64Array.of(1, 1, 1, 2, 2, 2))],
      attrs: { widths: [3] },
    },
    { name: '1x1', inputs: [sample(1, 1), sample(2, 2)], attrs: { widths: [2] } },
  ],
});

/** Columns by model. @throws PlanError unless whole numbers of at least 1 */
export function widthsAttr(op: string, attrs: Attrs): readonly number[] {
  const { widths } = attrs;
  const isWhole = (width: unknown): boolean => Number.isSafeInteger(width) && Number(width) >= 1;
  if (Array.isArray(widths) && widths.length > 0 && widths.every(isWhole)) {
    return widths as readonly number[];
  }
  throw new PlanError(
    `${op}: expected widths as whole numbers of at least 1, got ${JSON.stringify(widths)}`,
    { op },
  );
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0);
}
