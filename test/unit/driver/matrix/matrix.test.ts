/** The matrix API: identity, laziness, results, kinds, errors with operator, shapes and line. */
import assert from 'node:assert/strict';
import { DTypeError, PlanError, ShapeError } from '../../../../driver/errors.js';
import type { Evaluator } from '../../../../driver/ir/evaluator.js';
import { dense } from '../../../../driver/ir/value.js';
import {
  eye,
  fill,
  matrix,
  ones,
  rand,
  scalar,
  seq,
  zeros,
} from '../../../../driver/matrix/create.js';
import {
  selectRows,
  weightedCrossEntropy,
  weightedLoss,
  weightedProduct,
} from '../../../../driver/matrix/factorise.js';
import { Matrix, Scalar } from '../../../../driver/matrix/matrix.js';
import { bestColumns, regroupSums } from '../../../../driver/matrix/regroup.js';
import { assertClose } from '../../../support/close.js';
import { cells, leaf, referenceEvaluator } from '../../../support/plan.js';

const s = referenceEvaluator();
const A = matrix(s, [
  [1, 2],
  [3, 4],
  [5, 6],
]);

describe('expressions', () => {
  it('are one object when equal', () => {
    assert.equal(A.add(1), A.add(1));
    assert.equal(A.t().matmul(A).sum(), A.t().matmul(A).sum());
    assert.equal(rand(s, 4, 2, { seed: 1 }), rand(s, 4, 2, { seed: 1, min: 0 }));
    assert.notEqual(A.add(1), A.add(2));
    assert.notEqual(A.sub(1), scalar(s, 1).sub(A));
    assert.equal(A.mul(0), A.mul(-0));
  });

  it('are frozen and compute nothing until asked', async () => {
    let asked = 0;
    const counting: Evaluator = {
      intern: (...args) => s.interner.intern(...args),
      evaluate: (exprs) => {
        asked++;
        return s.evaluate(exprs);
      },
      explain: () => '',
    };
    const x = matrix(counting, [[1, 2]])
      .add(1)
      .exp()
      .sum();
    assert.ok(Object.isFrozen(x));
    assert.ok(Object.isFrozen(matrix(counting, [[9]])));
    assert.equal(asked, 0);
    assert.ok(Math.abs((await x.value()) - (Math.exp(2) + Math.exp(3))) < 1e-12);
    assert.equal(asked, 1);
  });

  it('say what they are, and refuse arithmetic signs', () => {
    assert.equal(String(A.t()), 'transpose 2x3');
    assert.equal(`${A.sum()}`, 'sum 1x1');
    assert.throws(() => (A as unknown as number) * 2, DTypeError);
    assert.throws(() => (A.sum() as unknown as number) + 1, /expected a method such as \.add\(\)/);
  });

  it('print their lineage, inputs first', () => {
    const text = A.t().matmul(A).sum().lineage().split('\n');
    assert.equal(text.length, 4);
    assert.match(text[0]!, /^#1 literal\{.*\} \(\) 3x2$/);
    assert.equal(text[3], '#4 sum (#3) 1x1');
    assert.equal(A.t().t().explain(), A.explain());
  });
});

describe('kinds', () => {
  it('follow the operands: scalars stay scalars until a matrix comes in', () => {
    const sum = A.sum();
    assert.ok(sum instanceof Scalar);
    assert.ok(sum.add(1).neg() instanceof Scalar);
    assert.ok(sum.add(A.mean()) instanceof Scalar);
    assert.ok(sum.mul(A) instanceof Matrix);
    assert.ok(A.mul(sum) instanceof Matrix);
    assert.ok(sum.gt(0).ifelse(1, 2) instanceof Scalar);
    assert.ok(sum.gt(0).ifelse(A, 0) instanceof Matrix);
    assert.ok(matrix(s, [[3]]).add(1) instanceof Matrix);
  });

  it('change on request, one object each', async () => {
    const m = matrix(s, [[3]]);
    const x = m.asScalar();
    assert.equal(x, m.asScalar());
    assert.equal(x.asMatrix(), m);
    assert.equal(x.expr, m.expr);
    assert.equal(await x.value(), 3);
    const sum = A.sum();
    assert.equal(sum.asMatrix(), sum.asMatrix());
    assert.equal(sum.asMatrix().asScalar(), sum);
    assert.throws(() => A.asScalar(), /asScalar: expected 1x1, got 3x2/);
  });
});

describe('values', () => {
  const check = async (m: Matrix, expected: number[][]): Promise<void> => {
    const want = dense(expected.length, expected[0]!.length, Float64Array.from(expected.flat()));
    assertClose(await m.value(), want, 1e-12, m.toString());
    assert.deepEqual((await m.toArray()).length, expected.length);
  };

  it('of element-wise methods broadcast', async () => {
    await check(A.add(10), [
      [11, 12],
      [13, 14],
      [15, 16],
    ]);
    await check(A.sub(A.colMeans()), [
      [-2, -2],
      [0, 0],
      [2, 2],
    ]);
    await check(A.div(A.rowSums()).rowSums(), [[1], [1], [1]]);
    await check(scalar(s, 1).sub(A.slice(0)), [[0, -1]]);
    await check(A.gt(3).ifelse(A, 0), [
      [0, 0],
      [0, 4],
      [5, 6],
    ]);
    await check(A.mod(3).pow(2).maximum(1), [
      [1, 4],
      [1, 1],
      [4, 1],
    ]);
  });

  it('of slices, binds and shapes', async () => {
    await check(A.row(1), [[3, 4]]);
    await check(A.col(1), [[2], [4], [6]]);
    await check(A.slice([1]), [
      [3, 4],
      [5, 6],
    ]);
    await check(A.slice(0).rbind(A.row(2)), [
      [1, 2],
      [5, 6],
    ]);
    await check(A.cbind(A.col(0)).row(2), [[5, 6, 5]]);
    await check(A.reshape(2, 3), [
      [1, 2, 3],
      [4, 5, 6],
    ]);
    await check(eye(s, 2).addDiag(1), [
      [2, 0],
      [0, 2],
    ]);
    await check(A.slice([0, 2]).diag(), [[1], [4]]);
    assert.equal(A.slice([0, 3]), A);
    assert.equal(A.reshape(3, 2), A);
    assert.equal(A.rbind(), A);
    assert.equal(await A.at(2, 1).value(), 6);
  });

  it('of aggregates', async () => {
    assert.equal(await A.sum().value(), 21);
    assert.equal(await A.mean().value(), 3.5);
    assert.equal(await A.min().add(A.max()).value(), 7);
    assert.equal(await A.sumSq().value(), 91);
    assert.equal(await A.variance().value(), 3.5);
    await check(A.colVariances(), [[4, 4]]);
    await check(A.rowMeans(), [[1.5], [3.5], [5.5]]);
    await check(A.neg().rowIndexMax(), [[0], [0], [0]]);
    assert.throws(() => A.row(0).colVariances(), /expected more than 1 values for ddof 1, got 1/);
  });

  it('of products and systems', async () => {
    const G = A.tsmm();
    await check(G, [
      [35, 44],
      [44, 56],
    ]);
    assertClose(await A.t().matmul(A).value(), await G.value(), 0, 'gram');
    const x = matrix(s, [[1], [-2]]);
    assertClose(await G.solve(G.matmul(x)).value(), await x.value(), 1e-10, 'general');
    const spd = G.solve(G.matmul(x), { assume: 'spd' });
    assertClose(await spd.value(), await x.value(), 1e-10, 'spd');
    const L = G.cholesky();
    assertClose(await L.matmul(L.t()).value(), await G.value(), 1e-12, 'cholesky');
    assertClose(
      await A.mmchain(x).value(),
      await A.t().matmul(A.matmul(x)).value(),
      1e-12,
      'chain',
    );
    await assert.rejects(
      matrix(s, [[0]])
        .solve(matrix(s, [[1]]))
        .value(),
      /pivot 0 at row 0/,
    );
  });

  it('of made matrices', async () => {
    await check(seq(s, 1, 2, 0.25), [[1], [1.25], [1.5], [1.75], [2]]);
    await check(seq(s, 3, 1), [[3], [2], [1]]);
    assert.equal(seq(s, 0, 1, 0.1).rows, 11);
    assert.throws(() => seq(s, 0, 1, -1), /seq: expected steps that lead from 0 to 1, got -1/);
    await check(
      fill(s, 1, 2, 7)
        .add(ones(s, 1, 2))
        .add(zeros(s, 1, 2)),
      [[8, 8]],
    );
    assert.equal(zeros(s, 2, 2), fill(s, 2, 2, -0));
    const normal = await rand(s, 50, 20, { seed: 5, distribution: 'normal', mean: 3 })
      .mean()
      .value();
    assert.ok(Math.abs(normal - 3) < 5 / Math.sqrt(1000));
  });
});

describe('matrices given by their cells', () => {
  it('are equal by content when small, whoever holds them', () => {
    assert.equal(matrix(s, [[1, 2]]), matrix(s, 1, 2, Float64Array.of(1, 2)));
    assert.equal(matrix(s, [[1, 2]]), matrix(s, dense(1, 2, Float64Array.of(1, 2))));
    assert.notEqual(matrix(s, [[1, 2]]), matrix(s, 2, 1, [1, 2]));
  });

  it('do not change when the source does', async () => {
    const source = Float64Array.of(1, 2);
    const m = matrix(s, 1, 2, source);
    source[0] = 99;
    assert.deepEqual(await m.toArray(), [[1, 2]]);
  });

  it('are known by their buffer when large, and copied only if asked', async () => {
    const { data } = cells(100, 50);
    const handed = matrix(s, 100, 50, data, { copy: false });
    assert.equal((await handed.value()).data, data);
    assert.equal(matrix(s, 100, 50, data, { copy: false }), handed);
    assert.notEqual(matrix(s, 50, 100, data, { copy: false }), handed);
    const half = matrix(s, 90, 50, data.subarray(500), { copy: false });
    assert.notEqual(matrix(s, 90, 50, data.subarray(0, 4500), { copy: false }), half);
    assert.notEqual((await matrix(s, 100, 50, data).value()).data, data);
  });

  it('refuse what is not a matrix of numbers', () => {
    const bad: readonly (readonly [() => unknown, RegExp])[] = [
      [() => matrix(s, []), /matrix: expected rows of equal length/],
      [() => matrix(s, [[1, 2], [3]]), /\(2 cells\), got 1 in row 1/],
      [() => matrix(s, [[1, 'x' as unknown as number]]), /a number at \(0, 1\), got string/],
      [() => matrix(s, [[undefined as unknown as number]]), /got undefined; use NaN/],
      [() => matrix(s, 2, 2, [1, 2, 3]), /got 3 for 2x2/],
      [() => matrix(s, 0, 2, []), /got 0 for 0x2/],
      [() => matrix(s, 'x' as unknown as number[][]), /got string/],
      [() => scalar(s, '1' as unknown as number), /scalar: expected a number, got string/],
    ];
    for (const [make, message] of bad) assert.throws(make, message);
  });
});

describe('errors', () => {
  it('name the operator, both shapes and the line that made the call', () => {
    assert.throws(
      () => A.add(leaf(s, 2, 2)),
      (error: Error) => {
        assert.ok(error instanceof ShapeError);
        assert.match(
          error.message,
          /^add: expected .*, got 3x2 and 2x2 \(at .*matrix\.test\.[jt]s:\d+:\d+\)$/,
        );
        assert.deepEqual(error.facts.shapes, ['3x2', '2x2']);
        assert.match(String(error.facts.callSite), /matrix\.test\.[jt]s:\d+:\d+$/);
        return true;
      },
    );
  });

  it('refuse operands that are not numbers or expressions, or of another session', () => {
    const wrong = ['1', null, undefined, [1], {}, 1n];
    for (const value of wrong) {
      assert.throws(() => A.add(value as unknown as number), DTypeError);
    }
    assert.throws(() => A.mul([1] as unknown as number), /mul: .*, got Array/);
    const other = leaf(referenceEvaluator(), 3, 2);
    const [W, mask] = [leaf(referenceEvaluator(), 3, 2), leaf(referenceEvaluator(), 3, 1)];
    const factors = { X: A, U: leaf(s, 3, 2), V: leaf(referenceEvaluator(), 2, 2) };
    const asked: readonly (() => unknown)[] = [
      () => A.add(other),
      () => bestColumns(A, W, [2]),
      () => regroupSums({ X: A, from: mask, to: mask }, [2]),
      () => selectRows(A, mask, 2),
      () => weightedLoss(factors),
      () => weightedCrossEntropy(factors),
      () => weightedProduct(factors, { cells: 'residual', side: 'left' }),
    ];
    for (const ask of asked) {
      assert.throws(
        ask,
        (error: Error) => error instanceof PlanError && /one session, got two/.test(error.message),
      );
    }
  });

  it('refuse guards of products that stand for nothing', () => {
    const factors = { X: A, U: leaf(s, 3, 2), V: leaf(s, 2, 2) };
    assert.throws(
      () => weightedProduct(factors, { cells: 'residual', side: 'left', plus: 1 }),
      /wdivmm: expected plus and least with cells quotient, got them with cells residual/,
    );
    assert.throws(
      () => weightedCrossEntropy(factors, { least: Number.NaN }),
      /wcemm: expected a finite least, got NaN/,
    );
  });

  it('refuse slices that leave the matrix', () => {
    assert.throws(() => A.row(3), /slice: expected rows \[3, 4\) within \[0, 3\), got 3x2/);
    assert.throws(() => A.slice(null, [-1, 1]), /cols \[-1, 1\)/);
    assert.throws(() => A.at(0, 2), ShapeError);
  });
});
