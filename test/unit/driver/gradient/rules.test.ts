/**
 * Every operator's gradient rule on its conformance cases against central differences, and the
 * gradient of that gradient. Cells where a function has a kink, told by its slopes on both sides,
 * have no derivative to compare.
 */
import assert from 'node:assert/strict';
import { evaluateByReference } from '../../../../driver/backend/reference-backend.js';
import { SingularError } from '../../../../driver/errors.js';
import { gradientExprs } from '../../../../driver/gradient/gradient.js';
import { type Expr, topological } from '../../../../driver/ir/expr.js';
import type { ConformanceCase, OpDef } from '../../../../driver/ir/op-def.js';
import { type DenseMatrix, dense, type Float64Matrix } from '../../../../driver/ir/value.js';
import { ops } from '../../../../driver/operators/index.js';
import { leaf, referenceEvaluator } from '../../../support/plan.js';

type Given = ReadonlyMap<Expr, Float64Matrix>;

/** The value of a 1x1 node over these leaves. */
function numberOf(order: readonly Expr[], given: Given): number {
  const values = new Map<Expr, DenseMatrix>(given);
  for (const node of order) {
    if (values.has(node)) continue;
    const inputs = node.inputs.map((input) => values.get(input)!);
    values.set(node, evaluateByReference(node, inputs));
  }
  return values.get(order.at(-1)!)!.data[0]!;
}

/** The same; NaN beyond the edge of what the operator takes. */
function numberIn(order: readonly Expr[], given: Given): number {
  try {
    return numberOf(order, given);
  } catch (error) {
    if (error instanceof SingularError) return Number.NaN;
    throw error;
  }
}

const moved = (value: Float64Matrix, at: number, by: number): Float64Matrix =>
  dense(
    value.rows,
    value.cols,
    value.data.map((cell, i) => (i === at ? cell + by : cell)),
  );

/** Cells compared, and those of them that are not 0; kinks are left out. */
function compare(
  loss: Expr,
  by: readonly Expr[],
  gradients: readonly Expr[],
  given: Given,
  what: string,
): { readonly compared: number; readonly slopes: number } {
  const order = topological([loss]);
  const at = numberOf(order, given);
  let compared = 0;
  let slopes = 0;
  for (const [i, operand] of by.entries()) {
    const value = given.get(operand)!;
    const made = topological([gradients[i]!]);
    const values = new Map<Expr, DenseMatrix>(given);
    for (const node of made) {
      if (values.has(node)) continue;
      const inputs = node.inputs.map((input) => values.get(input)!);
      values.set(node, evaluateByReference(node, inputs));
    }
    const gradient = values.get(gradients[i]!)!;
    assert.deepEqual([gradient.rows, gradient.cols], [value.rows, value.cols], what);
    for (const [cell, x] of value.data.entries()) {
      const h = 2e-6 * Math.max(1, Math.abs(x));
      const movedBy = (by: number): number =>
        numberIn(order, new Map(given).set(operand, moved(value, cell, by)));
      const [up, down, near] = [movedBy(h), movedBy(-h), movedBy(h / 4)];
      const [right, left] = [(up - at) / h, (at - down) / h];
      const nearest = (near - at) / (h / 4);
      const scale = Math.max(1, Math.abs(right), Math.abs(left), Math.abs(at));
      if (!Number.isFinite(right) || !Number.isFinite(left)) continue;
      if (Math.max(Math.abs(right - left), Math.abs(right - nearest)) > 1e-3 * scale) continue;
      const expected = (up - down) / (2 * h);
      const got = gradient.data[cell]!;
      assert.ok(
        Math.abs(got - expected) <= 1e-6 * scale,
        `${what}: expected ${expected} by cell ${cell} of operand ${i}, got ${got}`,
      );
      compared++;
      if (expected !== 0) slopes++;
    }
  }
  return { compared, slopes };
}

/** Numbers of rows and groups, and masks, by which nothing is derived. */
const isNumbering = (op: OpDef, operand: number): boolean =>
  operand === 0 ? op === ops.takeRows || op === ops.groupSums : op === ops.selectRows;

const hasFiniteCells = ({ inputs }: ConformanceCase): boolean =>
  inputs.every(({ data }) => data.every(Number.isFinite));

/** Sum of the cells times fixed numbers, so that each matters by itself. */
function weighed(session: ReturnType<typeof referenceEvaluator>, exprs: readonly Expr[]): Expr {
  const sums = exprs.map((expr, i) => {
    const weights = leaf(session, expr.rows, expr.cols, 5 + i).expr;
    return session.intern(ops.sum, [session.intern(ops.mul, [expr, weights])]);
  });
  return sums.reduce((total, one) => session.intern(ops.add, [total, one]));
}

describe('gradient rules', () => {
  for (const op of Object.values(ops)) {
    if (op.gradient === undefined) continue;
    it(op.name, () => {
      let [compared, slopes] = [0, 0];
      for (const test of op.cases.filter(hasFiniteCells)) {
        const session = referenceEvaluator();
        const inputs = test.inputs.map(
          (input, i) => leaf(session, input.rows, input.cols, 50 + i).expr,
        );
        const given = new Map(inputs.map((expr, i) => [expr, test.inputs[i]!]));
        const node = session.intern(op, inputs, test.attrs);
        if (node.dtype !== 'float64') continue;
        const by = inputs.filter((_, i) => !isNumbering(op, i));
        const loss = weighed(session, [node]);
        const withWeights = (expr: Expr): Given => {
          const all = new Map(given);
          for (const one of topological([expr])) {
            if (one.op !== ops.literal || all.has(one)) continue;
            all.set(one, one.payload as Float64Matrix);
          }
          return all;
        };
        const gradients = gradientExprs(session, loss, by);
        const first = compare(loss, by, gradients, withWeights(loss), `${op.name}, ${test.name}`);
        compared += first.compared;
        slopes += first.slopes;
        const second = weighed(session, gradients);
        const curvatures = gradientExprs(session, second, by);
        compare(second, by, curvatures, withWeights(second), `twice ${op.name}, ${test.name}`);
      }
      assert.ok(compared > 0, 'no cell was compared');
      const isFlat = op.gradient!.length === 0;
      assert.equal(slopes > 0, !isFlat, isFlat ? 'has a slope' : 'has no slope');
    });
  }
});
