/**
 * Mean silhouette coefficients by group, of many clusterings of the same rows (Rousseeuw 1987;
 * scikit-learn's `silhouette_score` with Euclidean distances): of row i, (b - a) / max(a, b), where a
 * is its mean distance from the other rows of its cluster and b that from the rows of the nearest
 * other cluster; 0 for a cluster of one row, and where a and b are 0.
 *
 * inputs: g (n x 1; rows outside 0..groups-1 are left out), Z (n x d, the rows that distances are
 * between), L (n x models, cluster numbers from 0); attrs: groups. output: groups x models; NaN for
 * a group with one cluster, or as many as rows.
 */
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { sample } from './product.js';
import { shapeError, sizeAttr } from './shape-check.js';

export const groupSilhouette = defineOp({
  name: 'groupSilhouette',
  arity: 3,
  work: 'product',
  infer: (inputs, attrs) => {
    const [g, z, labels] = inputs;
    if (g!.cols !== 1 || z!.rows !== g!.rows || labels!.rows !== g!.rows) {
      throw shapeError(
        'groupSilhouette',
        'a group column, rows and labels of as many rows',
        inputs,
      );
    }
    return { rows: sizeAttr('groupSilhouette', attrs, 'groups'), cols: labels!.cols };
  },
  dtype: () => 'float64',
  // Of the pairs in groups of one size.
  flops: ([, z, labels], attrs) =>
    ((2 * z!.cols + 2 * labels!.cols + 4) * z!.rows ** 2) / (attrs.groups as number),
  reference: (inputs, attrs, out) => {
    const [g, z, labels] = inputs as readonly [Float64Matrix, Float64Matrix, Float64Matrix];
    const data = new Float64Array(out.rows * out.cols);
    for (let group = 0; group < (attrs.groups as number); group++) {
      const rows = [...g.data.keys()].filter((i) => g.data[i] === group);
      const apart = (i: number, j: number): number => {
        let sum = 0;
        for (let c = 0; c < z.cols; c++)
          sum += (z.data[i * z.cols + c]! - z.data[j * z.cols + c]!) ** 2;
        return Math.sqrt(sum);
      };
      for (let m = 0; m < labels.cols; m++) {
        const found = clustersOf(Array.from(rows, (i) => labels.data[i * labels.cols + m]!));
        const sums = rows.map((i) => {
          const own = new Float64Array(found.sizes.length);
          for (const [k, j] of rows.entries()) own[found.of[k]!]! += apart(i, j);
          return own;
        });
        data[group * out.cols + m] = meanSilhouette(found, (i, c) => sums[i]![c]!);
      }
    }
    return dense(out.rows, out.cols, data);
  },
  cases: [
    {
      name: 'two groups, two clusterings, a row left out, a cluster of one row',
      inputs: [
        dense(9, 1, Float64Array.of(0, 1, 0, 1, -1, 1, 0, 0, 1)),
        sample(9, 3),
        dense(9, 2, Float64Array.of(0, 1, 0, 0, 1, 1, 1, 0, 5, 5, 0, 1, 1, 2, 0, 2, 2, 1)),
      ],
      attrs: { groups: 2 },
    },
    {
      name: 'one cluster, as many as rows, no row',
      inputs: [
        dense(5, 1, Float64Array.of(0, 0, 1, 1, 1)),
        sample(5, 2),
        dense(5, 1, Float64Array.of(0, 1, 3, 3, 3)),
      ],
      attrs: { groups: 3 },
    },
    {
      name: 'equal rows, far from the origin',
      inputs: [
        dense(6, 1, new Float64Array(6)),
        dense(6, 1, Float64Array.of(1e6, 1e6, 1e6 + 1, 1e6 + 1, 1e6 + 5, 1e6 + 5)),
        dense(6, 2, Float64Array.of(0, 0, 0, 1, 1, 0, 1, 1, 2, 0, 2, 1)),
      ],
      attrs: { groups: 1 },
    },
  ],
});

/** The clusters that rows are in, numbered anew from 0. */
export interface Clusters {
  /** By row. */
  readonly of: Uint32Array;
  readonly sizes: readonly number[];
}

export function clustersOf(labels: ArrayLike<number>): Clusters {
  const numbers = new Map<number, number>();
  const sizes: number[] = [];
  const of = Uint32Array.from(labels, (label) => {
    const at = numbers.get(label) ?? numbers.size;
    numbers.set(label, at);
    sizes[at] = (sizes[at] ?? 0) + 1;
    return at;
  });
  return { of, sizes };
}

/** @param sumOf the sum of row i's distances from the rows of cluster c */
export function meanSilhouette(
  { of, sizes }: Clusters,
  sumOf: (i: number, c: number) => number,
): number {
  if (sizes.length < 2 || sizes.length >= of.length) return Number.NaN;
  let sum = 0;
  for (let i = 0; i < of.length; i++) {
    const own = of[i]!;
    if (sizes[own] === 1) continue;
    let nearest = Number.POSITIVE_INFINITY;
    for (let c = 0; c < sizes.length; c++) {
      if (c !== own) nearest = Math.min(nearest, sumOf(i, c) / sizes[c]!);
    }
    const inside = sumOf(i, own) / (sizes[own]! - 1);
    const larger = Math.max(inside, nearest);
    if (larger !== 0) sum += (nearest - inside) / larger;
  }
  return sum / of.length;
}
