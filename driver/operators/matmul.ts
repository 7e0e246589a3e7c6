/**
 * Matrix product op(A) %*% op(B). attrs (optional flags): transposeA, transposeB. A tall A is taken
 * by row blocks and B whole; t(A) %*% B of two tall operands sums the blocks' products.
 */
import type { Attrs } from '../ir/attrs.js';
import type { Expr, Meta } from '../ir/expr.js';
import {
  defineOp,
  type Lookup,
  type OpDef,
  type RowRule,
  type Split,
  wholeRule,
} from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { batchProduct } from './batch-products.js';
import { add } from './cells.js';
import { multiply, sample, sparseWork } from './product.js';
import { flagAttr, shapeError } from './shape-check.js';

const mapRule: RowRule = Object.freeze({ kind: 'map', blocked: [true, false] });
const columnsOfB: Split = { axis: 'cols', cut: [false, true], into: 'cols' };
const columnsOfA: Split = { axis: 'cols', cut: [true, false], into: 'rows' };
const byRows: readonly Lookup[] = [
  { operand: 0, by: 'self' },
  { operand: 0, by: 'rows' },
];
const columnsOfFirst: Lookup = { operand: 0, by: 'cols' };
const reduceRule: RowRule = Object.freeze({ kind: 'reduce', blocked: [true, true] });

function sizes(
  inputs: readonly Meta[],
  attrs: Attrs,
): { m: number; k: number; k2: number; n: number } {
  const [a, b] = inputs as [Meta, Meta];
  const [m, k] = flagAttr('matmul', attrs, 'transposeA') ? [a.cols, a.rows] : [a.rows, a.cols];
  const [k2, n] = flagAttr('matmul', attrs, 'transposeB') ? [b.cols, b.rows] : [b.rows, b.cols];
  return { m, k, k2, n };
}

interface ProductFlags {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

export const matmul: OpDef = defineOp({
  name: 'matmul',
  arity: 2,
  work: 'product',
  isSeenThrough: true,
  infer: (inputs, attrs) => {
    const { m, k, k2, n } = sizes(inputs, attrs);
    if (k !== k2) {
      const flags = `${attrs.transposeA ? ', A transposed' : ''}${attrs.transposeB ? ', B transposed' : ''}`;
      throw shapeError('matmul', `equal inner sizes (${k} and ${k2}${flags})`, inputs);
    }
    return { rows: m, cols: n };
  },
  rowRule: (_inputs, attrs) => {
    if (!attrs.transposeA) return mapRule;
    return attrs.transposeB ? wholeRule : reduceRule;
  },
  flops: (inputs, attrs) => {
    const { m, k, n } = sizes(inputs, attrs);
    return 2 * n * Math.min(m * k, sparseWork(inputs[0]!));
  },
  reference: ([a, b], attrs) =>
    multiply(a!, b!, attrs.transposeA === true, attrs.transposeB === true),
  merge: add,
  batch: batchProduct,
  gradient: ({ node, upstream: g, isWanted, make }) => {
    const [a, b] = node.inputs as [Expr, Expr];
    const { transposeA = false, transposeB = false } = node.attrs as ProductFlags;
    const product = (left: Expr, right: Expr, turnsLeft: boolean, turnsRight: boolean): Expr =>
      make(matmul, [left, right], {
        ...(turnsLeft && { transposeA: true }),
        ...(turnsRight && { transposeB: true }),
      });
    const byA = (): Expr =>
      transposeA ? product(b, g, transposeB, true) : product(g, b, false, !transposeB);
    const byB = (): Expr =>
      transposeB ? product(g, a, true, transposeA) : product(a, g, !transposeA, false);
    return [isWanted[0] ? byA() : undefined, isWanted[1] ? byB() : undefined];
  },
  colSplits: (_inputs, { transposeA, transposeB }) => [
    ...(transposeB ? [] : [columnsOfB]),
    ...(transposeA ? [columnsOfA] : []),
  ],
  // Products with columns of X, rather than rows, are found by what these are columns of.
  findBy: (_inputs, { transposeA }) => (transposeA ? [...byRows, columnsOfFirst] : byRows),
  cases: [
    { name: 'plain', inputs: [sample(7, 4), sample(4, 3, 2)] },
    { name: 't(A) %*% B', inputs: [sample(9, 4), sample(9, 3, 2)], attrs: { transposeA: true } },
    { name: 'A %*% t(B)', inputs: [sample(5, 4), sample(6, 4, 2)], attrs: { transposeB: true } },
    {
      name: 't(A) %*% t(B)',
      inputs: [sample(4, 5), sample(6, 4, 2)],
      attrs: { transposeA: true, transposeB: true },
    },
    { name: 'matrix and vector', inputs: [sample(11, 4), sample(4, 1, 3)] },
    { name: 't(X) %*% y', inputs: [sample(11, 4), sample(11, 1, 3)], attrs: { transposeA: true } },
    { name: 'row and column', inputs: [sample(1, 6), sample(6, 1, 2)] },
    { name: 'column and row', inputs: [sample(5, 1), sample(1, 6, 2)] },
    { name: '1x1', inputs: [sample(1, 1), sample(1, 1, 2)] },
    {
      name: 'NaN and an infinity reach the cells they meet',
      inputs: [
        dense(2, 2, Float64Array.of(1, NaN, 3, 4)),
        dense(2, 2, Float64Array.of(1, 2, Infinity, 3)),
      ],
    },
  ],
});
