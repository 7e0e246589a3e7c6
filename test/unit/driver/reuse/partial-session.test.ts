/** Partial reuse in a session: each rule gives a cold run's value and runs only new operators. */
import assert from 'node:assert/strict';
import {
  type Evaluator,
  lineageKey,
  type Matrix,
  type ReuseSetting,
  Session,
} from '../../../../driver/index.js';
import { type Expr, topological } from '../../../../driver/ir/expr.js';
import type { DenseMatrix } from '../../../../driver/ir/value.js';
import { rand } from '../../../../driver/matrix/create.js';
import type { Statistics } from '../../../../driver/runtime/statistics.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { assertClose } from '../../../support/close.js';
import { MOVES, scenarios } from '../../../support/partial-scenarios.js';

async function open(reuse: ReuseSetting = 'full'): Promise<Session> {
  return new Session({ local: await createCpuBackend(), reuse });
}

/** How many of each operator ran that does more than move cells. */
function worked({ plans }: Statistics): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { expr } of plans.flatMap(({ nodes }) => nodes)) {
    if (!MOVES.has(expr.op.name)) counts[expr.op.name] = (counts[expr.op.name] ?? 0) + 1;
  }
  return counts;
}

function flopsOf({ plans }: Statistics): number {
  return plans
    .flatMap(({ nodes }) => nodes)
    .filter(({ expr }) => !MOVES.has(expr.op.name))
    .reduce((sum, { expr }) => sum + expr.op.flops(expr.inputs, expr.attrs, expr), 0);
}

