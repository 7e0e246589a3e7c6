/**
 * Moments of row groups over all data from those of parts of it: `groupGram` of files read apart,
 * put together. Each part has groups and columns of its own; attributes say where they belong, so
 * that a part's moments depend on that part alone, whatever came before or after it.
 *
 * inputs: the values of `groupGram` over parts, all centred or none. attrs: groups, side: of the
 * result; center; parts, one an input: { groups: for each of the part's groups the group it
 *   adds to; columns: for each column of [X Y], no leading 1, its place from 0; null: the same }.
 *   Columns with one place are summed there as the columns would be: moments are linear in them.
 *   closed: true where data that grow will ask for it again.
 * output: as `groupGram` over all rows with the columns of the result; a column a part lacks is
 * zero in its rows. Centred parts merge by Chan, Golub and LeVeque's pairwise update (1979), in the
 * order of the inputs.
 */
import type { Attrs } from '../ir/attrs.js';
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { shapeError } from './shape-check.js';

/** Where the moments of a part go. */
export interface PartPlacement {
  readonly groups: readonly number[];
  readonly columns: readonly number[] | null;
}

export const mergeGroupGram = defineOp({
  name: 'mergeGroupGram',
  arity: { min: 1, max: Number.POSITIVE_INFINITY },
  isKept: ({ closed }) => closed === true,
  infer: (inputs, attrs) => {
    const groups = attrs.groups as number;
    const side = attrs.side as number;
    const parts = partsOf(attrs);
    const fits = inputs.every((input, k) => {
      const part = parts[k];
      if (part === undefined || input.rows !== part.groups.length * input.cols) return false;
      const { columns } = part;
      return (
        (columns?.length ?? side - 1) === input.cols - 1 &&
        (columns === null || columns.every((column) => column >= 0 && column < side - 1)) &&
        part.groups.every((group) => group >= 0 && group < groups)
      );
    });
    if (!fits || parts.length !== inputs.length) {
      throw shapeError(
        'mergeGroupGram',
        `a placement within ${groups} groups of ${side} columns for each part`,
        inputs,
      );
    }
    return { rows: groups * side, cols: side };
  },
  flops: (inputs, attrs) =>
    inputs.reduce((sum, _, k) => {
      return sum + 3 * partsOf(attrs)[k]!.groups.length * (attrs.side as number) ** 2;
    }, 0),
  reference: (inputs, attrs, out) => {
    const side = out.cols;
    const data = new Float64Array(out.rows * side);
    const isPlaced = partsOf(attrs).some(({ columns }) => columns !== null);
    const block = new Float64Array(isPlaced ? side * side : 0);
    for (const [k, input] of inputs.entries()) {
      const { groups, columns } = partsOf(attrs)[k]!;
      const places = columns === null ? null : placesOf(columns);
      for (const [own, group] of groups.entries()) {
        const target = data.subarray(group * side * side, (group + 1) * side * side);
        const moments = placed(input, own, places, block, side);
        if (attrs.center) addCentered(target, moments, side);
        else for (let i = 0; i < moments.length; i++) target[i]! += moments[i]!;
      }
    }
    return dense(out.rows, side, data);
  },
  cases: [
    {
      name: 'centred, one part with other columns and turned groups',
      inputs: [moments([3, 0, 2], 3, 1), moments([2, 4], 4, 2)],
      attrs: {
        groups: 3,
        side: 4,
        center: true,
        parts: [
          { groups: [1, 2, 0], columns: [2, 0] },
          { groups: [0, 1], columns: null },
        ],
      },
    },
    {
      name: 'two columns of a part summed into one',
      inputs: [moments([3, 2], 4, 5), moments([2, 1], 3, 6)],
      attrs: {
        groups: 2,
        side: 3,
        center: true,
        parts: [
          { groups: [0, 1], columns: [1, 0, 1] },
          { groups: [1, 0], columns: null },
        ],
      },
    },
    {
      name: 'plain sums',
      inputs: [moments([3, 2], 3, 3), moments([2, 4], 3, 4)],
      attrs: {
        groups: 2,
        side: 3,
        center: false,
        parts: [
          { groups: [0, 1], columns: null },
          { groups: [1, 0], columns: [1, 0] },
        ],
      },
    },
  ],
});

function partsOf(attrs: Attrs): readonly PartPlacement[] {
  return attrs.parts as unknown as readonly PartPlacement[];
}

/** Where each row and column of a part's moments goes; the first holds the count and the means. */
function placesOf(columns: readonly number[]): Int32Array {
  return Int32Array.from([0, ...columns.map((column) => column + 1)]);
}

/** The block of one group of the part, each cell at its place. `block` is overwritten. */
function placed(
  { cols: width, data }: Float64Matrix,
  own: number,
  places: Int32Array | null,
  block: Float64Array,
  side: number,
): Float64Array {
  const from = own * width * width;
  if (places === null) return data.subarray(from, from + width * width);
  block.fill(0);
  for (let i = 0; i < width; i++) {
    const row = places[i]! * side;
    const source = from + i * width;
    for (let j = 0; j < width; j++) block[row + places[j]!]! += data[source + j]!;
  }
  return block;
}

/** Centred moments for conformance cases: any symmetric block with its count in the corner. */
function moments(counts: readonly number[], side: number, seed: number): Float64Matrix {
  const data = new Float64Array(counts.length * side * side);
  for (const [group, count] of counts.entries()) {
    const base = group * side * side;
    for (let i = 0; i < side; i++) {
      for (let j = 0; j < side; j++) {
        data[base + i * side + j] = count * Math.cos(seed + (i + 1) * (j + 1) + group);
      }
    }
    data[base] = count;
  }
  return dense(counts.length * side, side, data);
}

/** Adds centred moments `b` of one group to `a` (Chan, Golub, LeVeque 1979, eq. 2.1). */
function addCentered(a: Float64Array, b: Float64Array, side: number): void {
  const [na, nb] = [a[0]!, b[0]!];
  if (nb === 0) return;
  if (na === 0) {
    a.set(b);
    return;
  }
  const n = na + nb;
  const weight = (na * nb) / n;
  const delta = new Float64Array(side);
  for (let i = 1; i < side; i++) delta[i] = b[i]! - a[i]!;
  for (let i = 1; i < side; i++) {
    const row = i * side;
    const scaled = weight * delta[i]!;
    for (let j = 1; j < side; j++) a[row + j]! += b[row + j]! + scaled * delta[j]!;
    const mean = a[i]! + (delta[i]! * nb) / n;
    a[i] = mean;
    a[row] = mean;
  }
  a[0] = n;
}
