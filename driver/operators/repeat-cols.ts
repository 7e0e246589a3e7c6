/**
 * Each run of `width` adjacent columns, `times` times side by side: what the models of a stack have
 * in common beside what each has of its own. attrs: width, times.
 */
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { sample } from './product.js';
import { shapeError, sizeAttr } from './shape-check.js';

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
  reference: ([x], attrs) => {
    const { rows, cols, data } = x!;
    const [width, times] = [attrs.width as number, attrs.times as number];
    const out = new Float64Array(rows * cols * times);
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
    return dense(rows, cols * times, out);
  },
  cases: [
    { name: 'each column', inputs: [sample(7, 3)], attrs: { width: 1, times: 2 } },
    { name: 'all of it', inputs: [sample(5, 3)], attrs: { width: 3, times: 3 } },
    { name: 'runs of two', inputs: [sample(4, 6)], attrs: { width: 2, times: 2 } },
    { name: 'once', inputs: [sample(4, 2)], attrs: { width: 1, times: 1 } },
    { name: '1x1', inputs: [sample(1, 1)], attrs: { width: 1, times: 4 } },
  ],
});
