/**
 * What estimators that read rows are given: one that takes a Newton step of ridge regression over
 * the rows, from anywhere, ends at ridge regression, on every split, imputed and standardised, and
 * trains only the models that are new.
 */
import assert from 'node:assert/strict';
import { z } from 'zod';
import { matrix, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import type { Fit, RowData, RowEstimator } from '../../../../jobs/estimators/estimator.js';
import { ridge } from '../../../../jobs/estimators/ridge.js';
import { columnProducts } from '../../../../jobs/estimators/solvers/row-fit.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import type { GridSearchOptions } from '../../../../jobs/search/prepare.js';
import { cells } from '../../../support/plan.js';

let traced = 0;

/** w - H^-1 g at w = 1. */
function newtonStep({ X, y, weight, design }: RowData, lambda: RowData['X']): Fit {
  traced++;
  const { count, mean } = design.moments;
  const { scatter } = columnProducts(design);
  const { session } = X;
  const d = design.columns;
  const start = matrix(session, d + 1, 1, new Float64Array(d + 1).fill(1));
  const own = design.expand(start);
  const error = X.matmul(own.slice([0, X.cols]))
    .add(own.slice(X.cols))
    .sub(y)
    .mul(weight);
  const penalty = start.mul(
    matrix(
      session,
      d + 1,
      1,
      Float64Array.from({ length: d + 1 }, (_, j) => +(j < d)),
    ),
  );
  const gradient = design
    .contract(X.t().matmul(error).rbind(error.colSums()))
    .add(penalty.mul(lambda));
  const sums = mean.mul(count);
  const squares = scatter.add(sums.matmul(mean.t())).addDiag(lambda.asScalar());
  const hessian = squares.cbind(sums).rbind(sums.t().cbind(count.asMatrix()));
  const weights = start.sub(hessian.solve(gradient, { assume: 'spd' }));
  return {
    weights: design.expand(weights),
    outputs: design.outputs(weights),
    ending: count.asMatrix(),
  };
}

const newton: RowEstimator = {
  name: 'newton',
  description: '',
  solver: '',
  parameters: z.strictObject({ lambda: z.number().default(1), kind: z.string().default('a') }),
  task: 'regression',
  link: () => 'identity',
  outputs: () => 1,
  reads: 'rows',
  version: 1,
  stacked: ['lambda'],
  ends: ({ kind }) => ({ warn: () => `kind ${kind}` }),
  train: async (rows, { lambda }) => newtonStep(rows, lambda!),
};

const ROWS = 90;
const LAMBDAS = [0.5, 3];

/** Of a stack: once to know its size, once to run. */
const TRACES = 2;

describe('fits that read rows', () => {
  const cases = [false, true].flatMap((standardize) =>
    [false, true].map((imputes) => ({ standardize, imputes })),
  );
  for (const { standardize, imputes } of cases) {
    it(`are those of moments: standardised ${standardize}, imputed ${imputes}`, async () => {
      const session = new Session({ local: await createCpuBackend() });
      const known = matrix(
        session,
        ROWS,
        1,
        Float64Array.from({ length: ROWS }, (_, i) => +(i % 7 > 0)),
      );
      const plain = matrix(session, cells(ROWS, 3)).add(2);
      // The last column says where the one before it has no value.
      const X = imputes ? plain.cbind(plain.col(0).square().mul(known), known.neg().add(1)) : plain;
      const y = matrix(session, cells(ROWS, 1, 2));
      const options: GridSearchOptions = {
        X,
        y,
        cv: { folds: 3 },
        estimator: ridge,
        grid: { lambda: LAMBDAS },
        standardize,
        scoring: ['r2', 'neg_max_error'],
        imputations: imputes ? [{ column: 3, indicator: 4 }] : [],
      };
      const wanted = await gridSearch(session.run(), options);
      const got = await gridSearch(session.run(), { ...options, estimator: newton });
      for (const [t, { splitScores }] of wanted.trials.entries()) {
        for (const [name, scores] of Object.entries(splitScores)) {
          for (const [f, score] of scores.entries()) {
            const other = got.trials[t]!.splitScores[name]![f]!;
            assert.ok(Math.abs(other - score) < 1e-9, `${name}: ${other} and ${score}`);
          }
        }
      }
      assert.equal(got.bestIndex, wanted.bestIndex);
      assert.deepEqual(Object.keys(got.model!.imputed), Object.keys(wanted.model!.imputed));
      const [[ours], [theirs]] = [got.model!.coefficients, wanted.model!.coefficients];
      for (const [j, value] of theirs!.entries()) assert.ok(Math.abs(ours![j]! - value) < 1e-9);
      assert.ok(Math.abs(got.model!.intercepts[0]! - wanted.model!.intercepts[0]!) < 1e-9);
      assert.match(got.warnings!.join(), /7 of 7 fits did not converge, the first .*: kind a/);
      await session.close();
    });
  }

  it('of other kinds are stacks apart, and models that are there are not trained again', async () => {
    const session = new Session({ local: await createCpuBackend() });
    const X = matrix(session, cells(ROWS, 3));
    const y = matrix(session, cells(ROWS, 1, 2));
    const search = async (grid: GridSearchOptions['grid']): Promise<number> => {
      traced = 0;
      const options = { X, y, cv: { folds: 3 }, estimator: newton, grid, refit: false };
      await gridSearch(session.run(), options);
      return traced;
    };
    assert.equal(await search({ lambda: LAMBDAS, kind: ['a', 'b'] }), 2 * TRACES);
    assert.equal(await search({ lambda: LAMBDAS, kind: ['a', 'b'] }), 0);
    assert.equal(await search({ lambda: [...LAMBDAS, 9], kind: ['b'] }), TRACES);
    await session.close();
  });
});
