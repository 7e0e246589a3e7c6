/**
 * Fits of wide and sparse rows that make no products of columns are the fits that make them, with
 * imputed, standardised and weighted columns; and plans say which are made, and why.
 */
import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import { type OpenSession, openSession } from '../../../../jobs/engines.js';
import type { Estimator } from '../../../../jobs/estimators/estimator.js';
import { lasso } from '../../../../jobs/estimators/lasso.js';
import { ridge } from '../../../../jobs/estimators/ridge.js';
import type { Job } from '../../../../jobs/job-file/job.js';
import { readJob } from '../../../../jobs/job-file/read-job.js';
import { planJob } from '../../../../jobs/plan-job.js';
import { runJob } from '../../../../jobs/run-job.js';
import type { RunRecord } from '../../../../jobs/runs/record.js';
import { chooseFit } from '../../../../jobs/search/choose-fit.js';
import { JobFolder } from '../../../support/job-folder.js';
import { wideCsv } from '../../../support/wide-csv.js';

/** The estimator as it was before it could do without products. */
function withProducts(estimator: Estimator): Estimator {
  if (estimator.reads === 'rows') {
    const { fitsWide: _, ...rest } = estimator;
    return rest;
  }
  if (estimator.reads !== 'moments') return estimator;
  const { byRows: _, ...rest } = estimator;
  return rest;
}

describe('fits by rows', () => {
  let folder: JobFolder;
  let open: OpenSession;
  before(() => {
    folder = new JobFolder();
    folder.write('data.csv', wideCsv());
  });
  after(() => folder.remove());
  beforeEach(async () => {
    open = await openSession('local');
  });
  afterEach(() => open.session.close());

  const jobOf = async (
    model: object,
    data: object,
    grid: object,
    scoring: string,
  ): Promise<Job> => {
    const job = {
      kind: 'grid-search',
      data: { path: 'data.csv', features: [{ name: 'city', encode: 'onehot' }, 'x'], ...data },
      model,
      search: { grid },
      cv: { type: 'kfold', folds: 2, shuffle: false },
      scoring: [scoring],
    };
    folder.write('job.yaml', stringify(job));
    return readJob(folder.file('job.yaml'), { overrides: [] });
  };

  const run = (job: Job): Promise<RunRecord> => runJob(job, { engine: 'local', open });

  const answers = ({ search: { trials, refit, model } }: RunRecord): number[] => [
    ...trials.flatMap(({ splitScores }) => splitScores[refit]!),
    ...model!.coefficients.flat(),
    ...model!.intercepts,
  ];

  const gap = { name: 'gap', impute: 'mean' };
  const cases = [
    {
      name: 'ridge',
      model: { type: 'ridge' },
      data: { target: 'y' },
      grid: { lambda: [0.1, 3] },
      scoring: 'r2',
    },
    {
      name: 'ridge without an intercept, imputed and standardised',
      model: { type: 'ridge', intercept: false },
      data: {
        target: 'y',
        standardize: true,
        features: [{ name: 'city', encode: 'onehot' }, 'x', gap],
      },
      grid: { lambda: [0.5, 20] },
      scoring: 'neg_mean_squared_error',
    },
    {
      name: 'lasso, weighted',
      model: { type: 'lasso', tol: 1e-10, max_iter: 5000 },
      data: { target: 'y', weight: 'w' },
      grid: { alpha: [1e-3, 0.1] },
      scoring: 'r2',
    },
    {
      name: 'elastic net, imputed and standardised',
      model: { type: 'elastic-net', tol: 1e-9, max_iter: 5000 },
      data: {
        target: 'y',
        standardize: true,
        features: [{ name: 'city', encode: 'onehot' }, 'x', gap],
      },
      grid: { alpha: [0.01], l1_ratio: [0, 0.3] },
      scoring: 'neg_mean_squared_error',
    },
    {
      name: 'logistic of three classes',
      model: { type: 'logistic', tol: 1e-6 },
      data: { target: 'kind' },
      grid: { C: [0.5] },
      scoring: 'neg_log_loss',
    },
    {
      name: 'poisson, imputed, standardised and weighted',
      model: { type: 'poisson', tol: 1e-6 },
      data: {
        target: 'count',
        weight: 'w',
        standardize: true,
        features: [{ name: 'city', encode: 'onehot' }, 'x', gap],
      },
      grid: { alpha: [0.1] },
      scoring: 'neg_mean_poisson_deviance',
    },
  ];
  for (const { name, model, data, grid, scoring } of cases) {
    it(`are the fits from products: ${name}`, async () => {
      const job = await jobOf(model, data, grid, scoring);
      const plan = await planJob(job, { engine: 'local', open });
      assert.equal(plan.fits[0]?.by, 'rows');
      assert.match(plan.fits[0]!.why!, /products of columns/);
      const found = answers(await run(job));
      const models = job.models.map((one) => ({ ...one, estimator: withProducts(one.estimator) }));
      const expected = answers(await run({ ...job, models }));
      assert.equal(found.length, expected.length);
      for (const [i, value] of found.entries()) {
        const error = Math.abs(value - expected[i]!);
        assert.ok(error <= 2e-5 * Math.max(1, Math.abs(expected[i]!)), `${i}: ${value} ${error}`);
      }
    });
  }

  it('are chosen where products take longer or do not fit', () => {
    const shape = { rows: 200_000, columns: 20_000, nonZeros: 1e6, groups: 5, fits: 50 };
    const choose = (over: object) => chooseFit(ridge, [{ lambda: 1 }], { ...shape, ...over });
    assert.equal(choose({}).estimator.reads, 'rows');
    assert.match(choose({}).why!, /which do not fit/);
    assert.equal(choose({ columns: 900 }).estimator, ridge);
    assert.equal(choose({ columns: 900 }).why, undefined);
    // A few fits of dense columns: their products are read often, rows would be for each.
    const dense = choose({ columns: 1500, rows: 20_000, nonZeros: undefined });
    assert.equal(dense.estimator, ridge);
    assert.match(dense.why!, /1,500 columns, 1500 cells of a row not zero/);
    const net = (over: object) => chooseFit(lasso, [{ alpha: 1 }], { ...shape, ...over });
    assert.equal(net({}).isByRows, true);
    assert.equal(net({ nonZeros: undefined }).isByRows, false);
  });
});
