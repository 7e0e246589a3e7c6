/**
 * Fits on the rows of some groups, from the groups' moments, in memory of one matrix of their
 * own: what `jobs/estimators/linear-design.ts` writes as many operators, for designs so wide that
 * each step's value would be hundreds of megabytes. What the operators of this kind share.
 *
 * inputs: G (k*side x side, the blocks of `groupGram` over X and y, side = d + 2), numbers (1x1
 *         each), optionally M (q x 2): columns of X whose missing values take their mean, and their
 *         indicators, columns of X too
 * attrs: groups (k); train, the groups to fit on, ascending; center (as of `groupGram`);
 *        intercept; standardize
 * output: (d+1) x 2. First column: coefficients of X as encoded, last the intercept. Second: the
 *         means put in, last the duality gap where the fit ends by one.
 *
 * Groups are merged, never subtracted, by Chan, Golub and LeVeque's update (1979), as in
 * `jobs/estimators/moments.ts`. Imputing and standardising are linear maps of columns, applied to
 * the moments in place.
 */
import type { Attrs } from '../ir/attrs.js';
import { defineOp, type OpDef } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { groupGram } from './group-gram.js';
import { sample } from './product.js';
import { shapeError } from './shape-check.js';

/** Operands and attributes of one evaluation. */
export interface FoldCall {
  readonly inputs: readonly Float64Matrix[];
  readonly attrs: Attrs;
}

interface FoldFit {
  readonly name: string;
  readonly work: OpDef['work'];
  /** Values of the numbers between the moments and the pairs, for the cases. */
  readonly numbers: readonly number[];
  readonly attrs?: Attrs;
  /** Of a system of n columns. */
  readonly flops: (n: number) => number;
  /** Solves in place. @returns the gap it ended with, if it ends by one */
  readonly solve: (system: FoldSystem, call: FoldCall) => number | undefined;
}

/** An operator that fits on groups. */
export function defineFoldFit({ name, work, numbers, attrs: own, flops, solve }: FoldFit): OpDef {
  const k = numbers.length;
  const foldCase = (...args: Parameters<typeof sampleCase>) => {
    const { inputs, attrs, ...rest } = sampleCase(...args);
    const cells = numbers.map((value) => dense(1, 1, Float64Array.of(value)));
    return { ...rest, inputs: inputs.toSpliced(1, 0, ...cells), attrs: { ...attrs, ...own } };
  };
  return defineOp({
    name,
    arity: { min: k + 1, max: k + 2 },
    work,
    infer: (inputs, attrs) => {
      const gram = inputs[0]!;
      const fits =
        gram.rows === (attrs.groups as number) * gram.cols &&
        inputs.slice(1, k + 1).every(({ rows, cols }) => rows * cols === 1) &&
        (inputs[k + 1] === undefined || inputs[k + 1]!.cols === 2);
      if (!fits) {
        throw shapeError(
          name,
          `${attrs.groups} Gram blocks of (d+2) x (d+2), ${k} numbers 1x1, and pairs of columns q x 2`,
          inputs,
        );
      }
      return { rows: gram.cols - 1, cols: 2 };
    },
    flops: ([gram], attrs) => flops(gram!.cols) + (attrs.groups as number) * gram!.cols ** 2,
    reference: (inputs, attrs) => {
      const system = foldSystem({ inputs, attrs }, k);
      mirror(system);
      return foldWeights(system, attrs, solve(system, { inputs, attrs }));
    },
    cases: [
      foldCase('one group left out', { train: [0, 2], intercept: true, standardize: false }),
      foldCase('all rows, standardised', { train: [0, 1, 2], intercept: true, standardize: true }),
      foldCase('through the origin', { train: [1, 2], intercept: false, standardize: false }),
      foldCase('means put in', { train: [0, 1], intercept: true, standardize: true }, true),
      foldCase('plain sums', {
        train: [1, 2],
        center: false,
        intercept: false,
        standardize: false,
      }),
    ],
  });
}

/** Copies the lower triangle to the upper one. */
export function mirror({ n, matrix }: FoldSystem): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) matrix[j * n + i] = matrix[i * n + j]!;
  }
}

/** What one fit solves, in place. */
export interface FoldSystem {
  /** Columns of the design: those of X that are no indicators. */
  readonly n: number;
  /** X'X: lower triangle of n x n; the rest of the buffer holds nothing. */
  readonly matrix: Float64Array;
  /** X'y; becomes the solution. */
  readonly right: Float64Array;
  /** Where each design column stands in X. */
  readonly places: Int32Array;
  readonly scales: Float64Array | undefined;
  readonly moments: Moments;
  readonly imputed: readonly ImputedColumn[];
}

