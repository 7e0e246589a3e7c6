/**
 * Sufficient statistics of least squares for many row groups (folds) in one pass: for each group
 * the count, the column sums or means, and the second moments of Z = [X Y]. This is `tsmm` batched
 * over row masks: what k separate `tsmm(Z[rows of fold f,])` would compute with k passes.
 *
 * inputs: g (n x 1, group number of each row; rows outside 0..groups-1 are left out), X (n x d),
 * optionally Y (n x t); with the attribute `weighted` last w (n x 1), by which each row counts that
 * many times: a weight may be any number from 0 on. output: `groups` blocks of (p+1) x (p+1)
 * stacked by rows, p = d + t; each block is symmetric, n being the rows or the sum of weights:
 *   center = false: [ n  s' ; s  Z'Z ], s the column sums
 *   center = true:  [ n  m' ; m  C ],   m column means, C = (Z - 1m')'(Z - 1m'); zero if empty
 * The centred form merges by Chan, Golub and LeVeque's pairwise update (1979), so it keeps its
 * accuracy when means are large beside the spread, whatever the partitioning.
 * Every engine sums over at most `SUM_ROWS` rows by itself and then adds these sums up, for up to
 * `SUM_SIDE` columns: rounding errors grow with the longest chain of additions (`gramLoss`).
 */
import type { Attrs, AttrValue } from '../ir/attrs.js';
import { sameDType } from '../ir/dtype.js';
import type { Expr, NodeMaker } from '../ir/expr.js';
import { defineOp, type OpDef, type PartOperands } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { add } from './cells.js';
import { mergeGroupGram, type PartPlacement } from './merge-group-gram.js';
import { sample } from './product.js';
import { shapeError } from './shape-check.js';

/** Rows that are summed in one chain of additions, at most. */
export const SUM_ROWS = 16_384;
/** Wider moments are summed in place: sums of their own would take as much memory again. */
export const SUM_SIDE = 1024;

/** The operands beside the groups: columns of Z, and weights where there are any. */
export function gramOperands<T>(
  inputs: readonly T[],
  attrs: Attrs,
): { readonly columns: readonly T[]; readonly weights?: T } {
  if (attrs.weighted !== true) return { columns: inputs.slice(1) };
  return { columns: inputs.slice(1, -1), weights: inputs.at(-1)! };
}

export const groupGram: OpDef = defineOp({
  name: 'groupGram',
  arity: { min: 2, max: 4 },
  work: 'product',
  infer: (inputs, attrs) => {
    const { columns, weights } = gramOperands(inputs, attrs);
    const [g, ...others] = inputs;
    const fits =
      g!.cols === 1 &&
      columns.length > 0 &&
      columns.length < 3 &&
      (weights === undefined || weights.cols === 1) &&
      others.every(({ rows }) => rows === g!.rows);
    if (!fits) {
      throw shapeError('groupGram', 'a group column and operands with as many rows', inputs);
    }
    const side = columns.reduce((width, part) => width + part.cols, 1);
    return { rows: (attrs.groups as number) * side, cols: side };
  },
  // Moments lose less than their data; groups and weights are numbers of either dtype.
  dtype: (inputs, attrs) => {
    sameDType('groupGram', gramOperands(inputs, attrs).columns);
    return 'float64';
  },
  rowRule: (inputs) => ({ kind: 'reduce', blocked: inputs.map(() => true) }),
  flops: (inputs, _attrs, out) => inputs[0]!.rows * out.cols * out.cols,
  reference: (inputs, attrs, out) => {
    const groups = attrs.groups as number;
    const center = attrs.center as boolean;
    const g = inputs[0]!;
    const { columns: parts, weights } = gramOperands(inputs, attrs);
    const side = out.cols;
    const data = new Float64Array(groups * side * side);
    const z = new Float64Array(side);
    const means = new Float64Array(groups * side);
    const forEachRow = (visit: (group: number, weight: number) => void): void => {
      for (let i = 0; i < g.rows; i++) {
        const group = g.data[i]!;
        if (!(group >= 0 && group < groups)) continue;
        z[0] = 1;
        let at = 1;
        for (const part of parts) {
          for (let j = 0; j < part.cols; j++) z[at++] = part.data[i * part.cols + j]!;
        }
        visit(group, weights?.data[i] ?? 1);
      }
    };
    if (center) {
      forEachRow((group, weight) => {
        for (let a = 0; a < side; a++) means[group * side + a]! += weight * z[a]!;
      });
      for (let group = 0; group < groups; group++) {
        const n = means[group * side]!;
        for (let a = 1; a < side; a++)
          means[group * side + a] = n > 0 ? means[group * side + a]! / n : 0;
      }
    }
    const sums = new Float64Array(data.length);
    const addSums = (): void => {
      for (let i = 0; i < data.length; i++) data[i]! += sums[i]!;
      sums.fill(0);
    };
    let summed = 0;
    forEachRow((group, weight) => {
      if (center) for (let a = 1; a < side; a++) z[a]! -= means[group * side + a]!;
      const base = group * side * side;
      for (let a = 0; a < side; a++) {
        for (let b = 0; b < side; b++) sums[base + a * side + b]! += weight * z[a]! * z[b]!;
      }
      if (++summed % SUM_ROWS === 0) addSums();
    });
    addSums();
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
  overParts: (whole, parts, maker, isClosed) => {
    const placements: PartPlacement[] = [];
    const grams = parts.map(({ own, rows, divided }) => {
      const folds = own[0]!;
      const { columns, weights } = gramOperands(own, whole.attrs);
      const groups = folds.places ?? range(whole.attrs.groups as number);
      placements.push({ groups, columns: columnsOf(whole, columns) });
      const inputs = [folds, ...columns].map((one) => one!.expr);
      if (weights !== undefined) inputs.push(rows(own.length - 1));
      return divided(maker.intern(groupGram, inputs, { ...whole.attrs, groups: groups.length }));
    });
    return merged(whole, grams, placements, maker, isClosed);
  },
  findBy: (inputs, attrs) => [
    { operand: 0, by: 'rows' },
    ...gramOperands(inputs, attrs).columns.map((_, i) => ({ operand: i + 1, by: 'cols' }) as const),
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
    ...[true, false].map((center) => ({
      name: `weighted, ${center ? 'centred' : 'plain sums'}, a group of no weight`,
      inputs: [
        dense(7, 1, Float64Array.of(0, 1, 2, 0, 1, -1, 0)),
        sample(7, 3),
        sample(7, 1, 2),
        dense(7, 1, Float64Array.of(0.5, 0, 2, 3, 0, 9, 0)),
      ],
      attrs: { groups: 3, center, weighted: true },
    })),
    {
      name: 'weighted, no Y',
      inputs: [
        dense(4, 1, Float64Array.of(0, 0, 1, 0)),
        sample(4, 2),
        dense(4, 1, Float64Array.of(0.5, 1, 2, 3)),
      ],
      attrs: { groups: 2, center: true, weighted: true },
    },
  ],
});

/** From parts whose groups and columns have these places. */
function merged(
  whole: Expr,
  results: readonly Expr[],
  parts: readonly PartPlacement[],
  maker: NodeMaker,
  isClosed = false,
): Expr {
  const { groups, center } = whole.attrs as { groups: number; center: boolean };
  const placed = { groups, side: whole.cols, center, parts: parts as unknown as AttrValue };
  const attrs = isClosed ? { ...placed, closed: true } : placed;
  // The node it stands for lives as long as it does, so that it is found again by that.
  return maker.intern(mergeGroupGram, results, attrs, isClosed ? whole : undefined);
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