describe('partial reuse in a session', () => {
  for (const [name, make] of Object.entries(scenarios)) {
    it(`computes only what is new: ${name}`, async () => {
      const cold = await open('off');
      const expected = await make(cold).second.value();
      const whole = flopsOf(cold.statistics);
      await cold.close();
      const session = await open();
      const { first, second, rule, works } = make(session);
      await Promise.all(first.map((x) => x.value()));
      const run = session.run();
      const { statistics } = run;
      const got = await second.in(run).value();
      assertClose(got, expected, 1e-9, name);
      const rules = statistics.plans.flatMap(({ partial }) =>
        [...(partial?.answers.values() ?? [])].map((answer) => answer.rule),
      );
      assert.ok(rules.includes(rule), `${rules}`);
      assert.deepEqual(worked(statistics), works);
      assert.equal(statistics.counters().partial, rules.length);
      assert.ok(flopsOf(statistics) < 0.75 * whole, `${flopsOf(statistics)} of ${whole} flops`);
      // What was put together is kept as the step itself.
      const again = session.run();
      assert.deepEqual(await second.in(again).value(), got);
      assert.equal(again.statistics.counters().kernels, 0);
      await session.close();
    });
  }

  const FOLDS = 8;
  const folds = (s: Evaluator): Matrix[] =>
    Array.from({ length: FOLDS }, (_, i) => rand(s, 2_000, 40, { seed: i + 1 }));
  const without = (parts: readonly Matrix[], i: number): Matrix => {
    const [first, ...rest] = parts.filter((_, k) => k !== i);
    return first!.rbind(...rest);
  };
  const ways: readonly (readonly [string, (s: Evaluator) => readonly Matrix[]])[] = [
    [
      'parts bound',
      (s) => {
        const parts = folds(s);
        return parts.map((_, i) => without(parts, i).tsmm());
      },
    ],
    [
      'ranges of one matrix',
      (s) => {
        const [first, ...rest] = folds(s);
        const X = first!.rbind(...rest).mul(2);
        const rows = X.rows / FOLDS;
        return Array.from({ length: FOLDS }, (_, i) => {
          const [from, to] = [i * rows, (i + 1) * rows];
          if (i === 0) return X.slice([to, X.rows]).tsmm();
          if (i === FOLDS - 1) return X.slice([0, from]).tsmm();
          return X.slice([0, from])
            .rbind(X.slice([to, X.rows]))
            .tsmm();
        });
      },
    ],
  ];
  for (const [what, make] of ways) {
    it(`computes the sums over all folds but one from one sum a fold: ${what}`, async () => {
      const cold = await open('off');
      const expected = await Promise.all(make(cold).map((x) => x.value()));
      await cold.close();
      const session = await open();
      const run = session.run();
      const { statistics } = run;
      const sums = make(run);
      const got = await Promise.all(sums.map((x) => x.value()));
      for (const [i, value] of got.entries()) assertClose(value, expected[i]!, 1e-9, `${i}`);
      const { tsmm, add } = worked(statistics);
      assert.equal(tsmm, FOLDS);
      // Prefixes, suffixes, and one addition to join them, for all but the first and the last.
      assert.equal(add, 2 * (FOLDS - 2) + (FOLDS - 2));
      await session.close();
    });
  }

  it('computes them fold by fold when they are asked for one after another', async () => {
    const session = await open();
    const parts = folds(session);
    const cold = await open('off');
    const coldParts = folds(cold);
    const run = session.run();
    const { statistics } = run;
    for (let i = 0; i < FOLDS; i++) {
      const got = await without(parts, i).in(run).tsmm().value();
      assertClose(got, await without(coldParts, i).tsmm().value(), 1e-9, `without ${i}`);
    }
    assert.equal(worked(statistics).tsmm, FOLDS);
    await Promise.all([session.close(), cold.close()]);
  });

  it('replaces one of many parts at the cost of the part', async () => {
    const session = await open();
    const parts = folds(session);
    const bound = (some: readonly Matrix[]): Matrix => some[0]!.rbind(...some.slice(1)).tsmm();
    await bound(parts).value();
    const replaced = session.run();
    const other = rand(session, 2_000, 40, { seed: 99 });
    await bound([...parts.slice(0, 3), other, ...parts.slice(4)])
      .in(replaced)
      .value();
    assert.equal(worked(replaced.statistics).tsmm, 1);
    const fewer = session.run();
    await bound([...parts.slice(0, 5), ...parts.slice(6)])
      .in(fewer)
      .value();
    assert.equal(worked(fewer.statistics).tsmm, undefined);
    await session.close();
  });

  it('borders every fold for columns that are added to cross-validated data, one after another', async () => {
    const [session, cold] = [await open(), await open('off')];
    const [rows, cols, added] = [32_000, 100, 2];
    /** The data with the first `count` of the new columns, every fold but one. */
    const folded = (s: Evaluator, count: number): Matrix[] => {
      const A = rand(s, rows, cols, { seed: 1 });
      const more = Array.from({ length: count }, (_, i) => rand(s, rows, 1, { seed: i + 2 }));
      const X = count === 0 ? A : A.cbind(...more);
      const at = (i: number): number => (i * rows) / FOLDS;
      return Array.from({ length: FOLDS }, (_, i) => {
        if (i === 0) return X.slice([at(1), rows]).tsmm();
        if (i === FOLDS - 1) return X.slice([0, at(i)]).tsmm();
        return X.slice([0, at(i)])
          .rbind(X.slice([at(i + 1), rows]))
          .tsmm();
      });
    };
    const values = (s: Evaluator, count: number): Promise<readonly DenseMatrix[]> =>
      Promise.all(folded(s, count).map((x) => x.value()));
    await values(session, 0);
    for (let count = 1; count <= added; count++) {
      const run = session.run();
      const { statistics } = run;
      const got = await values(run, count);
      const expected = await values(cold, count);
      for (const [i, value] of got.entries()) assertClose(value, expected[i]!, 1e-9, `${i}`);
      const sums = statistics.plans.flatMap(({ nodes }) =>
        nodes.filter(({ expr }) => expr.op.name === 'tsmm').map(({ expr }) => expr.cols),
      );
      assert.deepEqual(sums, Array(FOLDS).fill(1), 'only of the column that is new');
    }
    await Promise.all([session.close(), cold.close()]);
  });

  it('runs only the rest of a pipeline that begins as another did', async () => {
    const session = await open();
    const X = rand(session, 20_000, 40, { seed: 1, distribution: 'normal' });
    const scaled = X.sub(X.colMeans()).div(X.colVariances().sqrt());
    const B = rand(session, 40, 30, { seed: 2 });
    await scaled.matmul(B).colSums().value();
    const before = new Set(
      topological([scaled.matmul(B).expr]).map((expr: Expr) => lineageKey(expr)),
    );
    await scaled.matmul(B).value();
    const run = session.run();
    const { statistics } = run;
    await scaled.in(run).matmul(B).exp().colMaxs().value();
    assert.deepEqual(worked(statistics), { exp: 1, colMaxs: 1 });
    for (const { expr } of statistics.plans.flatMap(({ nodes }) => nodes)) {
      assert.ok(!before.has(lineageKey(expr)), expr.op.name);
    }
    await session.close();
  });
});
