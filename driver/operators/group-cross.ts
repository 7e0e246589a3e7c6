/**
 * Cross moments of two sets of columns for many row groups (folds) in one pass: the off-diagonal
 * blocks of `groupGram` over [A B], for when those over A alone are known and B is new. Costs the
 * width of A times that of B instead of the square of their sum.
 *
 * inputs: g (n x 1, group number of each row; rows outside 0..groups-1 are left out), A (n x p), B
 * (n x q). output: `groups` blocks of (p+1) x (q+1) stacked by rows:
 *   center = false: [ n  b' ; a  A'B ], a and b the column sums
 *   center = true:  [ n  b' ; a  C ],   a, b column means, C = (A - 1a')'(B - 1b'); zero if empty
 * The centred form merges by Chan, Golub and LeVeque's pairwise update (1979) for two variables.
 */
import { sameDType } from '../ir/dtype.js';
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { shapeError } from './shape-check.js';

export const groupCross = defineOp({
  name: 'groupCross',
  arity: 3,
  work: 'product',
  infer: (inputs, attrs) => {
    const [g, a, b] = inputs;
    if (g!.cols !== 1 || a!.rows !== g!.rows || b!.rows !== g!.rows) {
      throw shapeError('groupCross', 'a group column and operands with as many rows', inputs);
    }
    return { rows: (attrs.groups as number) * (a!.cols + 1), cols: b!.cols + 1 };
  },
  // Moments lose less than their data; groups are numbers of either dtype.
  dtype: ([, ...operands]) => {
    sameDType('groupCross', operands);
    return 'float64';
  },
  rowRule: (inputs) => ({ kind: 'reduce', blocked: inputs.map(() => true) }),
  // As many products as there are groups, the rows of others being zero: cheaper than gathering the
  // rows of each.
  flops: ([, a, b], attrs) =>
    2 * (attrs.groups as number) * a!.rows * (a!.cols + 1) * (b!.cols + 1),
  reference: (inputs, attrs, out) => {
    const groups = attrs.groups as number;
    const [g, a, b] = inputs as [Float64Matrix, Float64Matrix, Float64Matrix];
    const sizes = { left: a.cols + 1, right: b.cols + 1 };
    const data = new Float64Array(out.rows * out.cols);
    const add = (group: number, left: Float64Array, right: Float64Array): void => {
      const block = data.subarray(group * left.length * right.length);
      for (let i = 0; i < left.length; i++) {
        for (let j = 0; j < right.length; j++) block[i * right.length + j]! += left[i]! * right[j]!;
      }
    };
    const rowOf = (x: Float64Matrix, row: number, shift?: Float64Array): Float64Array => {
      const cells = new Float64Array(x.cols + 1).fill(1, 0, 1);
      for (let j = 0; j < x.cols; j++) {
        cells[j + 1] = x.data[row * x.cols + j]! - (shift ? shift[j]! : 0);
      }
      return cells;
    };
    const means = attrs.center ? meansByGroup(g, [a, b], groups) : undefined;
    for (let row = 0; row < g.rows; row++) {
      const group = g.data[row]!;
      if (!(group >= 0 && group < groups)) continue;
      const [left, right] = means?.[group] ?? [];
      add(group, rowOf(a, row, left), rowOf(b, row, right));
    }
    for (const [group, [left, right]] of (means ?? []).entries()) {
      const block = data.subarray(group * sizes.left * sizes.right);
      for (let i = 1; i < sizes.left; i++) block[i * sizes.right] = left[i - 1]!;
      for (let j = 1; j < sizes.right; j++) block[j] = right[j - 1]!;
    }
    return dense(out.rows, out.cols, data);
  },
  combine: (a, b, attrs) => {
    const data = a.data.slice();
    const groups = attrs.groups as number;
    const cells = data.length / groups;
    for (let group = 0; group < groups; group++) {
      const [own, other] = [data, b.data].map((all) =>
        all.subarray(group * cells, (group + 1) * cells),
      ) as [Float64Array, Float64Array];
      if (attrs.center) mergeCross(own, other, a.cols);
      else for (let i = 0; i < cells; i++) own[i]! += other[i]!;
    }
    return dense(a.rows, a.cols, data);
  },
  cases: [
    {
      name: 'three groups, one row left out, means far from zero',
      inputs: [
        dense(7, 1, Float64Array.of(0, 1, 2, 0, 1, -1, 0)),
        dense(
          7,
          2,
          Float64Array.from({ length: 14 }, (_, i) => Math.sin(i) * 3 + 100),
        ),
        dense(
          7,
          1,
          Float64Array.from({ length: 7 }, (_, i) => Math.cos(i) - 50),
        ),
      ],
      attrs: { groups: 3, center: true },
    },
    {
      name: 'plain sums, an empty group',
      inputs: [
        dense(5, 1, Float64Array.of(0, 0, 2, 2, 2)),
        dense(
          5,
          3,
          Float64Array.from({ length: 15 }, (_, i) => Math.sin(i * 7)),
        ),
        dense(
          5,
          2,
          Float64Array.from({ length: 10 }, (_, i) => Math.cos(i * 3)),
        ),
      ],
      attrs: { groups: 3, center: false },
    },
  ],
});

/** For each group the column means of each operand; zero for an empty group. */
function meansByGroup(
  g: Float64Matrix,
  operands: readonly [Float64Matrix, Float64Matrix],
  groups: number,
): (readonly [Float64Array, Float64Array])[] {
  const meansOf = ({ cols, data }: Float64Matrix, group: number): Float64Array => {
    const means = new Float64Array(cols);
    let count = 0;
    for (let row = 0; row < g.rows; row++) {
      if (g.data[row] !== group) continue;
      count++;
      for (let j = 0; j < cols; j++) means[j]! += data[row * cols + j]!;
    }
    return count === 0 ? means : means.map((sum) => sum / count);
  };
  return Array.from({ length: groups }, (_, group) => [
    meansOf(operands[0], group),
    meansOf(operands[1], group),
  ]);
}

/** Adds one group's centred cross moments `b` to `a` (Chan, Golub, LeVeque 1979, eq. 2.1). */
function mergeCross(a: Float64Array, b: Float64Array, width: number): void {
  const [na, nb] = [a[0]!, b[0]!];
  if (nb === 0) return;
  if (na === 0) {
    a.set(b);
    return;
  }
  const n = na + nb;
  const weight = (na * nb) / n;
  for (let i = width; i < a.length; i += width) {
    const delta = b[i]! - a[i]!;
    for (let j = 1; j < width; j++) {
      a[i + j]! += b[i + j]! + weight * delta * (b[j]! - a[j]!);
    }
    a[i]! += (delta * nb) / n;
  }
  for (let j = 1; j < width; j++) a[j]! += ((b[j]! - a[j]!) * nb) / n;
  a[0] = n;
}
