/**
 * Squared losses of linear models on the rows of a group from the group's Gram matrix, with a bound
 * on their rounding error: sum (y - X w - b)^2 is a quadratic form of the moments, so no pass over
 * the rows is needed. What `groupLoss` computes row by row, as long as the bound is small beside
 * the loss; the caller compares, and reads the rows if it must.
 *
 * inputs: G (k*side x side, the blocks of `groupGram` over X and y; k >= groups, side = d + 2),
 *         W ((d+1) x (groups*models), group-major columns, last row the intercepts)
 * attrs: groups, center (as of `groupGram`)
 * output: 2 x (groups*models), the summed squared loss of each model and the bound on its error.
 *
 * With v = [w; -1], r = m_y - b - m_x'w, u = [b; v]:  loss = v'Cv + n r^2 (centred), or u'Mu (not).
 * The bound takes each moment to be off by at most 4 sqrt(h + p) u of sqrt(D_ii D_jj), D being the
 * squares that were summed (about a shift of up to 8 spreads, see `groupGram` on the CPU) and h the
 * most additions that a product went through: all n, or where sums over `SUM_ROWS` rows are added
 * up, these rows, the sums, and the parts that were merged. So it hardly grows with the data.
 * Higham and Mary, "A new approach to probabilistic rounding error analysis" (SIAM J. Sci. Comput.
 * 2019), theorem 3.1, which holds but for a chance below 1e-3 a sum; Blanchard, Higham and Mary, "A
 * class of fast and accurate summation algorithms" (2020) for sums by blocks.
 */
import type { Attrs } from '../ir/attrs.js';
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { groupGram, SUM_ROWS, SUM_SIDE } from './group-gram.js';
import { multiply, sample } from './product.js';
import { shapeError } from './shape-check.js';

const UNIT_ROUNDOFF = Number.EPSILON / 2;
/** Standard deviations of the rounding error that the bound covers. */
const CONFIDENCE = 4;
/** Squares of a shifted sum over centred squares, at most: (8 spreads)^2. */
const SHIFT_SQUARES = 64;

export const gramLoss = defineOp({
  name: 'gramLoss',
  arity: 2,
  infer: (inputs, attrs) => {
    const [gram, w] = inputs;
    const groups = attrs.groups as number;
    const fits =
      gram!.rows % gram!.cols === 0 &&
      gram!.rows / gram!.cols >= groups &&
      w!.rows === gram!.cols - 1 &&
      w!.cols % groups === 0;
    if (!fits) {
      throw shapeError(
        'gramLoss',
        `at least ${groups} Gram blocks of (d+2) x (d+2) and W (d+1) x (${groups} groups * models)`,
        inputs,
      );
    }
    return { rows: 2, cols: w!.cols };
  },
  flops: ([gram, w]) => 2 * gram!.cols * gram!.cols * w!.cols,
  reference: ([gram, w], attrs) => {
    const side = gram!.cols;
    const p = formSize(side, attrs);
    return lossesFromGram(gram!, w!, attrs, (group, v) => {
      const corner = new Float64Array(p * p);
      for (let i = 0; i < p; i++) {
        const row = (group * side + side - p + i) * side + side - p;
        corner.set(gram!.data.subarray(row, row + p), i * p);
      }
      return multiply(dense(p, p, corner), dense(p, v.length / p, v)).data;
    });
  },
  cases: [
    {
      name: 'two groups, three models, centred',
      inputs: [sampleGram(2, true), sample(3, 6, 4)],
      attrs: { groups: 2, center: true },
    },
    {
      name: 'plain sums, one group more than is judged',
      inputs: [sampleGram(3, false), sample(3, 2, 5)],
      attrs: { groups: 2, center: false },
    },
  ],
});

/** Rows of a quadratic form: [X y] when centred, [1 X y] otherwise. */
export function formSize(side: number, attrs: Attrs): number {
  return attrs.center ? side - 1 : side;
}

/** The vectors v (centred) or u of the models of a group, as columns: [formSize, models]. */
function formVectors(w: Float64Matrix, group: number, models: number, attrs: Attrs): Float64Array {
  const d = w.rows - 1;
  const first = attrs.center ? 0 : 1;
  const v = new Float64Array((first + d + 1) * models);
  const column = (row: number): number => row * w.cols + group * models;
  if (first === 1) v.set(w.data.subarray(column(d), column(d) + models));
  for (let j = 0; j < d; j++) {
    v.set(w.data.subarray(column(j), column(j) + models), (first + j) * models);
  }
  v.fill(-1, (first + d) * models);
  return v;
}

