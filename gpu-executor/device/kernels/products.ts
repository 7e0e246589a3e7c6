/** Products of matrices, and of the models of a stack, as calls of one kernel. */
import { denseBytes, type Expr, type Meta } from '../../../driver/ir/expr.js';
import type { ModelView } from '../../../driver/operators/model-stack.js';
import { stackedProduct } from '../../../driver/operators/stack-product.js';
import type { DeviceProperties } from '../driver.js';
import { cellStep } from './cells.js';
import { type Lowered, loweredNode, type PlacedOperand, Scratch } from './lowered.js';
import { type Factor, type Product, productSteps } from './product-code.js';

type Sizes = Omit<Product, 'dtype' | 'isProcessor' | 'out'> & {
  readonly out?: Omit<Product['out'], 'operand'>;
};

function lowered(expr: Expr, isProcessor: boolean, sizes: Sizes): Lowered {
  const { n } = sizes;
  const out = { operand: { output: 0 }, row: n, col: 1, step: sizes.m * n, ...sizes.out };
  const scratch = new Scratch();
  const steps = productSteps({ ...sizes, dtype: expr.dtype, isProcessor, out }, scratch);
  return loweredNode(expr, steps, scratch.bytes);
}

/** A matrix as the factor whose rows are the outer side, or columns. */
function factor(operand: PlacedOperand, { cols }: Meta, isTransposed: boolean): Factor {
  return isTransposed
    ? { operand, outer: 1, inner: cols, step: 0 }
    : { operand, outer: cols, inner: 1, step: 0 };
}

export function lowerMatmul(expr: Expr, { isProcessor }: DeviceProperties): Lowered {
  const [x, y] = expr.inputs as [Expr, Expr];
  const { transposeA, transposeB } = expr.attrs;
  return lowered(expr, isProcessor, {
    m: expr.rows,
    n: expr.cols,
    inner: transposeA === true ? x.rows : x.cols,
    models: 1,
    a: factor({ input: 0 }, x, transposeA === true),
    b: factor({ input: 1 }, y, transposeB !== true),
  });
}

export function lowerTsmm(expr: Expr, { isProcessor }: DeviceProperties): Lowered {
  const [x] = expr.inputs as [Expr];
  const a = factor({ input: 0 }, x, true);
  const sides = { m: x.cols, n: x.cols, inner: x.rows };
  return lowered(expr, isProcessor, { ...sides, models: 1, a, b: a, isSymmetric: true });
}

export function lowerWeightedGram(expr: Expr, { isProcessor }: DeviceProperties): Lowered {
  const [x, w] = expr.inputs as [Expr, Expr];
  const a = factor({ input: 0 }, x, true);
  const weights = { operand: { input: 1 }, inner: w.cols, step: 1 };
  const sides = { m: x.cols, n: x.cols, inner: x.rows };
  return lowered(expr, isProcessor, {
    ...sides,
    models: w.cols,
    a,
    b: a,
    weights,
    isSymmetric: true,
  });
}

export function lowerStackProduct(expr: Expr, { isProcessor }: DeviceProperties): Lowered {
  const { models, a, b, out, transposeA, transposeB, m, n, k } = stackedProduct(
    expr.inputs,
    expr.attrs,
  );
  const side = (operand: PlacedOperand, view: ModelView, isTransposed: boolean): Factor => ({
    ...factor(operand, { rows: view.rows, cols: view.stride }, isTransposed),
    step: view.step,
  });
  return lowered(expr, isProcessor, {
    ...{ m, n, inner: k, models },
    a: side({ input: 0 }, a, transposeA),
    b: side({ input: 1 }, b, !transposeB),
    out: { row: out.stride, col: 1, step: out.step },
  });
}

/** Block c meets every C-th column from c on. */
export function lowerBlockProducts(expr: Expr, { isProcessor }: DeviceProperties): Lowered {
  const [blocks, q] = expr.inputs as [Expr, Expr];
  const p = q.rows;
  const models = blocks.rows / p;
  return lowered(expr, isProcessor, {
    ...{ m: p, n: q.cols / models, inner: p, models },
    a: { operand: { input: 0 }, outer: p, inner: 1, step: p * p },
    b: { operand: { input: 1 }, outer: models, inner: q.cols, step: 1 },
    out: { row: q.cols, col: models, step: 1 },
  });
}

/** t(X) %*% (w * (X %*% v)). */
export function lowerMmchain(expr: Expr, { isProcessor }: DeviceProperties): Lowered {
  const [x, v, w] = expr.inputs as [Expr, Expr, Expr?];
  const { dtype, rows: d, cols: k } = expr;
  const scratch = new Scratch();
  const product = { rows: x.rows, cols: k, dtype };
  const bytes = denseBytes(product);
  let inner = scratch.take(bytes);
  const steps = productSteps(
    {
      ...{ dtype, m: x.rows, n: k, inner: d, models: 1, isProcessor },
      a: factor({ input: 0 }, x, false),
      b: factor({ input: 1 }, v, true),
      out: { operand: inner, row: k, col: 1, step: 0 },
    },
    scratch,
  );
  if (w !== undefined) {
    const weighted = scratch.take(bytes);
    const operands = [
      { operand: inner, meta: product },
      { operand: { input: 2 }, meta: w },
    ];
    steps.push(cellStep('mul', operands, weighted, product));
    inner = weighted;
  }
  const last = productSteps(
    {
      ...{ dtype, m: d, n: k, inner: x.rows, models: 1, isProcessor },
      a: factor({ input: 0 }, x, true),
      b: factor(inner, product, true),
      out: { operand: { output: 0 }, row: k, col: 1, step: 0 },
    },
    scratch,
  );
  return loweredNode(expr, [...steps, ...last], scratch.bytes);
}
