/**
 * Rows as sums of nonnegative parts: for row i in group f and each model of that group, the w >= 0
 * least in D(x, w H) + l1 sum w + l2 w w' / 2, D being half the squared distance (`frobenius`) or the
 * Kullback-Leibler divergence sum x log(x / y) - x + y (`kullback-leibler`), H the model's parts. By
 * coordinate descent, each row on its own: of squares each coordinate exactly, of divergences by
 * Newton's step. A row of the divergence with a cell below 0 gives NaN.
 *
 * inputs: g (n x 1), X (n x d), t(H) (d x (groups*models*width), group by group, model by model)
 * attrs: groups, width (parts a model), loss, l1, l2, gives: 'parts' (w, n x models*width) or 'error'
 *   (sum (x - w H)^2, n x models). Rows outside 0..groups-1 are zeros.
 * Source: Hsieh and Dhillon, "Fast coordinate descent methods with variable selection for
 * non-negative matrix factorization" (KDD 2011).
 */
import type { Attrs } from '../ir/attrs.js';
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { sample } from './product.js';
import { choiceAttr, finiteAttr, shapeError, sizeAttr } from './shape-check.js';

/** Most sweeps over the coordinates of a row. */
const MAX_SWEEPS = 10_000;
/** A row is done when no coordinate moves by more than this share of the greatest. */
const LEAST_MOVE = 1e-11;

export const nonnegative = defineOp({
  name: 'nonnegative',
  arity: 3,
  infer: (inputs, attrs) => {
    const [g, x, h] = inputs;
    const groups = sizeAttr('nonnegative', attrs, 'groups');
    const width = sizeAttr('nonnegative', attrs, 'width');
    choiceAttr('nonnegative', attrs, 'loss', ['frobenius', 'kullback-leibler']);
    choiceAttr('nonnegative', attrs, 'gives', ['parts', 'error']);
    for (const name of ['l1', 'l2']) finiteAttr('nonnegative', attrs, name);
    const fits =
      g!.cols === 1 &&
      x!.rows === g!.rows &&
      h!.rows === x!.cols &&
      h!.cols % (groups * width) === 0;
    if (!fits) {
      const wanted = `g n x 1, X n x d and t(H) d x (${groups} groups * models * ${width})`;
      throw shapeError('nonnegative', wanted, inputs);
    }
    const cols = h!.cols / groups;
    return { rows: x!.rows, cols: attrs.gives === 'parts' ? cols : cols / width };
  },
  dtype: ([, , h]) => h!.dtype,
  rowRule: () => ({ kind: 'map', blocked: [true, true, false] }),
  // Some tens of sweeps of products with each part.
  flops: ([g, x, h], attrs) => (40 * g!.rows * x!.cols * h!.cols) / (attrs.groups as number),
  reference: ([g, x, h], attrs, { cols }) => {
    const { rows } = x!;
    const data = new Float64Array(rows * cols);
    nonnegativeInto(data, [g, x, h] as [Float64Matrix, Float64Matrix, Float64Matrix], attrs);
    return dense(rows, cols, data);
  },
  cases: [
    ...(['frobenius', 'kullback-leibler'] as const).flatMap((loss) => [
      {
        name: `${loss}: two groups, two models, one row left out`,
        inputs: [dense(6, 1, Float64Array.of(0, 1, 0, 1, -1, 1)), positive(6, 4), positive(4, 8)],
        attrs: { groups: 2, width: 2, loss, l1: 0.1, l2: 0.2, gives: 'parts' },
      },
      {
        name: `${loss}: errors`,
        inputs: [dense(5, 1, new Float64Array(5)), positive(5, 3), positive(3, 4)],
        attrs: { groups: 1, width: 2, loss, l1: 0, l2: 0, gives: 'error' },
      },
    ]),
    {
      name: 'rows and parts of zeros',
      inputs: [
        dense(2, 1, new Float64Array(2)),
        dense(2, 2, Float64Array.of(0, 0, 1, 2)),
        dense(2, 2, Float64Array.of(1, 0, 3, 0)),
      ],
      attrs: { groups: 1, width: 2, loss: 'kullback-leibler', l1: 0, l2: 0, gives: 'parts' },
    },
    {
      name: '1x1',
      inputs: [dense(1, 1, Float64Array.of(0)), positive(1, 1), positive(1, 1)],
      attrs: { groups: 1, width: 1, loss: 'frobenius', l1: 0, l2: 0, gives: 'parts' },
    },
  ].map((one) => ({ ...one, tolerance: 1e-6 })),
});

