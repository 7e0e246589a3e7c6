/**
 * Systems and Cholesky factors of the K models of a stack, one node each. A singular model does not
 * fail the others, as it would fail a `solve` of its own: its part of the result is NaN, and a
 * caller who needs to know asks `isNaN`.
 */
import { SingularError } from '../errors.js';
import type { Meta } from '../ir/expr.js';
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { choleskyFactor, sampleSpd, solveSystem } from './linear-systems.js';
import { type ModelView, modelView, putModel, takeModel } from './model-stack.js';
import { sample } from './product.js';
import { choiceAttr, shapeError, sizeAttr } from './shape-check.js';

/** A and B of each model, and the diagonal that is added to its A. */
export interface StackedSystems {
  readonly a: ModelView;
  readonly b: ModelView;
  readonly diagonal?: ModelView;
}

/** @throws ShapeError */
export function stackedSystems(inputs: readonly Meta[], models: number): StackedSystems {
  const [a, b, d] = inputs;
  const matrices = modelView(a!, a!.rows === a!.cols ? 'shared' : 'stack', models);
  const sides = modelView(b!, 'columns', models);
  const diagonal = d && modelView(d, 'columns', models);
  const fits =
    matrices?.rows === a!.cols &&
    sides?.rows === a!.cols &&
    (d === undefined || (diagonal?.cols === 1 && (d.rows === 1 || d.rows === a!.cols)));
  if (fits) return { a: matrices, b: sides, ...(diagonal && { diagonal }) };
  throw shapeError(
    'stackSolve',
    `A (${models} r) x r or r x r, B r x (${models} c) and a diagonal r x ${models} or 1 x ${models}`,
    inputs,
  );
}

/** The part of a model, NaN where it is singular. */
function orNaN(of: () => Float64Matrix, cells: number): Float64Array {
  try {
    return of().data;
  } catch (error) {
    if (error instanceof SingularError) return new Float64Array(cells).fill(NaN);
    throw error;
  }
}

/**
 * X_k with A_k %*% X_k = B_k, or (A_k + diag(d_k)) %*% X_k = B_k. inputs: A (K r) x r, or r x r for
 * all models; B r x (K c); optionally d, r x K, or 1 x K for d_k * I. attrs: models; assume as of
 * `solve`. output: r x (K c).
 */
export const stackSolve = defineOp({
  name: 'stackSolve',
  arity: { min: 2, max: 3 },
  work: 'factorise',
  infer: (inputs, attrs) => {
    stackedSystems(inputs, sizeAttr('stackSolve', attrs, 'models'));
    if (attrs.assume !== undefined) choiceAttr('stackSolve', attrs, 'assume', ['general', 'spd']);
    return { rows: inputs[1]!.rows, cols: inputs[1]!.cols };
  },
  flops: ([a, b], attrs) => {
    const n = a!.cols;
    const factor = (attrs.assume === 'spd' ? 1 / 3 : 2 / 3) * n ** 3;
    return (attrs.models as number) * factor + 2 * n * n * b!.cols;
  },
  reference: (inputs, { models, assume }, { dtype }) => {
    const [a, b, d] = inputs;
    const views = stackedSystems(inputs, models as number);
    const out = new Float64Array(b!.data.length);
    for (let k = 0; k < (models as number); k++) {
      const operands = [takeModel(a!, views.a, k), takeModel(b!, views.b, k)];
      if (views.diagonal !== undefined) operands.push(takeModel(d!, views.diagonal, k));
      const { rows, cols } = views.b;
      const cells = orNaN(() => solveSystem(operands, assume, dtype), rows * cols);
      putModel(out, views.b, k, cells);
    }
    return dense(b!.rows, b!.cols, out);
  },
  cases: [
    {
      name: 'positive definite, a side each',
      inputs: [spdStack(3, 4), sample(4, 3, 2)],
      attrs: { models: 3, assume: 'spd' },
    },
    {
      name: 'general, two sides each',
      inputs: [sample(8, 4, 7), sample(4, 4, 2)],
      attrs: { models: 2 },
      tolerance: 1e-9,
    },
    {
      name: 'shared, penalised by a number each',
      inputs: [sampleSpd(4), sample(4, 3, 2), dense(1, 3, Float64Array.of(0.1, 1, 10))],
      attrs: { models: 3, assume: 'spd' },
    },
    {
      name: 'penalised by a column each',
      inputs: [spdStack(2, 3), sample(3, 2, 2), sample(3, 2, 4)],
      attrs: { models: 2 },
    },
    {
      name: 'a singular model among others',
      inputs: [withSingular(), sample(2, 3, 2)],
      attrs: { models: 3, assume: 'spd' },
    },
    {
      name: 'a singular model among others, by LU',
      inputs: [withSingular(), sample(2, 6, 2)],
      attrs: { models: 3 },
    },
    { name: '1x1', inputs: [sampleSpd(1), sample(1, 1)], attrs: { models: 1 } },
  ],
});

/** L_k with L_k %*% t(L_k) = A_k. input: A (K r) x r. output: (K r) x r, lower triangles. */
export const stackCholesky = defineOp({
  name: 'stackCholesky',
  arity: 1,
  work: 'factorise',
  infer: (inputs) => {
    const { rows, cols } = inputs[0]!;
    if (rows % cols === 0) return { rows, cols };
    throw shapeError('stackCholesky', 'square matrices one under the other', inputs);
  },
  flops: ([a]) => (a!.rows * a!.cols ** 2) / 3,
  reference: ([a], _attrs, { dtype }) => {
    const n = a!.cols;
    const models = a!.rows / n;
    const view = modelView(a!, 'stack', models)!;
    const out = new Float64Array(a!.data.length);
    for (let k = 0; k < models; k++) {
      const one = takeModel(a!, view, k);
      const factor = orNaN(() => choleskyFactor('stackCholesky', one, dtype), n * n);
      putModel(out, view, k, factor);
    }
    return dense(a!.rows, n, out);
  },
  cases: [
    { name: 'three of them', inputs: [spdStack(3, 4)] },
    { name: 'a singular one among others', inputs: [withSingular()] },
    { name: '1x1', inputs: [sampleSpd(1)] },
  ],
});

function spdStack(models: number, n: number): Float64Matrix {
  const stack = Array.from({ length: models }, (_, k) => [...sampleSpd(n, k + 1).data]).flat();
  return dense(models * n, n, Float64Array.from(stack));
}

function withSingular(): Float64Matrix {
  return dense(6, 2, Float64Array.of(2, 1, 1, 3, 4, 2, 2, 1, 5, 1, 1, 2));
}
