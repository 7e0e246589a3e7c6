/**
 * Paths: fits that begin where the one with the penalty before ended have the scores of fits that
 * begin at 0; a path is taken where it is less work. Rungs: so do those that begin at fits to fewer
 * rows with the curvature there, new ones among them, in fewer passes.
 */
import assert from 'node:assert/strict';
import { z } from 'zod';
import { matrix, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import type { Following, RowEstimator } from '../../../../jobs/estimators/estimator.js';
import { linearSvm } from '../../../../jobs/estimators/linear-svm.js';
import { logistic } from '../../../../jobs/estimators/logistic.js';
import { gridSearch, searchOf } from '../../../../jobs/search/grid-search.js';
import { groupSolvers, planSearch } from '../../../../jobs/search/plan-search.js';
import type { GridSearchOptions } from '../../../../jobs/search/prepare.js';
import { runSearch } from '../../../../jobs/search/run-search.js';
import type { Metric } from '../../../../jobs/search/scoring/metrics.js';
import { hyperband } from '../../../../jobs/search/strategies/hyperband.js';
import { cells } from '../../../support/plan.js';

const ROWS = 400;
const COLUMNS = 12;
const TIGHT = { tol: 1e-6, max_iter: 500 };
const STRENGTHS = [0.1, 1, 10];

/** Classes that columns of unlike sizes tell apart somewhat. */
function data(
  session: Session,
  classes: number,
  apart = 0.8,
  columns = COLUMNS,
): Pick<GridSearchOptions, 'X' | 'y' | 'classes'> {
  const noise = cells(ROWS, columns, 3);
  const labels = Float64Array.from({ length: ROWS }, (_, i) => (i * 7) % classes);
  const X = noise.data.map((cell, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    return (cell + (j % classes === labels[i] ? apart : 0) + 0.5) * (1 + (j % 4));
  });
  return {
    X: matrix(session, ROWS, columns, X),
    y: matrix(session, ROWS, 1, labels),
    classes: Array.from({ length: classes }, (_, number) => number),
  };
}

function withPaths(estimator: RowEstimator, pays: boolean | Following['pays']): RowEstimator {
  const follows: RowEstimator['follows'] = (params) => {
    const own = estimator.follows?.(params);
    return own && { ...own, pays: typeof pays === 'boolean' ? () => pays : pays };
  };
  return { ...estimator, follows };
}

interface Case {
  readonly name: string;
  readonly estimator: RowEstimator;
  readonly classes: number;
  readonly metric: Metric;
  readonly apart?: number;
  readonly columns?: number;
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
  {
    ...{ name: 'more columns than a block has', estimator: logistic, classes: 3 },
    ...{ apart: 0.1, columns: 140, metric: 'neg_log_loss' },
    more: { grid: { C: [0.1, 1e-3, 0.01] } },
  },
  { name: 'margins', estimator: linearSvm, classes: 3, metric: 'accuracy' },
  {
    ...{ name: 'margins of more columns', estimator: linearSvm, classes: 3, metric: 'accuracy' },
    ...{ columns: 140, more: { grid: { C: [1e-3, 0.01] } } },
  },
];

const SOFTMAX = {
  estimator: logistic,
  metric: 'neg_log_loss',
  far: 0,
  scale: 1,
  standardize: false,
} as const;

describe('paths of fits', () => {
  let cpu: Awaited<ReturnType<typeof createCpuBackend>>;
  before(async () => {
    cpu = await createCpuBackend();
  });
  after(() => cpu.close());

  const search = async (of: Case, pays: boolean) => {
    const session = new Session({ local: cpu });
    const result = await gridSearch(session, {
      ...data(session, of.classes, of.apart, of.columns),
      estimator: withPaths(of.estimator, pays),
      grid: { C: [1, 1e-3, 0.03, 30] },
      cv: { folds: 3, shuffle: false },
      params: TIGHT,
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

  const ledBy = (estimator: RowEstimator, isLed: boolean): RowEstimator => ({
    ...withPaths(estimator, true),
    startsInSingle: () => isLed,
  });
  for (const { name, estimator, metric, far, scale, standardize } of [
    { name: 'softmax', ...SOFTMAX },
    { name: 'margins', ...SOFTMAX, estimator: linearSvm, metric: 'accuracy' as const },
    { name: 'standardised', ...SOFTMAX, standardize: true },
    { name: 'columns that float32 tells little of', ...SOFTMAX, far: 1e6 },
    { name: 'columns beyond float32', ...SOFTMAX, scale: 1e39 },
  ]) {
    it(`passes in float32 lead and exact ones end: ${name}`, async () => {
      const found = async (isLed: boolean) => {
        const session = new Session({ local: cpu });
        const { X, ...rest } = data(session, 3);
        const { trials, warnings } = await gridSearch(session, {
          ...{ ...rest, X: X.mul(scale).add(far), estimator: ledBy(estimator, isLed) },
          grid: { C: [0.1, 3].map((C) => C / scale ** 2) },
          cv: { folds: 3, shuffle: false },
          ...{ params: TIGHT, scoring: [metric], refit: false, standardize },
        });
        const { passes } = session.statistics;
        return { scores: trials.map(({ meanScore }) => meanScore[metric]!), warnings, passes };
      };
      const [led, exact] = [await found(true), await found(false)];
      assert.deepEqual(led.warnings, exact.warnings);
      assert.notEqual(led.passes, exact.passes);
      for (const [i, score] of led.scores.entries()) {
        const other = exact.scores[i]!;
        assert.ok(Math.abs(score - other) <= 1e-7 * Math.abs(other), `${score}, not ${other}`);
      }
    });
  }

  it('says where passes in float32 lead, and adds a penalty to such fits alone', async () => {
    const session = new Session({ local: cpu });
    const options = {
      ...{
        ...data(session, 3),
        estimator: ledBy(logistic, true),
        cv: { folds: 3, shuffle: false },
      },
      ...({ params: TIGHT, scoring: ['neg_log_loss'], refit: false } as const),
    };
    const first = await gridSearch(session, { ...options, grid: { C: [0.01, 1] } });
    const before = session.statistics.passes;
    const again = await gridSearch(session, { ...options, grid: { C: [0.01, 1] } });
    assert.equal(session.statistics.passes, before);
    assert.deepEqual(again.trials, first.trials);
    const [group] = planSearch(session, searchOf({ ...options, grid: { C: [0.01, 1] } })).groups;
    assert.match(groupSolvers(group!).join(), /float32 rows lead/);
  });

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

  it('rungs of rows: the scores of fits from 0 on, in fewer passes, new fits among them', async () => {
    const found = async (takesOver: boolean) => {
      const session = new Session({ local: cpu });
      const estimator = withPaths(logistic, (_, __, isBegun) => isBegun && takesOver);
      const { trials } = await runSearch(session, {
        ...{ ...data(session, 3, 3), models: [{ name: 'm', estimator, params: TIGHT }] },
        ...{ cv: { folds: 3, shuffle: false }, scoring: ['neg_log_loss'], refit: false },
        strategy: (facts) => {
          const settings = z.object(hyperband.keys).parse({ min_resources: 130 });
          return hyperband.begin([{ models: ['m'], values: { C: STRENGTHS } }], settings, facts);
        },
      });
      const last = trials.filter(({ rung }) => rung === 1);
      return { last, passes: session.statistics.passes };
    };
    const [own, begun] = [await found(true), await found(false)];
    assert.ok(own.passes < begun.passes, `${own.passes} passes, not below ${begun.passes}`);
    // The second bracket begins with all rows: its fits had none to fewer.
    assert.deepEqual(
      own.last.map(({ bracket }) => bracket),
      [0, 1],
    );
    const session = new Session({ local: cpu });
    const cold = await gridSearch(session, {
      ...{ ...data(session, 3, 3), estimator: logistic, params: TIGHT, grid: { C: STRENGTHS } },
      ...{ cv: { folds: 3, shuffle: false }, scoring: ['neg_log_loss'], refit: false },
    });
    for (const { params, meanScore } of own.last) {
      const other = cold.trials.find((trial) => trial.params.C === params.C)!;
      const [a, b] = [meanScore.neg_log_loss!, other.meanScore.neg_log_loss!];
      assert.ok(Math.abs(a - b) <= 1e-6 * Math.abs(b), `C ${params.C}: ${a}, not ${b}`);
    }
  });

  it('says so where it pays: many columns of many classes, and not of few', () => {
    const pays = (rows: number, columns: number, outputs: number, steps = 10, isBegun = false) => {
      const size = { rows, columns, outputs, models: 5 * steps };
      return logistic.follows!({ penalty: 'l2' })!.pays(size, steps, isBegun);
    };
    assert.equal(pays(10_000, 784, 10), true);
    assert.equal(pays(50_000, 100, 1), false);
    assert.equal(pays(1000, 20, 3), false);
    // Measured: 21 fits to a third of the digits, 4.8 s of CPU time so, 9 without curvature.
    assert.equal(pays(3333, 784, 10, 1, true), true);
    assert.equal(pays(50_000, 100, 1, 1, true), false);
    const session = new Session({ local: cpu });
    const options = searchOf({
      ...data(session, 3),
      estimator: withPaths(logistic, true),
      grid: { C: [0.01, 1] },
      cv: { folds: 3, shuffle: false },
      scoring: ['neg_log_loss'],
      refit: false,
    });
    const [group] = planSearch(session, options).groups;
    assert.match(groupSolvers(group!).join(), /one value of C after the other/);
  });
});
