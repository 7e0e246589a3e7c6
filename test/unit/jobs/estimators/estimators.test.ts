/**
 * What every estimator of the list keeps: its row in the docs, its keys in job files, passes and
 * reuse as ridge regression has them, and predictions that its scores are of.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { matrix, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { packageRoot } from '../../../../jobs/cli/package-info.js';
import type { Estimator } from '../../../../jobs/estimators/estimator.js';
import { estimators } from '../../../../jobs/estimators/index.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import type { Grid } from '../../../../jobs/search/candidates.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import { bestTrial, type SearchResult } from '../../../../jobs/search/result.js';
import type { Metric } from '../../../../jobs/search/scoring.js';
import { cells } from '../../../support/plan.js';

const FOLDS = 5;
const ROWS = 2000;
const COLUMNS = 6;
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

/** A grid of the parameter that takes any number from 0 on, or of the intercept where there is none. */
function gridsOf({ parameters }: Estimator): { first: Grid; wider: Grid; added: number } {
  const penalty = ['lambda', 'alpha'].find((name) => name in parameters.shape);
  if (penalty === undefined) {
    const first = { fit_intercept: [true] };
    return { first, wider: { fit_intercept: [true, false] }, added: 1 };
  }
  return { first: { [penalty]: [0.01, 0.1] }, wider: { [penalty]: [0.01, 0.1, 1] }, added: 1 };
}

/** The first value of each parameter. */
function single(grid: Grid): Grid {
  return Object.fromEntries(Object.entries(grid).map(([name, values]) => [name, [values[0]!]]));
}

function scoresOf({ trials, refit }: SearchResult): number[] {
  return trials.flatMap((trial) => [...trial.splitScores[refit]!]);
}

describe('estimators', () => {
  it('have rows in the docs with their parameters and defaults', () => {
    const text = readFileSync(join(packageRoot(), 'docs/job-file.md'), 'utf8');
    for (const { name, parameters } of estimators) {
      const row = text.split('\n').find((line) => line.startsWith(`| \`${name}\` `));
      const defaults = Object.entries(parameters.parse({}));
      const shown = defaults.map(
        ([key, value]) => `\`${key}\` ${value === 1e-6 ? '0.000001' : value}`,
      );
      assert.equal(row?.split('|')[2]?.trim(), shown.join(', '), name);
    }
  });

  for (const estimator of estimators) {
    const { name } = estimator;
    const { first, wider, added } = gridsOf(estimator);

    it(`${name} takes one pass, and none when it is searched again`, async () => {
      const { session, search } = await open();
      const once = await search(estimator, first);
      assert.equal(once.statistics.counters().passes, 1);
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
        .filter(({ expr }) => expr.op.work === 'factorise');
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
      const errors = estimator.predict(model!, X.slice([0, held])).sub(y.slice([0, held]));
      const loss = (await errors.sumSq().value()) / held;
      const score = result.trials[0]!.splitScores[MSE]![0]!;
      assert.ok(Math.abs(loss + score) <= 1e-12 * loss, `${loss} and ${score}`);
      await session.close();
    });

    it(`${name} is a job without a grid`, () => {
      const text = `kind: grid-search\ndata: {path: d.csv, target: y}\nmodel: {type: ${name}}\n`;
      const job = parseJob('job.yaml', text);
      assert.deepEqual(job.model.params, estimator.parameters.parse({}));
      assert.deepEqual(job.search.grid, {});
      const document = job.document as { model: unknown };
      assert.deepEqual(document.model, { type: name, ...job.model.params });
    });
  }
});
