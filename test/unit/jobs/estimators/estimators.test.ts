/**
 * What every estimator of the list keeps: its row in the docs, its keys in job files, passes and
 * reuse as ridge regression has them, and predictions that its scores are of.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { Matrix, matrix, ops, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { elasticNet } from '../../../../jobs/estimators/elastic-net.js';
import type { Estimator, Params } from '../../../../jobs/estimators/estimator.js';
import { estimators } from '../../../../jobs/estimators/index.js';
import { linearDesign } from '../../../../jobs/estimators/linear-design.js';
import { decisionValues } from '../../../../jobs/estimators/model.js';
import { ridge } from '../../../../jobs/estimators/ridge.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import type { Grid } from '../../../../jobs/search/candidates.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import { bestTrial, type SearchResult } from '../../../../jobs/search/result.js';
import type { Metric } from '../../../../jobs/search/scoring/metrics.js';
import { assertClose } from '../../../support/close.js';
import { cells } from '../../../support/plan.js';

const FOLDS = 5;
const ROWS = 2000;
const COLUMNS = 6;
/** A fit has one of these. */
const SOLVERS = new Set([ops.solve, ops.leastNorm, ops.coordinateDescent]);
const MSE = 'neg_mean_squared_error';

async function open() {
  const session = new Session({ local: await createCpuBackend() });
  const X = matrix(session, cells(ROWS, COLUMNS));
  const y = matrix(session, cells(ROWS, 1, 2));
  const search = async (estimator: Estimator, grid: Grid, metric: Metric = 'r2') => {
    const run = session.run();
    const options = { cv: { folds: FOLDS }, estimator, grid, scoring: [metric] };
    const result = await gridSearch(run, { X: X.in(run), y: y.in(run), ...options });
    return { result, statistics: run.statistics };
  };
  return { session, X, y, search };
}

/** A grid of the parameter for any number from 0 on, or of the intercept where none exists. */
function gridsOf({ parameters }: Estimator): { first: Grid; wider: Grid; added: number } {
  const penalty = ['lambda', 'alpha'].find((name) => name in parameters.shape);
  if (penalty === undefined) {
    const first = { fit_intercept: [true] };
    return { first, wider: { fit_intercept: [true, false] }, added: 1 };
  }
  return { first: { [penalty]: [0.01, 0.1] }, wider: { [penalty]: [0.01, 0.1, 1] }, added: 1 };
}

/** Where a fit ends by a tolerance, one that leaves no digits to differ. */
function exact({ parameters }: Estimator): Params {
  return 'max_iter' in parameters.shape ? { alpha: 0.01, tol: 1e-14, max_iter: 100_000 } : {};
}

/** The first value of each parameter. */
function single(grid: Grid): Grid {
  return Object.fromEntries(Object.entries(grid).map(([name, values]) => [name, [values[0]!]]));
}

function scoresOf({ trials, refit }: SearchResult): number[] {
  return trials.flatMap((trial) => [...trial.splitScores[refit]!]);
}