function positive(rows: number, cols: number): Float64Matrix {
  return dense(rows, cols, sample(rows, cols).data.map(Math.abs));
}

export interface Parts {
  /** [width, d] */
  readonly h: Float64Array;
  /** H H' + l2 I: [width, width]. */
  readonly gram: Float64Array;
  /** Sums of the rows of H: [width]. */
  readonly totals: Float64Array;
  readonly width: number;
  readonly d: number;
  readonly loss: 'frobenius' | 'kullback-leibler';
  readonly l1: number;
  readonly l2: number;
}

export type PartsAttrs = Pick<Parts, 'loss' | 'l1' | 'l2'>;

/** @param at the cell of H of a part and a column */
export function makeParts(
  width: number,
  d: number,
  { loss, l1, l2 }: PartsAttrs,
  at: (part: number, column: number) => number,
): Parts {
  const h = new Float64Array(width * d);
  for (let t = 0; t < width; t++) for (let j = 0; j < d; j++) h[t * d + j] = at(t, j);
  const gram = new Float64Array(width * width);
  for (let t = 0; t < width; t++) {
    for (let r = 0; r < width; r++) {
      let sum = t === r ? l2 : 0;
      for (let j = 0; j < d; j++) sum += h[t * d + j]! * h[r * d + j]!;
      gram[t * width + r] = sum;
    }
  }
  const totals = Float64Array.from({ length: width }, (_, t) =>
    h.subarray(t * d, (t + 1) * d).reduce((sum, cell) => sum + cell, 0),
  );
  return { h, gram, totals, width, d, loss, l1, l2 };
}

export function nonnegativeInto(
  out: Float64Array,
  [g, x, h]: readonly [Float64Matrix, Float64Matrix, Float64Matrix],
  attrs: Attrs,
): void {
  const { groups, width, gives } = attrs as { groups: number; width: number; gives: string };
  const d = x.cols;
  const models = h.cols / groups / width;
  const all = Array.from({ length: groups * models }, (_, m) =>
    makeParts(
      width,
      d,
      attrs as unknown as PartsAttrs,
      (t, j) => h.data[j * h.cols + m * width + t]!,
    ),
  );
  const solve = rowSolver(width, d);
  const cols = gives === 'parts' ? models * width : models;
  for (let i = 0; i < x.rows; i++) {
    const group = g.data[i]!;
    if (!(group >= 0 && group < groups)) continue;
    const row = x.data.subarray(i * d, (i + 1) * d);
    for (let m = 0; m < models; m++) {
      const parts = all[group * models + m]!;
      const w = solve(row, parts);
      if (gives === 'parts') out.set(w, i * cols + m * width);
      else out[i * cols + m] = squaredError(row, w, parts);
    }
  }
}

/** Solves rows one after the other; the answer is overwritten by the next. */
export function rowSolver(
  width: number,
  d: number,
): (x: ArrayLike<number>, parts: Parts) => Float64Array {
  const w = new Float64Array(width);
  const right = new Float64Array(width);
  const room = {
    x: new Float64Array(d),
    sums: new Float64Array(d),
    h: new Float64Array(width * d),
  };
  return (x, parts) => {
    if (parts.loss === 'frobenius') leastSquares(w, right, x, parts);
    else leastDivergence(w, room, x, parts);
    return w;
  };
}

