/**
 * Elastic nets of many penalties on the same sums of products: the problem of
 * `coordinate-descent.ts`, a column for each penalty. Which column stands where changes nothing but
 * rounding within the tolerance: a kernel may begin one at the solution of another.
 *
 * inputs: X'X (d x d), X'y (d x 1), y'y (1x1), n (1x1), P (2 x m): alpha and ratio of each column
 * attrs: maxSweeps; tolerance, the duality gap to end at, relative to y'y
 * output: (d+1) x m: w, and last the gap it ended with, relative to y'y
 */
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { descentEnd, penaltiesOn, textbookDescent } from './coordinate-descent.js';
import { multiply, sample } from './product.js';
import { shapeError } from './shape-check.js';

export const descentPath = defineOp({
  name: 'descentPath',
  arity: 5,
  infer: (inputs) => {
    const [a, b, square, rows, penalties] = inputs;
    const d = a!.rows;
    const isNumber = (one: typeof a) => one!.rows === 1 && one!.cols === 1;
    const fits =
      a!.cols === d &&
      b!.rows === d &&
      b!.cols === 1 &&
      isNumber(square) &&
      isNumber(rows) &&
      penalties!.rows === 2;
    if (!fits) {
      const wanted = "X'X d x d, X'y d x 1, two numbers and penalties 2 x m";
      throw shapeError('descentPath', wanted, inputs);
    }
    return { rows: d + 1, cols: penalties!.cols };
  },
  // Some five sweeps each; nobody knows before.
  flops: ([a, , , , penalties]) => 10 * a!.rows * a!.rows * penalties!.cols,
  reference: (inputs, attrs, { rows, cols }) => {
    const [gram, right, square, n, penalties] = inputs.map(({ data }) => data);
    const out = new Float64Array(rows * cols);
    for (let k = 0; k < cols; k++) {
      const sums = { gram: gram!, right: right!, target: square![0]! };
      const own = penaltiesOn(n![0]!, penalties![k]!, penalties![cols + k]!);
      const { w, gap } = textbookDescent({ ...sums, ...own }, descentEnd(attrs));
      for (const [j, value] of w.entries()) out[j * cols + k] = value;
      out[(rows - 1) * cols + k] = gap;
    }
    return dense(rows, cols, out);
  },
  cases: [
    pathCase('penalties of one ratio', 6, [0.01, 1, 0.1, 100], [0.5, 0.5, 0.5, 0.5]),
    pathCase('several ratios', 7, [0.1, 0.1, 0.01, 0.3], [1, 0, 0.2, 1]),
    pathCase('no penalty', 4, [0], [1]),
    pathCase('one column', 1, [0.1, 0.2], [1, 1]),
  ],
});

function pathCase(name: string, d: number, alphas: readonly number[], ratios: readonly number[]) {
  const [X, y] = [sample(20, d), sample(20, 1, 3)];
  const penalties = dense(2, alphas.length, Float64Array.of(...alphas, ...ratios));
  return {
    name,
    inputs: [
      multiply(X, X, true),
      multiply(X, y, true),
      multiply(y, y, true),
      number(20),
      penalties,
    ],
    attrs: { maxSweeps: 100_000, tolerance: 1e-14 },
    tolerance: 1e-6,
  };
}

function number(value: number): Float64Matrix {
  return dense(1, 1, Float64Array.of(value));
}