/**
 * The output of `gramLoss`, given how a group's block is multiplied with its models' vectors.
 * @param products block of the group (its last formSize rows and columns) times v, [formSize,
 *   models] row-major
 */
export function lossesFromGram(
  gram: Float64Matrix,
  w: Float64Matrix,
  attrs: Attrs,
  products: (group: number, v: Float64Array) => Float64Array,
): Float64Matrix {
  const groups = attrs.groups as number;
  const models = w.cols / groups;
  const data = new Float64Array(2 * w.cols);
  for (let group = 0; group < groups; group++) {
    const v = formVectors(w, group, models, attrs);
    const form = {
      block: gram.data.subarray(group * gram.cols * gram.cols),
      side: gram.cols,
      v,
      products: products(group, v),
      intercepts: w.data.subarray((w.rows - 1) * w.cols + group * models),
      models,
    };
    for (let m = 0; m < models; m++) {
      const { loss, bound } = attrs.center ? centeredLoss(form, m) : plainLoss(form, m);
      data[group * models + m] = Math.max(0, loss);
      data[w.cols + group * models + m] = bound;
    }
  }
  return dense(2, w.cols, data);
}

/** One group's Gram block, the vectors v of its models and block * v; row-major. */
interface Form {
  readonly block: Float64Array;
  readonly side: number;
  readonly v: Float64Array;
  readonly products: Float64Array;
  readonly intercepts: Float64Array;
  readonly models: number;
}

interface BoundedLoss {
  readonly loss: number;
  readonly bound: number;
}

function plainLoss({ block, side, v, products, models }: Form, m: number): BoundedLoss {
  let loss = 0;
  let spread = 0;
  for (let j = 0; j < side; j++) {
    const cell = v[j * models + m]!;
    loss += cell * products[j * models + m]!;
    spread += Math.abs(cell) * Math.sqrt(block[j * side + j]!);
  }
  return { loss, bound: momentError(block[0]!, side) * spread * spread };
}

function centeredLoss(form: Form, m: number): BoundedLoss {
  const { block, side, v, products, intercepts, models } = form;
  const n = block[0]!;
  let scatter = 0;
  let spread = 0;
  let mean = -intercepts[m]!;
  let meanSize = Math.abs(mean);
  for (let j = 1; j < side; j++) {
    const at = (j - 1) * models + m;
    const cell = v[at]!;
    const own = block[j]!;
    const squares = block[j * side + j]!;
    scatter += cell * products[at]!;
    spread +=
      Math.abs(cell) * Math.sqrt(squares + Math.min(n * own * own, SHIFT_SQUARES * squares));
    mean -= cell * own;
    meanSize += Math.abs(cell * own);
  }
  const unit = momentError(n, side);
  const meanError = UNIT_ROUNDOFF * Math.sqrt(side) * meanSize + (unit * spread) / Math.sqrt(n);
  return {
    loss: scatter + n * mean * mean,
    bound: unit * spread * spread + n * meanError * (2 * Math.abs(mean) + meanError),
  };
}

/** Moments of parts (files, tasks, additions to what is stored) that are merged one by one. */
const MERGED_PARTS = 4096;

/** Relative error of a moment that sums n products, beside those of a form over `side` of them. */
function momentError(n: number, side: number): number {
  const inBlocks = SUM_ROWS + n / SUM_ROWS + MERGED_PARTS;
  const additions = side > SUM_SIDE ? n : Math.min(n, inBlocks);
  return CONFIDENCE * Math.sqrt(additions + side) * UNIT_ROUNDOFF;
}

function sampleGram(groups: number, center: boolean): Float64Matrix {
  const rows = 5 * groups;
  const g = dense(
    rows,
    1,
    Float64Array.from({ length: rows }, (_, i) => i % groups),
  );
  const inputs = [g, sample(rows, 2, 2), sample(rows, 1, 3)];
  const attrs = { groups, center };
  return groupGram.reference(inputs, attrs, groupGram.infer(inputs, attrs));
}
