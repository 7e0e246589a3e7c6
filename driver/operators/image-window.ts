/**
 * Images as rows, and windows that move over them. A row is one image, cell ((y * width + x) *
 * channels + c): channels last (NHWC), so that the cells of a pixel lie together. A convolution is
 * then a product of pixels and filters over all images of a block at once, and what is done by
 * channel goes along runs of cells.
 *
 * attrs: image [height, width, channels] of a row before the window; window [height, width]; stride
 *   and dilation [down, across]; padding [top, bottom, left, right], pixels beyond the border.
 */
import { PlanError } from '../errors.js';
import type { Attrs, AttrValue } from '../ir/attrs.js';
import { type BatchRule, isTall } from '../ir/batch-rule.js';
import { forgetOldest } from '../support/forget-oldest.js';

/** Of a row. */
export interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export interface ImageWindow extends ImageShape {
  readonly windowHeight: number;
  readonly windowWidth: number;
  readonly strideDown: number;
  readonly strideAcross: number;
  readonly dilationDown: number;
  readonly dilationAcross: number;
  /** Pixels beyond the border above and to the left. */
  readonly top: number;
  readonly left: number;
  /** Places of the window. */
  readonly outHeight: number;
  readonly outWidth: number;
}

const once: AttrValue = [1, 1];
const none: AttrValue = [0, 0, 0, 0];

const known = new WeakMap<Attrs, ImageWindow>();

/**
 * One object for one object of attributes, by which tables are found.
 * @throws PlanError for sizes that are not whole numbers or a window larger than the image
 */
export function windowOf(op: string, attrs: Attrs): ImageWindow {
  let window = known.get(attrs);
  if (window === undefined) {
    window = readWindow(op, attrs);
    known.set(attrs, window);
  }
  return window;
}

function readWindow(op: string, attrs: Attrs): ImageWindow {
  const list = (name: string, length: number, min: number, absent?: AttrValue): number[] =>
    wholeList(op, name, attrs[name] ?? absent, length, min);
  const [height, width, channels] = list('image', 3, 1) as [number, number, number];
  const [windowHeight, windowWidth] = list('window', 2, 1) as [number, number];
  const [strideDown, strideAcross] = list('stride', 2, 1, once) as [number, number];
  const [dilationDown, dilationAcross] = list('dilation', 2, 1, once) as [number, number];
  const padding = list('padding', 4, 0, none) as [number, number, number, number];
  const [top, bottom, left, right] = padding;
  const spanDown = (windowHeight - 1) * dilationDown + 1;
  const spanAcross = (windowWidth - 1) * dilationAcross + 1;
  const outHeight = Math.floor((height + top + bottom - spanDown) / strideDown) + 1;
  const outWidth = Math.floor((width + left + right - spanAcross) / strideAcross) + 1;
  if (outHeight < 1 || outWidth < 1) {
    throw new PlanError(
      `${op}: expected a window that fits ${height}x${width} pixels padded by ${padding.join(', ')}, got one over ${spanDown}x${spanAcross}; pad the image or take a smaller window`,
      { op, image: [height, width, channels] },
    );
  }
  return {
    ...{ height, width, channels, windowHeight, windowWidth, strideDown, strideAcross },
    ...{ dilationDown, dilationAcross, top, left, outHeight, outWidth },
  };
}

/** A list of that many whole numbers. @throws PlanError */
export function wholeList(
  op: string,
  name: string,
  value: AttrValue | undefined,
  length: number,
  min: number,
): number[] {
  const fits =
    Array.isArray(value) &&
    value.length === length &&
    value.every((one) => Number.isSafeInteger(one) && (one as number) >= min);
  if (fits) return value as number[];
  throw new PlanError(
    `${op}: expected ${name} as ${length} whole numbers of at least ${min}, got ${JSON.stringify(value)}`,
    { op },
  );
}

/** Pixels of an image, and places of the window. */
export const pixelsOf = (shape: ImageShape): number => shape.height * shape.width;
export const placesOf = (window: ImageWindow): number => window.outHeight * window.outWidth;
/** Pixels that a window covers. */
export const tapsOf = (window: ImageWindow): number => window.windowHeight * window.windowWidth;

/** Whether the window is one pixel, the next one at each place. */
export function isPointwise(window: ImageWindow): boolean {
  const { strideDown, strideAcross, top, left } = window;
  const isEach = strideDown === 1 && strideAcross === 1 && top === 0 && left === 0;
  return isEach && tapsOf(window) === 1 && placesOf(window) === pixelsOf(window);
}

const MAX_TABLES = 64;
const tables = new Map<string, Int32Array>();
const tableOf = new WeakMap<ImageWindow, Int32Array>();

/** The pixel under each tap of the window at each place, place by place; -1 beyond the border. */
export function pixelsUnder(window: ImageWindow): Int32Array {
  const own = tableOf.get(window);
  if (own !== undefined) return own;
  const key = geometryKey(window);
  let table = tables.get(key);
  if (table === undefined) {
    table = makeTable(window);
    tables.set(key, table);
    forgetOldest(tables, MAX_TABLES);
  }
  tableOf.set(window, table);
  return table;
}

/** Equal for windows that move alike, whatever the channels. */
export function geometryKey(window: ImageWindow): string {
  const { height, width, windowHeight, windowWidth, strideDown, strideAcross } = window;
  const { dilationDown, dilationAcross, top, left, outHeight, outWidth } = window;
  return [
    ...[height, width, windowHeight, windowWidth, strideDown, strideAcross],
    ...[dilationDown, dilationAcross, top, left, outHeight, outWidth],
  ].join();
}

function makeTable(window: ImageWindow): Int32Array {
  const { height, width, strideDown, strideAcross, dilationDown, dilationAcross } = window;
  const table = new Int32Array(placesOf(window) * tapsOf(window));
  let at = 0;
  for (let place = 0; place < placesOf(window); place++) {
    const firstY = Math.floor(place / window.outWidth) * strideDown - window.top;
    const firstX = (place % window.outWidth) * strideAcross - window.left;
    for (let tap = 0; tap < tapsOf(window); tap++) {
      const y = firstY + Math.floor(tap / window.windowWidth) * dilationDown;
      const x = firstX + (tap % window.windowWidth) * dilationAcross;
      const isInside = y >= 0 && y < height && x >= 0 && x < width;
      table[at++] = isInside ? y * width + x : -1;
    }
  }
  return table;
}

/**
 * Rows of all models one under the other, for operators that map rows; undefined where an operand
 * taken whole is each model's own.
 */
export const batchByRows: BatchRule = ({ one, operands, maker, stack }) => {
  const rule = one.op.rowRule(one.inputs, one.attrs);
  if (rule.kind !== 'map') return undefined;
  const fits = operands.every((operand, i) =>
    rule.blocked[i] ? !isTall(operand) : operand.layout === 'shared',
  );
  if (!fits) return undefined;
  const inputs = operands.map((operand, i) => (rule.blocked[i] ? stack(operand) : operand.expr));
  return { layout: 'stack', expr: maker.intern(one.op, inputs, one.attrs) };
};
