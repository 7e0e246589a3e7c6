/** The whole rule list: what plans become, equal values for random programs, and the trace. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { simplify, simplifyRules } from '../../driver/compiler/simplify.js';
import { topological } from '../../driver/ir/expr.js';
import { printExprs } from '../../driver/ir/print.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { assertClose } from '../support/close.js';
import { evaluateExpr, formula, type Lazy, leaf, referenceEvaluator } from '../support/plan.js';

/** A program over square and column operands; steps are drawn from all that rules look at. */
function randomProgram(draws: readonly number[]): Matrix {
  const s = referenceEvaluator();
  const n = 4;
  const pool: Matrix[] = [leaf(s, n, n, 1), leaf(s, n, n, 2), leaf(s, n, n, 3)];
  const v = leaf(s, n, 1, 4);
  let next = 0;
  const draw = (max: number): number => draws[next++ % draws.length]! % max;
  const steps: readonly ((a: Matrix, b: Matrix) => Matrix)[] = [
    (a) => a.t(),
    (a) => a.neg(),
    (a, b) => a.add(b),
    (a) => a.add(0).mul(1),
    (a, b) => a.matmul(b).div(4),
    (a, b) => a.t().matmul(b).div(4),
    (a) => a.t().matmul(a).div(4),
    (a) => a.t().matmul(a.matmul(v)).matmul(v.t()).div(16),
    (a, b) =>
      a
        .cbind(b)
        .slice(null, [draw(n), n + 1])
        .slice(null, [0, 1])
        .matmul(v.t()),
    (a, b) => a.rbind(b).slice([1, 1 + n]),
    (a) => a.sub(a.t().sum().div(16)),
  ];
  for (let i = 0; i < 10; i++) {
    const step = steps[draw(steps.length)]!;
    pool.push(step(pool[draw(pool.length)]!, pool[draw(pool.length)]!));
  }
  return pool[pool.length - 1]!;
}

const drawsArbitrary = fc.array(fc.nat(10_000), { minLength: 20, maxLength: 40 });

describe('simplify', () => {
  it('keeps the value of random programs, and is idempotent', () => {
    let changed = 0;
    fc.assert(
      fc.property(drawsArbitrary, (draws) => {
        const program = randomProgram(draws);
        const [after] = simplify([program.expr], program.session);
        if (after !== program.expr) changed++;
        assertClose(evaluateExpr(after!), evaluateExpr(program.expr), 1e-9, program.toString());
        assert.equal(simplify([after!], program.session)[0], after);
        assert.equal(simplify([program.expr], program.session)[0], after);
      }),
      { numRuns: 150, seed: 7 },
    );
    assert.ok(changed > 75, `only ${changed} of 150 programs had anything to simplify`);
  });

  it('does the same with and without a trace', () => {
    fc.assert(
      fc.property(drawsArbitrary, (draws) => {
        const program = randomProgram(draws);
        const traced = simplify([program.expr], program.session, () => {});
        assert.deepEqual(simplify([program.expr], program.session), traced);
      }),
      { numRuns: 60, seed: 8 },
    );
  });

  it('turns normal equations as written into their fused forms', () => {
    const s = referenceEvaluator();
    const X = leaf(s, 20, 3);
    const y = leaf(s, 20, 1, 2);
    const model = X.t().matmul(X).addDiag(0.5).solve(X.t().matmul(y), { assume: 'spd' });
    const [after] = simplify([model.expr], s);
    assert.equal(
      formula(after!, { X, y }),
      'solve{assume:spd}(tsmm(X), matmul{transposeA:true}(X, y), 0.5)',
    );
  });

  it('traces the plan after each rule that changed it', () => {
    const s = referenceEvaluator();
    const X = leaf(s, 6, 3);
    const v = leaf(s, 3, 1, 2);
    const steps: string[] = [];
    const root: Lazy = X.t().t().add(0).t().matmul(X).matmul(v).sum();
    simplify([root.expr], s, (rule, roots) => {
      steps.push(`${rule}: ${formula(roots[0]!, { X, v })}`);
    });
    assert.deepEqual(steps, [
      'order-products: sum(matmul(transpose(add(transpose(transpose(X)), 0)), matmul(X, v)))',
      'remove-double-transpose: sum(matmul(transpose(add(X, 0)), matmul(X, v)))',
      'remove-identity: sum(matmul(transpose(X), matmul(X, v)))',
      'fold-transpose: sum(matmul{transposeA:true}(X, matmul(X, v)))',
    ]);
  });

  it('keeps a product that was asked for before, and so is cached', () => {
    const s = referenceEvaluator();
    const A = leaf(s, 6, 5);
    const B = leaf(s, 5, 7, 2);
    const v = leaf(s, 7, 1, 3);
    simplify([A.matmul(B).expr], s);
    const [after] = simplify([A.matmul(B).matmul(v).expr], s);
    assert.equal(formula(after!, { A, B, v }), 'matmul(matmul(A, B), v)');
  });

  it('shares what two roots have in common', () => {
    const s = referenceEvaluator();
    const X = leaf(s, 6, 3);
    const roots = simplify([X.t().matmul(X).sum().expr, X.t().t().tsmm().expr], s);
    assert.equal(roots[0]!.inputs[0], roots[1]);
  });

  it('walks a plan a hundred thousand nodes deep, then costs one look', function () {
    this.timeout(20_000);
    const s = referenceEvaluator();
    const X = leaf(s, 2, 2);
    let deep = X;
    for (let i = 0; i < 100_000; i++) deep = deep.add(X);
    const [after] = simplify([deep.neg().neg().expr], s);
    assert.equal(after, deep.expr);
    const order = topological([after!], (expr) => expr.simplified !== expr);
    assert.equal(order.length, 100_001);
    const started = performance.now();
    for (let i = 0; i < 1000; i++) simplify([deep.expr], s);
    assert.ok(performance.now() - started < 200, 'a simplified node must not be walked again');
  });

  it('lists each rule once, under the name of its file', () => {
    const names = simplifyRules.map((rule) => rule.name);
    assert.equal(new Set(names).size, names.length);
    for (const { name, algebra } of simplifyRules) {
      assert.match(name, /^[a-z]+(-[a-z]+)+$/);
      assert.match(algebra, /->/);
    }
  });

  it('prints plans with positions that do not depend on the session', () => {
    const text = (): string => {
      const s = referenceEvaluator();
      const X = leaf(s, 6, 3);
      return printExprs(topological(simplify([X.t().matmul(X).expr], s)));
    };
    assert.equal(text(), text());
    assert.match(text(), /\n#2 tsmm \(#1\) 3x3$/);
  });
});
