/**
 * Each row read as an array of several axes and written with its axes in another order: channels
 * first to channels last, models side by side to models pixel by pixel. attrs: shape, the sizes of
 * the axes; order, the axis that stands at each place after (as NumPy's `transpose`).
 */
import { PlanError } from '../errors.js';
import type { Attrs } from '../ir/attrs.js';
import { defineOp, type OpDef } from '../ir/op-def.js';
import { type Cells, dense } from '../ir/value.js';
import { wholeList } from './image-window.js';
import { sample } from './product.js';
import { shapeError } from './shape-check.js';

const NAME = 'permuteAxes';

export const permuteAxes: OpDef = defineOp({
  name: NAME,
  arity: 1,
  work: 'move',
  infer: (inputs, attrs) => {
    const { shape, order } = axesOf(attrs);
    if (inputs[0]!.cols !== shape.reduce((size, one) => size * one, 1)) {
      throw shapeError(NAME, `rows of ${shape.join(' x ')} cells`, inputs);
    }
    if (new Set(order).size !== shape.length || Math.max(...order) >= shape.length) {
      throw new PlanError(`${NAME}: expected order to name each axis once, got ${order}`, {
        op: NAME,
      });
    }
    return { ...inputs[0]! };
  },
  rowRule: () => ({ kind: 'map', blocked: [true] }),
  batch: ({ one, operands: [x], models, maker, columns }) => {
    const { shape, order } = axesOf(one.attrs);
    if (x!.layout === 'stack') {
      return { layout: 'stack', expr: maker.intern(permuteAxes, [x!.expr], one.attrs) };
    }
    const attrs = { shape: [models, ...shape], order: [0, ...order.map((axis) => axis + 1)] };
    return { layout: 'columns', expr: maker.intern(permuteAxes, [columns(x!)], attrs) };
  },
  gradient: ({ node, upstream, make }) => {
    const { shape, order } = axesOf(node.attrs);
    const back = {
      shape: order.map((axis) => shape[axis]!),
      order: shape.map((_, i) => order.indexOf(i)),
    };
    return [make(permuteAxes, [upstream], back)];
  },
  reference: ([x], attrs) => {
    const out = new Float64Array(x!.data.length);
    permuteInto(out, x!.data, attrs);
    return dense(x!.rows, x!.cols, out);
  },
  cases: [
    { name: 'two axes', inputs: [sample(4, 6)], attrs: { shape: [2, 3], order: [1, 0] } },
    {
      name: 'channels last',
      inputs: [sample(3, 24)],
      attrs: { shape: [2, 3, 4], order: [1, 2, 0] },
    },
    { name: 'as it was', inputs: [sample(3, 4)], attrs: { shape: [2, 2], order: [0, 1] } },
    {
      name: 'four axes',
      inputs: [sample(2, 24)],
      attrs: { shape: [2, 3, 2, 2], order: [3, 0, 2, 1] },
    },
    { name: '1x1', inputs: [sample(1, 1)], attrs: { shape: [1], order: [0] } },
  ],
});

/** @throws PlanError for lists of other lengths or numbers */
export function axesOf(attrs: Attrs): { readonly shape: number[]; readonly order: number[] } {
  const length = Array.isArray(attrs.shape) ? attrs.shape.length : 1;
  const shape = wholeList(NAME, 'shape', attrs.shape, length, 1);
  return { shape, order: wholeList(NAME, 'order', attrs.order, length, 0) };
}

/** Writes the permuted rows, for both the oracle and the local kernel. */
export function permuteInto(out: Cells, data: Cells, attrs: Attrs): void {
  const { shape, order } = axesOf(attrs);
  if (order.join() === '1,0') {
    transposeRows(out, data, shape[0]!, shape[1]!);
    return;
  }
  // Cells from one to the next along each axis.
  const steps = shape.map((_, axis) => shape.slice(axis + 1).reduce((size, one) => size * one, 1));
  const sizes = order.map((axis) => shape[axis]!);
  const strides = order.map((axis) => steps[axis]!);
  const last = sizes.length - 1;
  const [run, step] = [sizes[last]!, strides[last]!];
  const places = new Array<number>(last).fill(0);
  const width = sizes.reduce((size, one) => size * one, 1);
  for (let to = 0, row = 0; to < out.length; row += width) {
    for (let from = row, end = to + width; to < end; ) {
      for (let i = 0, at = from; i < run; i++, at += step) out[to++] = data[at]!;
      // The next place of the axes before the last.
      for (let axis = last - 1; axis >= 0; axis--) {
        from += strides[axis]!;
        places[axis]!++;
        if (places[axis]! < sizes[axis]!) break;
        from -= strides[axis]! * sizes[axis]!;
        places[axis] = 0;
      }
    }
  }
}

/** Each row a matrix, turned. */
function transposeRows(out: Cells, data: Cells, height: number, width: number): void {
  for (let row = 0, to = 0; row < out.length; row += height * width) {
    for (let x = 0; x < width; x++) {
      for (let y = 0, from = row + x; y < height; y++, from += width) out[to++] = data[from]!;
    }
  }
}
