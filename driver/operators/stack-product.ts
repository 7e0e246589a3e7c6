/**
 * op(A_k) %*% op(B_k) for the K models of a stack, one node. attrs: models; a, b, out: how operands
 * and result stand (`model-stack.ts`; default a `stack`, b and out `columns`); transposeA,
 * transposeB. Tall operands go by rows: A as columns, not transposed, times a small B is a map;
 * t(A_k) %*% B_k of two tall operands sums the blocks' products.
 */
import type { Attrs } from '../ir/attrs.js';
import type { Meta } from '../ir/expr.js';
import { defineOp, type RowRule, wholeRule } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { add } from './cells.js';
import { layoutAttr, type ModelView, modelView, putModel, takeModel } from './model-stack.js';
import { multiply, sample } from './product.js';
import { flagAttr, shapeError, sizeAttr } from './shape-check.js';

export interface StackedProduct {
  readonly models: number;
  readonly a: ModelView;
  readonly b: ModelView;
  readonly out: ModelView;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Of one product: m x k times k x n. */
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

/** @throws ShapeError, PlanError, DTypeError */
export function stackedProduct(inputs: readonly Meta[], attrs: Attrs): StackedProduct {
  const models = sizeAttr('stackProduct', attrs, 'models');
  const layouts = layoutsOf(attrs);
  const a = modelView(inputs[0]!, layouts.a, models);
  const b = modelView(inputs[1]!, layouts.b, models);
  const transposeA = flagAttr('stackProduct', attrs, 'transposeA');
  const transposeB = flagAttr('stackProduct', attrs, 'transposeB');
  if (a !== undefined && b !== undefined) {
    const [m, k] = transposeA ? [a.cols, a.rows] : [a.rows, a.cols];
    const [inner, n] = transposeB ? [b.cols, b.rows] : [b.rows, b.cols];
    const isStack = layouts.out === 'stack';
    const shape = isStack ? { rows: models * m, cols: n } : { rows: m, cols: models * n };
    const out = modelView(shape, layouts.out, models)!;
    if (k === inner) return { models, a, b, out, transposeA, transposeB, m, k, n };
  }
  throw shapeError(
    'stackProduct',
    `A (${layouts.a}) and B (${layouts.b}) of ${models} models with equal inner sizes`,
    inputs,
  );
}

function layoutsOf(attrs: Attrs) {
  return {
    a: layoutAttr('stackProduct', attrs, 'a', 'stack'),
    b: layoutAttr('stackProduct', attrs, 'b', 'columns'),
    out: layoutAttr('stackProduct', attrs, 'out', 'columns'),
  };
}

const mapRule: RowRule = Object.freeze({ kind: 'map', blocked: [true, false] });
const reduceRule: RowRule = Object.freeze({ kind: 'reduce', blocked: [true, true] });

export const stackProduct = defineOp({
  name: 'stackProduct',
  arity: 2,
  work: 'product',
  infer: (inputs, attrs) => {
    const { models, m, n } = stackedProduct(inputs, attrs);
    const isStack = layoutsOf(attrs).out === 'stack';
    return isStack ? { rows: models * m, cols: n } : { rows: m, cols: models * n };
  },
  rowRule: (_inputs, attrs) => {
    const { a, b, out } = layoutsOf(attrs);
    if (a === 'stack') return wholeRule;
    if (attrs.transposeA !== true) return out === 'columns' ? mapRule : wholeRule;
    return b === 'stack' || attrs.transposeB === true ? wholeRule : reduceRule;
  },
  flops: (inputs, attrs) => {
    const { models, m, k, n } = stackedProduct(inputs, attrs);
    return 2 * models * m * k * n;
  },
  reference: (inputs, attrs) => {
    const [a, b] = inputs;
    const product = stackedProduct(inputs, attrs);
    const { models, m, n, out } = product;
    const data = new Float64Array(models * m * n);
    for (let k = 0; k < models; k++) {
      const left = takeModel(a!, product.a, k);
      const right = takeModel(b!, product.b, k);
      const one = multiply(left, right, product.transposeA, product.transposeB);
      putModel(data, out, k, one.data);
    }
    const isStack = layoutsOf(attrs).out === 'stack';
    return isStack ? dense(models * m, n, data) : dense(m, models * n, data);
  },
  merge: add,
  cases: [
    {
      name: 'a stack times columns',
      inputs: [sample(6, 3), sample(3, 4, 2)],
      attrs: { models: 2 },
    },
    {
      name: 'columns times columns, by rows',
      inputs: [sample(9, 6), sample(3, 4, 2)],
      attrs: { models: 2, a: 'columns' },
    },
    {
      name: 't(A) of columns times columns, sums over rows',
      inputs: [sample(9, 6), sample(9, 3, 2)],
      attrs: { models: 3, a: 'columns', transposeA: true },
    },
    {
      name: 't(A) of columns times columns, to a stack',
      inputs: [sample(9, 6), sample(9, 3, 2)],
      attrs: { models: 3, a: 'columns', transposeA: true, out: 'stack' },
    },
    {
      name: 'shared times a stack, transposed, to a stack',
      inputs: [sample(2, 3), sample(8, 3, 2)],
      attrs: { models: 2, a: 'shared', b: 'stack', transposeB: true, out: 'stack' },
    },
    {
      name: 't(A) of a stack times shared',
      inputs: [sample(6, 2), sample(3, 4, 2)],
      attrs: { models: 2, b: 'shared', transposeA: true },
    },
    {
      name: 't(A) shared times columns, sums over rows',
      inputs: [sample(9, 2), sample(9, 4, 2)],
      attrs: { models: 2, a: 'shared', transposeA: true },
    },
    { name: '1x1', inputs: [sample(1, 1), sample(1, 1, 2)], attrs: { models: 1 } },
  ],
});
