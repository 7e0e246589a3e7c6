/**
 * Work by groups of rows: folds, classes, clusters. The group of a row is a number in a column; rows
 * with other numbers than 0..groups-1 are in none. Building it computes nothing.
 */
import type { Attrs } from '../ir/attrs.js';
import type { OpDef } from '../ir/op-def.js';
import { ops } from '../operators/index.js';
import { makeExpr, requireOneSession } from './element-wise.js';
import { Matrix } from './matrix.js';

/**
 * Sums of the rows of each group.
 * @shape g: [n, 1], A: [n, c] -> [groups, c]; zeros for an empty group
 * @throws ShapeError
 */
export function groupSums(g: Matrix, A: Matrix, groups: number): Matrix {
  return made(ops.groupSums, [g, A], { groups });
}

/**
 * Row i is row g_i of a table: what its group has, beside each row.
 * @shape g: [n, 1], table: [groups, c] -> [n, c]; zeros for rows of no group
 * @throws ShapeError
 */
export function takeRows(g: Matrix, table: Matrix): Matrix {
  return made(ops.takeRows, [g, table]);
}

/**
 * X W + b of each row under the models of its group: in a search the models of the split that tests
 * the row.
 * @shape g: [n, 1], X: [n, d], W: [d + 1, groups * c], group by group, b in the last row -> [n, c];
 *   zeros for rows of no group
 * @throws ShapeError
 */
export function heldOut(g: Matrix, X: Matrix, W: Matrix, groups: number): Matrix {
  return made(ops.heldOut, [g, X, W], { groups });
}

function made(op: OpDef, operands: readonly [Matrix, ...Matrix[]], attrs?: Attrs): Matrix {
  const { session } = operands[0];
  for (const other of operands) requireOneSession(op.name, session, other.session);
  const inputs = operands.map(({ expr }) => expr);
  return Matrix.of(session, makeExpr(session, op, inputs, attrs));
}