interface ImputedColumn {
  readonly column: number;
  readonly indicator: number;
  readonly mean: number;
}

/** Moments of the training rows over d columns; `scatter` is the lower triangle of d x d. */
interface Moments {
  count: number;
  /** Scatter of the target. */
  squares: number;
  readonly scatter: Float64Array;
  readonly withTarget: Float64Array;
  readonly means: Float64Array;
  target: number;
}

/** @param buffer d x d cells to work in; what it holds is lost */
export function foldSystem(
  { inputs, attrs }: FoldCall,
  numbers: number,
  buffer?: Float64Array,
): FoldSystem {
  const gram = inputs[0]!;
  const pairs = inputs[numbers + 1];
  const d = gram.cols - 2;
  const scatter = buffer?.fill(0) ?? new Float64Array(d * d);
  const moments = attrs.center
    ? mergedMoments(gram, attrs, scatter)
    : summedProducts(gram, attrs, scatter);
  const imputed = imputedMeans(moments, pairs);
  for (const one of imputed) putIn(moments, one, d);
  if (attrs.center && !attrs.intercept && !attrs.standardize) aboutOrigin(moments, d);
  const places = placesOf(imputed, d);
  const n = places.length;
  const matrix = moments.scatter;
  for (let a = 0; a < n; a++) {
    const from = places[a]! * d;
    for (let b = 0; b <= a; b++) matrix[a * n + b] = matrix[from + places[b]!]!;
  }
  const right = Float64Array.from(places, (place) => moments.withTarget[place]!);
  const scales = attrs.standardize ? scalesOf(matrix, moments, places) : undefined;
  if (scales !== undefined) {
    for (let a = 0; a < n; a++) {
      for (let b = 0; b <= a; b++) matrix[a * n + b] = matrix[a * n + b]! / scales[b]! / scales[a]!;
      right[a]! /= scales[a]!;
    }
  }
  return { n, matrix, right, places, scales, moments, imputed };
}

/** The output, once `right` holds the solution. @param gap the last cell, see `defineFoldFit` */
export function foldWeights(system: FoldSystem, attrs: Attrs, gap = 0): Float64Matrix {
  const { n, right, places, scales, moments, imputed } = system;
  const d = moments.means.length;
  const out = new Float64Array(2 * (d + 1));
  const keepsOrigin = !attrs.center || !(attrs.intercept || attrs.standardize);
  let offset = attrs.center && attrs.intercept ? moments.target : 0;
  for (let a = 0; a < n; a++) {
    const coefficient = right[a]! / (scales?.[a] ?? 1);
    out[2 * places[a]!] = coefficient;
    if (!keepsOrigin) offset -= moments.means[places[a]!]! * coefficient;
  }
  for (const { column, indicator, mean } of imputed) {
    out[2 * indicator] = mean * out[2 * column]!;
    out[2 * column + 1] = mean;
  }
  out[2 * d] = offset;
  out[2 * d + 1] = gap;
  return dense(d + 1, 2, out);
}

/** The groups to fit on that have rows. */
function trainingGroups(gram: Float64Matrix, attrs: Attrs): number[] {
  const train = attrs.train as readonly number[];
  return train.filter((group) => gram.data[group * gram.cols * gram.cols] !== 0);
}

function noMoments(scatter: Float64Array, d: number): Moments {
  const [withTarget, means] = [new Float64Array(d), new Float64Array(d)];
  return { count: 0, squares: 0, scatter, withTarget, means, target: 0 };
}

/** Means and scatter of the groups to fit on. */
function mergedMoments(gram: Float64Matrix, attrs: Attrs, scatter: Float64Array): Moments {
  const side = gram.cols;
  const d = side - 2;
  const total = noMoments(scatter, d);
  const { withTarget, means } = total;
  const delta = new Float64Array(d);
  for (const group of trainingGroups(gram, attrs)) {
    const block = gram.data.subarray(group * side * side, (group + 1) * side * side);
    const own = block[0]!;
    const count = total.count + own;
    const weight = (total.count * own) / count;
    const ofTarget = block[side - 1]! - total.target;
    for (let j = 0; j < d; j++) delta[j] = block[j + 1]! - means[j]!;
    for (let i = 0; i < d; i++) {
      const row = (i + 1) * side + 1;
      const scaled = weight * delta[i]!;
      const at = i * d;
      for (let j = 0; j <= i; j++) scatter[at + j]! += block[row + j]! + scaled * delta[j]!;
      withTarget[i]! += block[row + d]! + scaled * ofTarget;
    }
    total.squares += block[side * side - 1]! + weight * ofTarget * ofTarget;
    for (let j = 0; j < d; j++) means[j]! += (delta[j]! * own) / count;
    total.target += (ofTarget * own) / count;
    total.count = count;
  }
  return total;
}

