/**
 * Summed squared losses of linear models on the rows of their group, from the group's moments instead of its rows. With z
 * the row [x y] and v = (-w, 1), the residual is v'z - b, so
 *   center = true:   sum r^2 = v' C v + n (v'm - b)^2
 *   center = false:  sum r^2 = u' G u,  u = (-b, -w, 1), G the block [n s'; s Z'Z]
 * So scores need no pass over the data once the moments are there.
 *
 * inputs: G (`groupGram` of [X y], at least `groups` blocks of (d+2) x (d+2)), W ((d+1) x (groups*models), group-major
 *   columns, last row the intercepts; as `groupLoss` takes it)
 * output: 2 x (groups*models): the loss, and a bound on what rounding may have moved it by. Where a model fits far better
 *   than its target varies, terms cancel: the caller compares the rows and sums over the data if it must. The bound
 *   takes |C_ij| <= sqrt(C_ii C_jj), so the terms' magnitudes sum to at most (sum |v_i| sqrt(C_ii))^2.
 */
import { ShapeError } from '../errors.js';
import type { Attrs } from '../ir/attrs.js';
import { shapeText } from '../ir/expr.js';
import { type DenseMatrix, dense } from '../runtime/value.js';
import { groupGram } from './group-gram.js';
import { defineOp } from './op-def.js';
import { sample } from './product.js';

/** Rounding of blockwise moments and of the form itself, in units of the sum of the terms' magnitudes. */
const ROUNDING = 16 * Number.EPSILON;

export const gramLoss = defineOp({
  name: 'gramLoss',
  arity: 2,
  infer: (inputs, attrs) => {
    const [gram, w] = inputs;
    const groups = attrs.groups as number;
    const side = gram!.cols;
    const fits =
      gram!.rows % side === 0 &&
      gram!.rows >= groups * side &&
      w!.rows === side - 1 &&
      w!.cols % groups === 0;
    if (!fits) {
      throw new ShapeError(
        `gramLoss: expected moments of ${groups} groups or more of d + 2 columns and W (d+1) x (${groups} groups * models), got ${inputs.map(shapeText).join(', ')}`,
        { op: 'gramLoss', shapes: inputs.map(shapeText) },
      );
    }
    return { rows: 2, cols: w!.cols };
  },
  flops: ([gram, w]) => 2 * gram!.cols * gram!.cols * w!.cols,
  reference: ([gram, w], attrs) => {
    const side = gram!.cols;
    const p = formSize(side, attrs);
    return lossesFromGram(gram!, w!, attrs, (group, v) => {
      const models = v.length / p;
      const products = new Float64Array(v.length);
      for (let i = 0; i < p; i++) {
        const row = (group * side + side - p + i) * side + side - p;
        for (let j = 0; j < p; j++) {
          const cell = gram!.data[row + j]!;
          for (let k = 0; k < models; k++) products[i * models + k]! += cell * v[j * models + k]!;
        }
      }
      return products;
    });
  },
  cases: [
    {
      name: 'centred, two of three groups, two models',
      inputs: [momentsOf(3, true), sample(3, 4, 2)],
      attrs: { groups: 2, center: true },
    },
    {
      name: 'plain sums, one model',
      inputs: [momentsOf(2, false), sample(3, 2, 4)],
      attrs: { groups: 2, center: false },
    },
  ],
});

/** Side of the quadratic form: without the moments' first row and column when they are centred. */
export function formSize(side: number, attrs: Attrs): number {
  return attrs.center ? side - 1 : side;
}

/**
 * The operator's value, given the products of each group's form with its models.
 * @param products for a group and V [form size, models], the form times V, row-major
 */
export function lossesFromGram(
  gram: DenseMatrix,
  w: DenseMatrix,
  attrs: Attrs,
  products: (group: number, v: Float64Array) => Float64Array,
): DenseMatrix {
  const groups = attrs.groups as number;
  const center = attrs.center as boolean;
  const side = gram.cols;
  const p = formSize(side, attrs);
  const d = w.rows - 1;
  const models = w.cols / groups;
  const out = new Float64Array(2 * w.cols);
  for (let group = 0; group < groups; group++) {
    const base = group * side * side;
    const v = modelsOf(w, group * models, models, center);
    const formed = products(group, v);
    for (let k = 0; k < models; k++) {
      const intercept = w.data[d * w.cols + group * models + k]!;
      let sum = 0;
      let root = 0;
      for (let i = 0; i < p; i++) {
        const cell = v[i * models + k]!;
        const at = side - p + i;
        sum += cell * formed[i * models + k]!;
        root += Math.abs(cell) * Math.sqrt(gram.data[base + at * side + at]!);
      }
      let size = root * root;
      if (center) {
        const shift = meanResidual(gram, base, v, models, k, intercept);
        const count = gram.data[base]!;
        sum += count * shift.value * shift.value;
        size += count * (2 * Math.abs(shift.value) * shift.size + ROUNDING * shift.size ** 2);
      }
      out[group * models + k] = Math.max(0, sum);
      out[w.cols + group * models + k] = ROUNDING * size;
    }
  }
  return dense(2, w.cols, out);
}

/** Models of a group as columns v = (-w, 1), or (-b, -w, 1) about the origin: [form size, models]. */
function modelsOf(w: DenseMatrix, first: number, models: number, center: boolean): Float64Array {
  const d = w.rows - 1;
  const offset = center ? 0 : 1;
  const v = new Float64Array((d + 1 + offset) * models);
  for (let k = 0; k < models; k++) {
    if (!center) v[k] = -w.data[d * w.cols + first + k]!;
    for (let j = 0; j < d; j++) v[(j + offset) * models + k] = -w.data[j * w.cols + first + k]!;
    v[(d + offset) * models + k] = 1;
  }
  return v;
}

/** v'm - b, and the sum of its terms' magnitudes. */
function meanResidual(
  gram: DenseMatrix,
  base: number,
  v: Float64Array,
  models: number,
  k: number,
  intercept: number,
): { readonly value: number; readonly size: number } {
  let value = -intercept;
  let size = Math.abs(intercept);
  for (let j = 1; j < gram.cols; j++) {
    const term = gram.data[base + j]! * v[(j - 1) * models + k]!;
    value += term;
    size += Math.abs(term);
  }
  return { value, size };
}

/** Moments of sample rows in `groups` groups, [X y] of four columns; for the conformance cases. */
function momentsOf(groups: number, center: boolean): DenseMatrix {
  const g = dense(
    30,
    1,
    Float64Array.from({ length: 30 }, (_, i) => i % groups),
  );
  const inputs = [g, sample(30, 2, 5), sample(30, 1, 6)];
  const attrs = { groups, center };
  return groupGram.reference(inputs, attrs, groupGram.infer(inputs, attrs));
}