function leastSquares(
  w: Float64Array,
  right: Float64Array,
  x: ArrayLike<number>,
  { h, gram, width, d, l1 }: Parts,
): void {
  for (let t = 0; t < width; t++) {
    let sum = -l1;
    for (let j = 0; j < d; j++) sum += h[t * d + j]! * x[j]!;
    right[t] = sum;
  }
  w.fill(0);
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let moved = 0;
    let most = 0;
    for (let t = 0; t < width; t++) {
      const own = gram[t * width + t]!;
      if (own === 0) continue;
      let left = right[t]!;
      for (let r = 0; r < width; r++) left -= gram[t * width + r]! * w[r]!;
      // NaN stays NaN.
      const to = w[t]! + left / own;
      const next = to < 0 ? 0 : to;
      moved = Math.max(moved, Math.abs(next - w[t]!));
      most = Math.max(most, next);
      w[t] = next;
    }
    if (!(moved > LEAST_MOVE * most)) return;
  }
}

/** Where the cells of a row that are not zero stand together, with those columns of H. */
interface Support {
  readonly x: Float64Array;
  readonly sums: Float64Array;
  readonly h: Float64Array;
}

/** A column where x is zero adds its cells of H to the slopes, whatever w is. */
function leastDivergence(
  w: Float64Array,
  at: Support,
  x: ArrayLike<number>,
  { h, totals, width, d, l1, l2 }: Parts,
): void {
  let total = 0;
  let least = 0;
  let size = 0;
  let count = 0;
  for (let j = 0; j < d; j++) {
    total += x[j]!;
    least = Math.min(least, x[j]!);
    if (x[j] !== 0) at.x[count++] = x[j]!;
  }
  for (const cell of totals) size += cell;
  if (!(least >= 0)) {
    w.fill(Number.NaN);
    return;
  }
  for (let j = 0, k = 0; j < d; j++) {
    if (x[j] === 0) continue;
    for (let t = 0; t < width; t++) at.h[t * count + k] = h[t * d + j]!;
    k++;
  }
  const { sums } = at;
  const start = size > 0 ? total / size : 0;
  w.fill(start);
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let moved = 0;
    let most = 0;
    sums.fill(0, 0, count);
    for (let t = 0; t < width; t++) addScaled(sums, w[t]!, at.h, t * count, count);
    for (let t = 0; t < width; t++) {
      const next = coordinate(t, w[t]!, at, count, { l1: l1 + totals[t]!, l2 });
      const move = next - w[t]!;
      addScaled(sums, move, at.h, t * count, count);
      moved = Math.max(moved, Math.abs(move));
      most = Math.max(most, next);
      w[t] = next;
    }
    if (!(moved > LEAST_MOVE * most)) return;
  }
}

function addScaled(
  to: Float64Array,
  factor: number,
  from: Float64Array,
  first: number,
  count: number,
): void {
  for (let k = 0; k < count; k++) to[k]! += factor * from[first + k]!;
}

/** A Newton step of one coordinate, towards 0 at most nine tenths of the way unless 0 is the least. */
function coordinate(
  t: number,
  w: number,
  { x, sums, h }: Support,
  count: number,
  { l1, l2 }: Pick<Parts, 'l1' | 'l2'>,
): number {
  let slope = l1 + l2 * w;
  let bend = l2;
  let atZero = l1;
  for (let k = 0; k < count; k++) {
    const own = h[t * count + k]!;
    if (own === 0) continue;
    const ratio = x[k]! / sums[k]!;
    slope -= own * ratio;
    bend += (own * own * ratio) / sums[k]!;
    const rest = sums[k]! - w * own;
    atZero -= rest > 1e-14 * sums[k]! ? (own * x[k]!) / rest : Number.POSITIVE_INFINITY;
  }
  if (atZero >= 0) return 0;
  const to = w - slope / bend;
  if (to > 0.1 * w) return to;
  return w > 0 ? 0.1 * w : 0;
}

function squaredError(x: ArrayLike<number>, w: ArrayLike<number>, { h, width, d }: Parts): number {
  let sum = 0;
  for (let j = 0; j < d; j++) {
    let rest = x[j]!;
    for (let t = 0; t < width; t++) rest -= w[t]! * h[t * d + j]!;
    sum += rest * rest;
  }
  return sum;
}
