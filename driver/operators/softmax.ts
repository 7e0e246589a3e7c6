/**
 * exp(z) / sum exp(z) over each run of `width` columns of a row: the probabilities of classes, of
 * one model (width = columns) or of several side by side. The greatest cell of a run is taken from
 * each before, so that nothing overflows; NaN or +Infinity in a run makes the run NaN.
 */

import { defineOp } from '../ir/op-def.js';
import { type Cells, dense } from '../ir/value.js';
import { batchRuns } from './aggregate.js';
import { foldCols } from './aggregates.js';
import { mul, sub } from './cells.js';
import { sample } from './product.js';
import { repeatCols } from './repeat-cols.js';
import { shapeError, sizeAttr } from './shape-check.js';

export const softmax = defineOp({
  name: 'softmax',
  arity: 1,
  infer: (inputs, attrs) => {
    const { rows, cols } = inputs[0]!;
    const width = sizeAttr('softmax', attrs, 'width');
    if (cols % width !== 0) throw shapeError('softmax', `columns in runs of ${width}`, inputs);
    return { rows, cols };
  },
  rowRule: () => ({ kind: 'map', blocked: [true] }),
  batch: batchRuns,
  gradient: ({ node, upstream, make }) => {
    const width = node.attrs.width as number;
    const sums = make(foldCols, [make(mul, [upstream, node])], { width, fold: 'sum' });
    const ofRuns =
      node.cols === width ? sums : make(repeatCols, [sums], { width: 1, times: width });
    return [make(mul, [node, make(sub, [upstream, ofRuns])])];
  },
  flops: (_inputs, _attrs, out) => 25 * out.rows * out.cols,
  reference: ([z], attrs) => {
    const out = new Float64Array(z!.data.length);
    softmaxInto(out, z!.data, attrs.width as number);
    return dense(z!.rows, z!.cols, out);
  },
  cases: [
    { name: 'one run', inputs: [sample(7, 4)], attrs: { width: 4 } },
    { name: 'two runs', inputs: [sample(5, 6)], attrs: { width: 3 } },
    { name: 'runs of one', inputs: [sample(3, 2)], attrs: { width: 1 } },
    { name: 'many runs', inputs: [sample(131, 7)], attrs: { width: 7 } },
    { name: '1x1', inputs: [sample(1, 1)], attrs: { width: 1 } },
    {
      name: 'far from 0, NaN and infinities',
      inputs: [
        dense(5, 2, Float64Array.of(1e4, 1e4 + 1, -1e4, 1e4, NaN, 1, Infinity, 1, -Infinity, 1)),
      ],
      attrs: { width: 2 },
    },
  ],
});

/** Of each run of `width` cells. */
export function softmaxInto(out: Cells, z: Cells, width: number): void {
  for (let from = 0; from < z.length; from += width) {
    const end = from + width;
    let greatest = z[from]!;
    for (let at = from + 1; at < end; at++) if (z[at]! > greatest) greatest = z[at]!;
    let sum = 0;
    for (let at = from; at < end; at++) out[at] = Math.exp(z[at]! - greatest);
    for (let at = from; at < end; at++) sum += out[at]!;
    const factor = 1 / sum;
    for (let at = from; at < end; at++) out[at]! *= factor;
  }
}
