/**
 * Programs that must not compile, each marked by `@ts-expect-error`: the compiler fails the build
 * when one of them does. What must compile, with its type, stands beside them. The test itself only
 * says that this file was built.
 */
import assert from 'node:assert/strict';
import { type DenseMatrix, dense } from '../../driver/ir/value.js';
import { matrix, rand, scalar } from '../../driver/matrix/create.js';
import type { Matrix, Scalar } from '../../driver/matrix/matrix.js';
import type { OpName } from '../../driver/operators/index.js';
import { referenceEvaluator } from '../support/plan.js';

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function typeIs<_Claim extends true>(): void {}

const s = referenceEvaluator();
const X = matrix(s, [
  [1, 2],
  [3, 4],
]);
const sum = X.sum();

/** Never called. */
function mustNotCompile(): void {
  // @ts-expect-error an expression is not a number
  X * 2;
  // @ts-expect-error strings are no operands
  X.add('1');
  // @ts-expect-error the product wants a matrix; a number scales with mul
  X.matmul(2);
  // @ts-expect-error a scalar has no transpose
  sum.t();
  // @ts-expect-error a scalar times a matrix is a matrix, which has no number
  const wrong: Scalar = sum.mul(X);
  // @ts-expect-error a matrix is not a scalar
  const alsoWrong: Scalar = X;
  // @ts-expect-error nor the other way round
  const reverse: Matrix = sum;
  // @ts-expect-error random matrices need a seed
  rand(s, 2, 2, {});
  // @ts-expect-error uniform numbers have no mean
  rand(s, 2, 2, { seed: 1, mean: 3 });
  // @ts-expect-error rows are arrays of numbers
  matrix(s, [['a']]);
  // @ts-expect-error no such assumption
  X.solve(X, { assume: 'diagonal' });
  // @ts-expect-error nodes are immutable
  X.expr.rows = 3;
  // @ts-expect-error so are the objects
  X.expr = sum.expr;
  // @ts-expect-error no such operator
  const name: OpName = 'matmull';
  // @ts-expect-error a table over operators must be total
  const table: Record<OpName, number> = { add: 1 };
  // @ts-expect-error cells are float64
  dense(1, 1, [1]);
  void [wrong, alsoWrong, reverse, name, table];
}

describe('types', () => {
  it('of results follow the operands', () => {
    typeIs<Same<ReturnType<typeof X.sum>, Scalar>>();
    const scaled = X.add(1);
    typeIs<Same<typeof scaled, Matrix>>();
    const shifted = sum.add(1);
    typeIs<Same<typeof shifted, Scalar>>();
    const mixed = sum.mul(X);
    typeIs<Same<typeof mixed, Matrix>>();
    const either = scalar(s, 1).ifelse(X, 0);
    assert.ok(either);
    const value = (): Promise<DenseMatrix> => X.value();
    const number = (): Promise<number> => sum.value();
    assert.deepEqual(
      [value, number, mustNotCompile].map((f) => typeof f),
      Array(3).fill('function'),
    );
  });
});