describe('estimators', () => {
  it('say which fits did not converge, and keep them', async () => {
    const { session, X, y } = await open();
    const grid = { alpha: [1e-6, 1], max_iter: [1] };
    const options = {
      X,
      y,
      cv: { folds: FOLDS },
      estimator: elasticNet,
      grid,
      params: { tol: 1e-12 },
    };
    const { warnings, model } = await gridSearch(session, options);
    assert.match(
      warnings!.join('\n'),
      /^\d+ of 11 fits did not converge, the first \{"alpha":0.000001,"max_iter":1\}, fold 0: expected a duality gap of at most 1e-12 \(tol\) .*, got [\d.e-]+ after 1 sweeps; raise max_iter/,
    );
    assert.ok(model);
    await session.close();
  });

  it('elastic-net fits many penalties together as one by one', async () => {
    const { session, search } = await open();
    const { fitMany, ...alone } = elasticNet;
    assert.ok(fitMany);
    const grid = {
      alpha: [0.001, 0.01, 0.03, 0.1, 0.3, 1],
      l1_ratio: [0, 0.5, 1],
      tol: [1e-12],
      max_iter: [100_000],
    };
    const together = (await search(elasticNet, grid, MSE)).result;
    const apart = (await search(alone, grid, MSE)).result;
    for (const [i, score] of scoresOf(apart).entries()) {
      assert.ok(Math.abs(scoresOf(together)[i]! - score) <= 1e-8 * Math.abs(score));
    }
    assert.deepEqual(together.warnings, []);
    await session.close();
  });

  for (const estimator of estimators) {
    if (estimator.reads !== 'moments' || estimator.task !== 'regression') continue;
    const { name } = estimator;
    const { first, wider, added } = gridsOf(estimator);

    it(`${name} takes one pass, and none when it is searched again`, async () => {
      const { session, search } = await open();
      const once = await search(estimator, first);
      const counters = once.statistics.counters();
      assert.equal(counters.passes, 1);
      const fits = once.result.trials.length * FOLDS + 1;
      const other = await open();
      const same = await other.search(ridge, { lambda: once.result.trials.map((_, i) => i + 1) });
      await other.session.close();
      // At most: each fold's sum of squares of its target, and coefficients cut out of a fit.
      assert.ok(counters.kernels <= same.statistics.counters().kernels + fits + FOLDS + 1);
      const again = await search(estimator, first);
      assert.deepEqual(again.result, once.result);
      assert.equal(again.statistics.counters().kernels, 0);
      await session.close();
    });

    it(`${name} fits only the candidates added`, async () => {
      const { session, search } = await open();
      const { result: before } = await search(estimator, first);
      const { result, statistics } = await search(estimator, wider);
      assert.equal(statistics.counters().passes, 0);
      const solved = statistics.plans
        .flatMap((plan) => plan.nodes)
        .filter(({ expr }) => SOLVERS.has(expr.op));
      const isKnown = isDeepStrictEqual(bestTrial(result)?.params, bestTrial(before)?.params);
      assert.equal(solved.length, FOLDS * added + (isKnown ? 0 : 1));
      const cold = await open();
      assert.deepEqual(scoresOf(result), scoresOf((await cold.search(estimator, wider)).result));
      await Promise.all([session.close(), cold.session.close()]);
    });

    it(`${name} keeps a model that predicts what held-out rows are scored by`, async () => {
      const { session, X, y, search } = await open();
      const { result } = await search(estimator, single(first), MSE);
      // Fitted on all of the other rows, the model is that of the first fold.
      const held = ROWS / FOLDS;
      const { model } = await gridSearch(session, {
        X: X.slice([held, ROWS]),
        y: y.slice([held, ROWS]),
        cv: { folds: 2 },
        estimator,
        grid: single(first),
      });
      const errors = decisionValues(model!, X.slice([0, held])).sub(y.slice([0, held]));
      const loss = (await errors.sumSq().value()) / held;
      const score = result.trials[0]!.splitScores[MSE]![0]!;
      assert.ok(Math.abs(loss + score) <= 1e-12 * loss, `${loss} and ${score}`);
      await session.close();
    });

    for (const hasIntercept of [true, false]) {
      for (const standardize of [true, false]) {
        it(`${name} of a wide design is that of a narrow one: ${hasIntercept}, ${standardize}`, async () => {
          const { session, X, y } = await open();
          const fold = matrix(
            session,
            ROWS,
            1,
            Float64Array.from({ length: ROWS }, (_, i) => i % 3),
          );
          const known = matrix(
            session,
            ROWS,
            1,
            Float64Array.from({ length: ROWS }, (_, i) => +(i % 7 > 0)),
          );
          // The last column says where the one before it has no value.
          const missing = known.mul(-1).add(1);
          const encoded = X.slice(null, [0, COLUMNS - 1])
            .add(2)
            .cbind(X.slice(null, 0).square().mul(known), missing);
          const attrs = { groups: 3, center: true };
          const inputs = [fold, encoded, y].map(({ expr }) => expr);
          const gram = Matrix.of(session, session.intern(ops.groupGram, inputs, attrs));
          const imputations = [{ column: COLUMNS - 1, indicator: COLUMNS }];
          const { design } = linearDesign(session, COLUMNS + 1, imputations);
          const pairs = matrix(session, 1, 2, Float64Array.of(COLUMNS - 1, COLUMNS));
          const kept = matrix(
            session,
            COLUMNS + 2,
            1,
            Float64Array.from({ length: COLUMNS + 2 }, (_, j) => +(j < COLUMNS)),
          );
          const wide = {
            ...design,
            select: null,
            carry: null,
            wide: { pairs, kept, places: null, design: COLUMNS },
          };
          const rows = { gram, groups: 3, train: [0, 2], centered: true, standardize };
          const flag = 'intercept' in estimator.parameters.shape ? 'intercept' : 'fit_intercept';
          const params = estimator.parameters.parse({
            [flag]: hasIntercept,
            ...exact(estimator),
          }) as Params;
          const [one, other] = [design, wide].map((given) =>
            estimator.fit({ ...rows, design: given }, params),
          );
          const { weights, outputs } = one!;
          const pairsOfValues = [
            [other!.weights, weights],
            [other!.outputs.coefficients, outputs.coefficients],
            [other!.outputs.intercept, outputs.intercept],
            // Of the columns without missing values, a wide fit names no mean.
            [other!.outputs.imputed!.col(COLUMNS - 1), outputs.imputed!.col(COLUMNS - 1)],
          ] as const;
          for (const [at, [got, want]] of pairsOfValues.entries()) {
            assertClose(await got!.value(), await want!.value(), 1e-9, `value ${at}`);
          }
          await session.close();
        });
      }
    }

    it(`${name} is a job without a grid`, () => {
      const text = `kind: grid-search\ndata: {path: d.csv, target: y}\nmodel: {type: ${name}}\n`;
      const job = parseJob('job.yaml', text);
      assert.deepEqual(job.models[0]!.params, estimator.parameters.parse({}));
      assert.deepEqual(job.search.space[0]!.values, {});
      const document = job.document as { model: unknown };
      assert.deepEqual(document.model, { type: name, ...job.models[0]!.params });
    });
  }
});
