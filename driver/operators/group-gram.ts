/**
 * Sufficient statistics of least squares for many row groups (folds) in one pass: for each group
 * the count, the column sums or means, and the second moments of Z = [X Y]. This is `tsmm` batched
 * over row masks: what k separate `tsmm(Z[rows of fold f,])` would compute with k passes.
 *
 * inputs: g (n x 1, group number of each row; rows outside 0..groups-1 are left out), X (n x d),
 * optionally Y (n x t). output: `groups` blocks of (p+1) x (p+1) stacked by rows, p = d + t; each
 * block is symmetric:
 *   center = false: [ n  s' ; s  Z'Z ], s the column sums
 *   center = true:  [ n  m' ; m  C ],   m column means, C = (Z - 1m')'(Z - 1m'); zero if empty
 * The centred form merges by Chan, Golub and LeVeque's pairwise update (1979), so it keeps its
 * accuracy when means are large beside the spread, whatever the partitioning.
 */
import type { AttrValue } from '../ir/attrs.js';
import { sameDType } from '../ir/dtype.js';
import type { Expr, NodeMaker } from '../ir/expr.js';
import { defineOp, type OpDef, type PartOperands } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { add } from './cells.js';
import { mergeGroupGram, type PartPlacement } from './merge-group-gram.js';
import { shapeError } from './shape-check.js';

export const groupGram: OpDef = defineOp({
  name: 'groupGram',
  arity: { min: 2, max: 3 },
  work: 'product',
  infer: (inputs, attrs) => {
    const [g, ...parts] = inputs;
    for (const part of parts) {
      if (g!.cols !== 1 || part.rows !== g!.rows) {
        throw shapeError('groupGram', 'a group column and operands with as many rows', inputs);
      }
    }
    const side = parts.reduce((width, part) => width + part.cols, 1);
    return { rows: (attrs.groups as number) * side, cols: side };
  },
  // Moments lose less than their data; groups are numbers of either dtype.
  dtype: ([, ...operands]) => {
    sameDType('groupGram', operands);
    return 'float64';
  },
  rowRule: (inputs) => ({ kind: 'reduce', blocked: inputs.map(() => true) }),
  flops: (inputs, _attrs, out) => inputs[0]!.rows * out.cols * out.cols,
  reference: (inputs, attrs, out) => {
    const groups = attrs.groups as number;
    const center = attrs.center as boolean;
    const [g, ...parts] = inputs as [Float64Matrix, ...Float64Matrix[]];
    const side = out.cols;
    const data = new Float64Array(groups * side * side);
    const z = new Float64Array(side);
    const means = new Float64Array(groups * side);
    const forEachRow = (visit: (group: number) => void): void => {
      for (let i = 0; i < g.rows; i++) {
        const group = g.data[i]!;
        if (!(group >= 0 && group < groups)) continue;
        z[0] = 1;
        let at = 1;
        for (const part of parts) {
          for (let j = 0; j < part.cols; j++) z[at++] = part.data[i * part.cols + j]!;
        }
        visit(group);
      }
    };
    if (center) {
      forEachRow((group) => {
        for (let a = 0; a < side; a++) means[group * side + a]! += z[a]!;
      });
      for (let group = 0; group < groups; group++) {
        const n = means[group * side]!;
        for (let a = 1; a < side; a++)
          means[group * side + a] = n > 0 ? means[group * side + a]! / n : 0;
      }
    }
    forEachRow((group) => {
      if (center) for (let a = 1; a < side; a++) z[a]! -= means[group * side + a]!;
      const base = group * side * side;
      for (let a = 0; a < side; a++) {
        for (let b = 0; b < side; b++) data[base + a * side + b]! += z[a]! * z[b]!;
      }
    });
    if (center) {
      for (let group = 0; group < groups; group++) {
        const base = group * side * side;
        for (let a = 1; a < side; a++) {
          data[base + a] = means[group * side + a]!;
          data[base + a * side] = means[group * side + a]!;
        }
      }
    }
    return dense(groups * side, side, data);
  },
  merge: (whole, results, maker) => {
    if (!whole.attrs.center) return results.reduce((sum, one) => maker.intern(add, [sum, one]));
    const placement = { groups: range(whole.attrs.groups as number), columns: null };
    return merged(
      whole,
      results,
      results.map(() => placement),
      maker,
    );
  },
  overParts: (whole, parts, maker) => {
    const placements: PartPlacement[] = [];
    const grams = parts.map(({ own }) => {
      const [folds, ...blocks] = own.map((one) => one!);
      const groups = folds!.places ?? range(whole.attrs.groups as number);
      placements.push({ groups, columns: columnsOf(whole, blocks) });
      const inputs = own.map((one) => one!.expr);
      return maker.intern(groupGram, inputs, { ...whole.attrs, groups: groups.length });
    });
    return merged(whole, grams, placements, maker);
  },
  findBy: (inputs) => [
    { operand: 0, by: 'rows' },
    ...inputs.slice(1).map((_, i) => ({ operand: i + 1, by: 'cols' }) as const),
  ],
  combine: (a, b, attrs) => {
    const same = { groups: range(attrs.groups as number), columns: null };
    return mergeGroupGram.reference([a, b], { ...attrs, side: a.cols, parts: [same, same] }, a);
  },
  cases: [
    {
      name: 'three groups, one row left out',
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
          Float64Array.from({ length: 7 }, (_, i) => Math.cos(i)),
        ),
      ],
      attrs: { groups: 3, center: true },
    },
    {
      name: 'plain sums, no Y, an empty group',
      inputs: [
        dense(5, 1, Float64Array.of(0, 0, 2, 2, 2)),
        dense(
          5,
          3,
          Float64Array.from({ length: 15 }, (_, i) => Math.sin(i * 7)),
        ),
      ],
      attrs: { groups: 3, center: false },
    },
  ],
});

/** From parts whose groups and columns have these places. */
function merged(
  { attrs, cols }: Expr,
  results: readonly Expr[],
  parts: readonly PartPlacement[],
  maker: NodeMaker,
): Expr {
  const { groups, center } = attrs as { groups: number; center: boolean };
  const placed = { groups, side: cols, center, parts: parts as unknown as AttrValue };
  return maker.intern(mergeGroupGram, results, placed);
}

function range(length: number): readonly number[] {
  return Array.from({ length }, (_, i) => i);
}

/** Places of a part's columns of [X Y] among those of all; null when they are the same. */
function columnsOf(whole: Expr, blocks: PartOperands['own']): readonly number[] | null {
  if (blocks.every((block) => block!.places === null)) return null;
  let offset = 0;
  return blocks.flatMap((block, k) => {
    const { expr, places } = block!;
    const own = places ?? range(expr.cols);
    const columns = own.map((column) => offset + column);
    offset += whole.inputs[k + 1]!.cols;
    return columns;
  });
}
