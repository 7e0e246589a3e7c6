/**
 * Paths: fits that begin where the one with the penalty before ended have the scores of fits that
 * begin at 0; a path is taken where it is less work.
 */
import assert from 'node:assert/strict';
import { matrix, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import type { RowEstimator } from '../../../../jobs/estimators/estimator.js';
import { linearSvm } from '../../../../jobs/estimators/linear-svm.js';
import { logistic } from '../../../../jobs/estimators/logistic.js';
import { gridSearch, searchSolvers } from '../../../../jobs/search/grid-search.js';
import { type GridSearchOptions, prepare } from '../../../../jobs/search/prepare.js';
import type { Metric } from '../../../../jobs/search/scoring/metrics.js';
import { cells } from '../../../support/plan.js';

const ROWS = 400;
const COLUMNS = 12;

/** Classes that columns of unlike sizes tell apart somewhat. */
function data(session: Session, classes: number): Pick<GridSearchOptions, 'X' | 'y' | 'classes'> {
  const noise = cells(ROWS, COLUMNS, 3);
  const labels = Float64Array.from({ length: ROWS }, (_, i) => (i * 7) % classes);
  const X = noise.data.map((cell, at) => {
    const [i, j] = [Math.floor(at / COLUMNS), at % COLUMNS];
    return (cell + (j % classes === labels[i] ? 0.8 : 0) + 0.5) * (1 + (j % 4));
  });
  return {
    X: matrix(session, ROWS, COLUMNS, X),
    y: matrix(session, ROWS, 1, labels),
    classes: Array.from({ length: classes }, (_, number) => number),
  };
}

function withPaths(estimator: RowEstimator, pays: boolean): RowEstimator {
  const follows: RowEstimator['follows'] = (params) => {
    const own = estimator.follows?.(params);
    return own && { ...own, pays: () => pays };
  };
  return { ...estimator, follows };
}

interface Case {
  readonly name: string;
  readonly estimator: RowEstimator;
  readonly classes: number;
  readonly metric: Metric;
  readonly more?: Partial<GridSearchOptions>;
}

const cases: readonly Case[] = [
  { name: 'several classes', estimator: logistic, classes: 4, metric: 'neg_log_loss' },
  { name: 'two classes', estimator: logistic, classes: 2, metric: 'neg_log_loss' },
  {
    ...{ name: 'no intercept, balanced', estimator: logistic, classes: 3, metric: 'neg_log_loss' },
    more: { params: { fit_intercept: false, class_weight: 'balanced', tol: 1e-6, max_iter: 500 } },
  },
  {
    ...{ name: 'standardised', estimator: logistic, classes: 3, metric: 'neg_log_loss' },
    more: { standardize: true },
  },
  { name: 'margins', estimator: linearSvm, classes: 3, metric: 'accuracy' },
];

describe('paths of fits', () => {
  let cpu: Awaited<ReturnType<typeof createCpuBackend>>;
  before(async () => {
    cpu = await createCpuBackend();
  });
  after(() => cpu.close());

  const search = async (of: Case, pays: boolean) => {
    const session = new Session({ local: cpu });
    const result = await gridSearch(session, {
      ...data(session, of.classes),
      estimator: withPaths(of.estimator, pays),
      grid: { C: [1, 1e-3, 0.03, 30] },
      cv: { folds: 3, shuffle: false },
      params: { tol: 1e-6, max_iter: 500 },
      scoring: [of.metric],
      refit: false,
      ...of.more,
    });
    assert.deepEqual(result.warnings, []);
    return { result, session };
  };

  for (const one of cases) {
    it(`${one.name}: the scores of fits from 0 on`, async () => {
      const [path, stack] = [await search(one, true), await search(one, false)];
      for (const [i, { meanScore }] of path.result.trials.entries()) {
        const other = stack.result.trials[i]!.meanScore[one.metric]!;
        const own = meanScore[one.metric]!;
        assert.ok(Math.abs(own - other) <= 1e-7 * Math.abs(other), `${own}, not ${other}`);
      }
    });
  }

  it('adds a penalty by training that alone', async () => {
    const session = new Session({ local: cpu });
    const options = {
      ...data(session, 3),
      estimator: withPaths(logistic, true),
      cv: { folds: 3, shuffle: false },
      scoring: ['neg_log_loss'],
      refit: false,
    } as const;
    const first = await gridSearch(session, { ...options, grid: { C: [0.01, 1] } });
    const more = await gridSearch(session, { ...options, grid: { C: [0.01, 0.1, 1] } });
    for (const at of [0, 1]) {
      assert.deepEqual(more.trials[2 * at]!.meanScore, first.trials[at]!.meanScore);
    }
  });

  it('says so where it pays: many columns of many classes, and not of few', () => {
    const pays = (rows: number, columns: number, outputs: number, steps = 10): boolean => {
      const size = { rows, columns, outputs, models: 5 * steps };
      return logistic.follows!({ penalty: 'l2' })!.pays(size, steps);
    };
    assert.equal(pays(10_000, 784, 10), true);
    assert.equal(pays(50_000, 100, 1), false);
    assert.equal(pays(1000, 20, 3), false);
    // Measured: 4 s of CPU time one after the other, 2 at once.
    assert.equal(pays(1000, 784, 10, 3), false);
    const session = new Session({ local: cpu });
    const prepared = prepare(session, {
      ...data(session, 3),
      estimator: withPaths(logistic, true),
      grid: { C: [0.01, 1] },
      cv: { folds: 3, shuffle: false },
      scoring: ['neg_log_loss'],
      refit: false,
    });
    assert.match(searchSolvers(prepared).join(), /one value of C after the other/);
  });
});
