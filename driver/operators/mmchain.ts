/**
 * t(X) %*% (w * (X %*% v)), w optional: one pass over X where two products would take two. inputs:
 * X (n x d), v (d x k), optionally w (n x 1, or n x k). The fused form of SystemDS (Boehm et al.,
 * VLDB 2018).
 */

import type { Expr } from '../ir/expr.js';
import { defineOp } from '../ir/op-def.js';
import { add, mul } from './cells.js';
import { applyCells } from './elementwise.js';
import { matmul } from './matmul.js';
import { multiply, sample } from './product.js';
import { shapeError } from './shape-check.js';

export const mmchain = defineOp({
  name: 'mmchain',
  arity: { min: 2, max: 3 },
  work: 'product',
  infer: (inputs) => {
    const [x, v, w] = inputs;
    const fits =
      v!.rows === x!.cols &&
      (w === undefined || (w.rows === x!.rows && (w.cols === 1 || w.cols === v!.cols)));
    if (!fits) throw shapeError('mmchain', 'X n x d, v d x k and weights n x 1 or n x k', inputs);
    return { rows: x!.cols, cols: v!.cols };
  },
  rowRule: (inputs) => ({
    kind: 'reduce',
    blocked: inputs.length === 3 ? [true, false, true] : [true, false],
  }),
  flops: (inputs) => 4 * inputs[0]!.rows * inputs[0]!.cols * inputs[1]!.cols,
  reference: ([x, v, w]) => {
    const product = multiply(x!, v!);
    const weighted = w ? applyCells('mmchain', (a, b) => a * b, [product, w]) : product;
    return multiply(x!, weighted, true);
  },
  merge: add,
  batch: ({ one, operands: [x, v, w], maker, columns, repeatCols }) => {
    if (x!.layout !== 'shared') return undefined;
    const inputs = [x!.expr, columns(v!)];
    if (w?.layout === 'shared' && w.cols === 1) inputs.push(w.expr);
    else if (w !== undefined) inputs.push(repeatCols(columns(w), 1, v!.cols / w.cols));
    return { layout: 'columns', expr: maker.intern(one.op, inputs) };
  },
  gradient: ({ node, upstream: g, isWanted, make, unbroadcast }) => {
    const [x, v, w] = node.inputs as [Expr, Expr, Expr?];
    const weighted = (product: Expr): Expr => (w ? make(mul, [product, w]) : product);
    const product = make(matmul, [x, v]);
    const upper = make(matmul, [x, g]);
    const byX = (): Expr =>
      make(add, [
        make(matmul, [weighted(product), g], { transposeB: true }),
        make(matmul, [weighted(upper), v], { transposeB: true }),
      ]);
    return [
      isWanted[0] ? byX() : undefined,
      isWanted[1] ? make(matmul, [x, weighted(upper)], { transposeA: true }) : undefined,
      w && isWanted[2] ? unbroadcast(make(mul, [product, upper]), w, product) : undefined,
    ];
  },
  findBy: () => [{ operand: 0, by: 'rows' }],
  cases: [
    { name: 'vector', inputs: [sample(17, 4), sample(4, 1, 2)] },
    { name: 'weighted vector', inputs: [sample(17, 4), sample(4, 1, 2), sample(17, 1, 3)] },
    { name: 'several vectors', inputs: [sample(9, 4), sample(4, 3, 2)] },
    { name: 'several vectors, one weight', inputs: [sample(9, 4), sample(4, 3, 2), sample(9, 1)] },
    { name: 'several vectors, own weights', inputs: [sample(9, 4), sample(4, 3, 2), sample(9, 3)] },
    { name: 'one row', inputs: [sample(1, 4), sample(4, 1, 2), sample(1, 1)] },
    { name: '1x1', inputs: [sample(1, 1), sample(1, 1, 2)] },
  ],
});