/** Plain sums of products of the groups to fit on. */
function summedProducts(gram: Float64Matrix, attrs: Attrs, scatter: Float64Array): Moments {
  const side = gram.cols;
  const d = side - 2;
  const total = noMoments(scatter, d);
  for (const group of trainingGroups(gram, attrs)) {
    const block = gram.data.subarray(group * side * side, (group + 1) * side * side);
    total.count += block[0]!;
    total.squares += block[side * side - 1]!;
    for (let i = 0; i < d; i++) {
      const row = (i + 1) * side + 1;
      for (let j = 0; j <= i; j++) total.scatter[i * d + j]! += block[row + j]!;
      total.withTarget[i]! += block[row + d]!;
    }
  }
  return total;
}

/** A missing cell is 0, so the mean of present cells is the plain mean over the present share. */
function imputedMeans({ means }: Moments, pairs: Float64Matrix | undefined): ImputedColumn[] {
  return Array.from({ length: pairs?.rows ?? 0 }, (_, k) => {
    const [column, indicator] = [pairs!.data[2 * k]!, pairs!.data[2 * k + 1]!];
    return { column, indicator, mean: means[column]! / (1 - means[indicator]!) };
  });
}

/** Adds `mean` times the indicator to the column, in the moments. */
function putIn(
  { scatter, withTarget, means }: Moments,
  { column: c, indicator, mean }: ImputedColumn,
  d: number,
): void {
  const at = (i: number, j: number): number => (i >= j ? i * d + j : j * d + i);
  const own =
    scatter[at(c, c)]! +
    2 * mean * scatter[at(c, indicator)]! +
    mean * mean * scatter[at(indicator, indicator)]!;
  for (let j = 0; j < d; j++) {
    if (j !== c) scatter[at(c, j)]! += mean * scatter[at(indicator, j)]!;
  }
  scatter[at(c, c)] = own;
  withTarget[c]! += mean * withTarget[indicator]!;
  means[c]! += mean * means[indicator]!;
}

/** Sums of products about the origin from scatter about the mean: X'X = C + n m m'. */
function aboutOrigin(moments: Moments, d: number): void {
  const { count, scatter, withTarget, means, target } = moments;
  moments.squares += count * target * target;
  for (let i = 0; i < d; i++) {
    const weighted = count * means[i]!;
    for (let j = 0; j <= i; j++) scatter[i * d + j]! += weighted * means[j]!;
    withTarget[i]! += weighted * target;
  }
}

function placesOf(imputed: readonly ImputedColumn[], d: number): Int32Array {
  const indicators = new Set(imputed.map(({ indicator }) => indicator));
  return Int32Array.from({ length: d }, (_, j) => j).filter((j) => !indicators.has(j));
}

/** As `columnScales` of `jobs/estimators/linear-design.ts`: 1 where constant up to rounding. */
function scalesOf(
  matrix: Float64Array,
  { count, means }: Moments,
  places: Int32Array,
): Float64Array {
  const n = places.length;
  const slack = count * Number.EPSILON;
  return Float64Array.from(places, (place, a) => {
    const variance = matrix[a * (n + 1)]! / count;
    const bound = variance * slack + (means[place]! * slack) ** 2;
    return variance <= bound ? 1 : Math.sqrt(variance);
  });
}

/** Three groups, three columns and, with `imputes`, an indicator of the second's missing values. */
function sampleCase(
  name: string,
  attrs: { train: number[]; intercept: boolean; standardize: boolean; center?: boolean },
  imputes = false,
) {
  const rows = 18;
  const X = sample(rows, imputes ? 4 : 3, 2);
  if (imputes) {
    for (let i = 0; i < rows; i++) {
      X.data[4 * i + 2] = i % 4 === 0 ? 1 : 0;
      if (i % 4 === 0) X.data[4 * i + 1] = 0;
    }
  }
  const g = dense(
    rows,
    1,
    Float64Array.from({ length: rows }, (_, i) => i % 3),
  );
  const moments = { groups: 3, center: attrs.center ?? true };
  const inputs = [g, X, sample(rows, 1, 3)];
  const gram = groupGram.reference(inputs, moments, groupGram.infer(inputs, moments));
  const pairs = imputes ? [dense(1, 2, Float64Array.of(1, 2))] : [];
  return {
    name,
    inputs: [gram, ...pairs],
    attrs: { ...moments, ...attrs },
    tolerance: 1e-9,
  };
}
