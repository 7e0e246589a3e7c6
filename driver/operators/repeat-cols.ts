/**
 * Each run of `width` adjacent columns, `times` times side by side: what the models of a stack have
 * in common beside what each has of its own. attrs: width, times.
 */
import type { Attrs } from '../ir/attrs.js';
import { dtypeAttr } from '../ir/dtype.js';
import type { Expr, Meta } from '../ir/expr.js';
import { defineOp } from '../ir/op-def.js';
import { type Cells, dense } from '../ir/value.js';
import { add } from './cells.js';
import { conv2d } from './conv2d.js';
import { fill } from './fill.js';
import { sample } from './product.js';
import { reshape } from './reshape.js';
import { shapeError, sizeAttr } from './shape-check.js';

/** Repetitions that are added one by one. */
const MAX_PARTS = 8;

export const repeatCols = defineOp({
  name: 'repeatCols',
  arity: 1,
  work: 'move',
  infer: (inputs, attrs) => {
    const width = sizeAttr('repeatCols', attrs, 'width');
    const times = sizeAttr('repeatCols', attrs, 'times');
    const { rows, cols, nnz } = inputs[0]!;
    if (cols % width !== 0) throw shapeError('repeatCols', `columns in runs of ${width}`, inputs);
    return { rows, cols: cols * times, nnz: nnz === undefined ? undefined : nnz * times };
  },
  rowRule: () => ({ kind: 'map', blocked: [true] }),
  gradient: ({ node, upstream, make, part }) => {
    const [x] = node.inputs as [Expr];
    const width = node.attrs.width as number;
    const times = node.attrs.times as number;
    const rows = (x.rows * x.cols) / width;
    // A row of one run each has the shape it needs, and reshaping would end a pass over its rows.
    const shaped = (value: Expr, to: Meta): Expr =>
      value.rows === to.rows ? value : make(reshape, [value], { rows: to.rows, cols: to.cols });
    const runs = shaped(upstream, { rows, cols: width * times });
    if (times > MAX_PARTS) {
      // Of images, by channel: sums over all pixels.
      const ones = make(fill, [], { rows: times, cols: width, value: 1, ...dtypeAttr(x.dtype) });
      const window = { image: [times, 1, width], window: [times, 1] };
      const sums = make(conv2d, [runs, ones], width === 1 ? window : { ...window, groups: width });
      return [shaped(sums, x)];
    }
    let sum = part(runs, null, [0, width]);
    for (let from = width; from < runs.cols; from += width) {
      sum = make(add, [sum, part(runs, null, [from, from + width])]);
    }
    return [shaped(sum, x)];
  },
  reference: ([x], attrs) => {
    const { rows, cols, data } = x!;
    const out = new Float64Array(rows * cols * (attrs.times as number));
    repeatColsInto(out, data, attrs);
    return dense(rows, cols * (attrs.times as number), out);
  },
  cases: [
    { name: 'each column', inputs: [sample(7, 3)], attrs: { width: 1, times: 2 } },
    { name: 'all of it', inputs: [sample(5, 3)], attrs: { width: 3, times: 3 } },
    { name: 'runs of two', inputs: [sample(4, 6)], attrs: { width: 2, times: 2 } },
    { name: 'many times', inputs: [sample(2, 6)], attrs: { width: 3, times: 9 } },
    { name: 'once', inputs: [sample(4, 2)], attrs: { width: 1, times: 1 } },
    { name: '1x1', inputs: [sample(1, 1)], attrs: { width: 1, times: 4 } },
  ],
});

/** Writes the repeated cells, for both the oracle and the local kernel. */
export function repeatColsInto(out: Cells, data: Cells, attrs: Attrs): void {
  const [width, times] = [attrs.width as number, attrs.times as number];
  let to = 0;
  for (let from = 0; from < data.length; from += width) {
    if (width === 1) {
      out.fill(data[from]!, to, to + times);
      to += times;
      continue;
    }
    out.set(data.subarray(from, from + width), to);
    const end = to + width * times;
    // What is there is doubled.
    for (let next = to + width; next < end; next = Math.min(end, 2 * next - to)) {
      out.copyWithin(next, to, to + Math.min(next - to, end - next));
    }
    to = end;
  }
}
