/** Operands and plans that the partial-reuse tests share. */

import type { Evaluator } from '../../driver/ir/evaluator.js';
import { rand } from '../../driver/matrix/create.js';
import { Matrix } from '../../driver/matrix/matrix.js';
import { ops } from '../../driver/operators/index.js';
import type { PartialCase } from './partial-suite.js';

export const gram = (x: Matrix): Matrix => x.t().matmul(x);
/** Data never looked at: only its size counts. */
export const large = (s: Evaluator, rows: number, cols: number, seed = 1): Matrix =>
  rand(s, rows, cols, { seed });

export function flagged(A: Matrix, C: Matrix): Matrix {
  const expr = A.session.intern(ops.matmul, [A.expr, C.expr], { transposeA: true });
  return Matrix.of(A.session, expr);
}

/** The node that the simplify pass makes of it. */
export function simple(x: Matrix): Matrix {
  return Matrix.of(x.session, x.session.intern(ops.tsmm, [x.expr.inputs[1]!]));
}

export function bind(parts: readonly Matrix[]): Matrix {
  return parts.length === 1 ? parts[0]! : parts[0]!.rbind(...parts.slice(1));
}

export function bindCols(parts: readonly Matrix[]): Matrix {
  return parts.length === 1 ? parts[0]! : parts[0]!.cbind(...parts.slice(1));
}

export function rowsAdded(_s: Evaluator, A: Matrix, B: Matrix): PartialCase {
  return { cached: [gram(A)], target: gram(A.rbind(B)) };
}

/** Row i in group i mod 2. */
export function groups(s: Evaluator, rows: number): Matrix {
  const attrs = { rows, folds: 2, shuffle: false, seed: 0 };
  return Matrix.of(s, s.intern(ops.kfold, [], attrs));
}

export function groupGram(s: Evaluator, g: Matrix, x: Matrix, center: boolean): Matrix {
  return Matrix.of(s, s.intern(ops.groupGram, [g.expr, x.expr], { groups: 2, center }));
}

export function groupLoss(
  s: Evaluator,
  inputs: readonly Matrix[],
  losses: readonly string[] = ['squared', 'absolute'],
): Matrix {
  const exprs = inputs.map((input) => input.expr);
  return Matrix.of(s, s.intern(ops.groupLoss, exprs, { groups: 2, losses }));
}

export function modelsAdded(s: Evaluator, rows: number, models: number): PartialCase {
  const [g, X, y] = [groups(s, rows), large(s, rows, 20), large(s, rows, 1, 2)];
  const [a, b] = [large(s, 21, models, 3), large(s, 21, models, 4)];
  const [c, d] = [large(s, 21, 1, 5), large(s, 21, 1, 6)];
  const cached = [groupLoss(s, [g, X, y, a.cbind(b)])];
  return { cached, target: groupLoss(s, [g, X, y, a.cbind(c, b, d)]) };
}
