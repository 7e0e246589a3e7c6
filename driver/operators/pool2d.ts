/**
 * The greatest cell of each window, channel by channel, and the way back. Averages are depthwise
 * convolutions. attrs: those of `image-window.ts`, without dilation; pixels beyond the border count
 * as none. NaN in a window makes its greatest NaN.
 */

import { PlanError } from '../errors.js';
import type { Attrs } from '../ir/attrs.js';
import type { Expr, Meta } from '../ir/expr.js';
import { type ConformanceCase, defineOp, type OpDef } from '../ir/op-def.js';
import { type Cells, dense, type Float64Matrix } from '../ir/value.js';
import {
  batchByRows,
  type ImageWindow,
  pixelsOf,
  pixelsUnder,
  placesOf,
  tapsOf,
  windowOf,
} from './image-window.js';
import { sample } from './product.js';
import { shapeError } from './shape-check.js';

/** @throws PlanError for windows that may lie beyond the border as a whole, or are dilated */
export function poolOf(op: string, attrs: Attrs): ImageWindow {
  const window = windowOf(op, attrs);
  const { height, width, top, left, windowHeight, windowWidth } = window;
  const lastTop = (window.outHeight - 1) * window.strideDown - top;
  const lastLeft = (window.outWidth - 1) * window.strideAcross - left;
  const reaches = top < windowHeight && left < windowWidth && lastTop < height && lastLeft < width;
  if (reaches && window.dilationDown === 1 && window.dilationAcross === 1) return window;
  throw new PlanError(
    `${op}: expected windows without gaps that reach the image, got ${JSON.stringify(attrs)}; pad by less than the window`,
    { op },
  );
}

function check(op: string, inputs: readonly Meta[], attrs: Attrs, ofOutput: boolean): ImageWindow {
  const window = poolOf(op, attrs);
  const [x, y] = inputs as [Meta, Meta?];
  const columns = window.channels * (ofOutput ? placesOf(window) : pixelsOf(window));
  const fits =
    x.cols === window.channels * pixelsOf(window) &&
    (y === undefined || (y.rows === x.rows && y.cols === columns));
  if (fits) return window;
  const { height, width, channels } = window;
  throw shapeError(op, `equally many rows of ${height}x${width}x${channels} cells`, inputs);
}

/**
 * Calls with each place of the output and the cell of the image that is greatest there, the first of
 * equal ones.
 */
export function eachGreatest(
  x: Cells,
  rows: number,
  window: ImageWindow,
  visit: (output: number, image: number) => void,
): void {
  const { channels } = window;
  const pixels = pixelsUnder(window);
  const [places, taps] = [placesOf(window), tapsOf(window)];
  for (let row = 0; row < rows; row++) {
    const first = row * pixelsOf(window) * channels;
    for (let place = 0; place < places; place++) {
      for (let c = 0; c < channels; c++) {
        let best = -1;
        for (let tap = place * taps; tap < (place + 1) * taps; tap++) {
          const pixel = pixels[tap]!;
          if (pixel < 0) continue;
          const at = first + pixel * channels + c;
          if (best < 0 || isGreater(x[at]!, x[best]!)) best = at;
        }
        visit((row * places + place) * channels + c, best);
      }
    }
  }
}

/** NaN is greater than any number. */
function isGreater(cell: number, best: number): boolean {
  return cell > best || (Number.isNaN(cell) && !Number.isNaN(best));
}

/**
 * inputs: X (n x height*width*channels), and in place of X's own cells those of V, of its shape, that
 * stand where X's are greatest. output: n x outHeight*outWidth*channels.
 */
export const maxPool2d: OpDef = defineOp({
  name: 'maxPool2d',
  arity: { min: 1, max: 2 },
  infer: (inputs, attrs) => {
    const window = check('maxPool2d', inputs, attrs, false);
    return { rows: inputs[0]!.rows, cols: placesOf(window) * window.channels };
  },
  rowRule: (inputs) => ({ kind: 'map', blocked: inputs.map(() => true) }),
  batch: batchByRows,
  gradient: ({ node, upstream, make }) => {
    const [x, v] = node.inputs as [Expr, Expr?];
    const back = make(maxPool2dGradient, [x, upstream], node.attrs);
    return v === undefined ? [back] : [undefined, back];
  },
  flops: (_inputs, attrs, out) => out.rows * out.cols * tapsOf(windowOf('maxPool2d', attrs)),
  reference: (inputs, attrs) => {
    const [x, v = x] = inputs as [Float64Matrix, Float64Matrix?];
    const window = poolOf('maxPool2d', attrs);
    const cols = placesOf(window) * window.channels;
    const out = new Float64Array(x.rows * cols);
    eachGreatest(x.data, x.rows, window, (output, image) => {
      out[output] = v.data[image]!;
    });
    return dense(x.rows, cols, out);
  },
  cases: poolCases(([x]) => [x], true),
});

/**
 * inputs: X, the gradient of its greatest cells (n x outHeight*outWidth*channels). output: that of
 * X, in its shape; of equal cells the first has it all.
 */
export const maxPool2dGradient: OpDef = defineOp({
  name: 'maxPool2dGradient',
  arity: 2,
  infer: (inputs, attrs) => {
    check('maxPool2dGradient', inputs, attrs, true);
    return { rows: inputs[0]!.rows, cols: inputs[0]!.cols };
  },
  rowRule: () => ({ kind: 'map', blocked: [true, true] }),
  batch: batchByRows,
  gradient: ({ node, upstream, make }) => [
    undefined,
    make(maxPool2d, [node.inputs[0]!, upstream], node.attrs),
  ],
  flops: ([, y], attrs) => y!.rows * y!.cols * tapsOf(windowOf('maxPool2dGradient', attrs)),
  reference: (inputs, attrs) => {
    const [x, y] = inputs as [Float64Matrix, Float64Matrix];
    const out = new Float64Array(x.data.length);
    eachGreatest(x.data, x.rows, poolOf('maxPool2dGradient', attrs), (output, image) => {
      out[image]! += y.data[output]!;
    });
    return dense(x.rows, x.cols, out);
  },
  cases: poolCases(([x, y]) => [x, y], false),
});

type Two = readonly [Float64Matrix, Float64Matrix];

function poolCases(
  operands: (both: Two) => readonly Float64Matrix[],
  isForward: boolean,
): readonly ConformanceCase[] {
  const geometries: readonly (readonly [string, number, Attrs])[] = [
    ['plain', 2, { image: [4, 4, 2], window: [2, 2], stride: [2, 2] }],
    ['windows overlap', 2, { image: [3, 3, 17], window: [2, 2] }],
    ['padded', 2, { image: [3, 4, 3], window: [3, 3], padding: [1, 1, 1, 1] }],
    ['uneven', 2, { image: [4, 5, 1], window: [3, 2], stride: [2, 1], padding: [0, 1, 1, 0] }],
    ['1x1', 1, { image: [1, 1, 1], window: [1, 1] }],
  ];
  const cases = geometries.map(([name, rows, attrs]) => {
    const window = windowOf('maxPool2d', attrs);
    const x = sample(rows, pixelsOf(window) * window.channels);
    const y = sample(rows, placesOf(window) * window.channels, 3);
    return { name, attrs, inputs: operands([x, y]) };
  });
  const attrs = { image: [2, 3, 1], window: [2, 2] };
  const odd = dense(
    3,
    6,
    Float64Array.of(1, 1, 1, 1, 1, 1, NaN, 1, 2, 3, NaN, 0, -1, 0, -1, 0, -1, 0),
  );
  const edges = { name: 'ties, NaN, below 0', attrs, inputs: operands([odd, sample(3, 2)]) };
  const other = { name: 'cells of another', attrs, inputs: [odd, sample(3, 6)] };
  return [...cases, edges, ...(isForward ? [other] : [])];
}
