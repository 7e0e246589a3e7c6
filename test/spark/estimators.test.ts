/** Every estimator and split on embedded Spark: the passes, scores and models of this machine. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { type OpenSession, openSession } from '../../jobs/engines.js';
import { estimators } from '../../jobs/estimators/index.js';
import { parseJob } from '../../jobs/job-file/read-job.js';
import { planJob } from '../../jobs/plan-job.js';
import { type PredictOptions, predict } from '../../jobs/predict/predict.js';
import { runJob } from '../../jobs/run-job.js';
import { farAddress, farStorage } from '../support/far-storage.js';
import { JobFolder } from '../support/job-folder.js';
import { sklearnFolder } from '../support/sklearn-fixtures.js';
import { wideCsv } from '../support/wide-csv.js';

const MODELS: Readonly<Record<string, unknown>> = {
  ridge: { lambda: [0.1, 10] },
  ols: {},
  lasso: { alpha: [0.01, 0.3] },
  'elastic-net': { alpha: [0.01, 0.3], l1_ratio: [0.2, 0.8] },
};

const SPLITS: Readonly<Record<string, unknown>> = {
  stratified: { stratify: 'group', folds: 4 },
  'stratified, shuffled twice': { stratify: 'group', folds: 3, repeats: 2, seed: 5 },
  'time series': { type: 'time-series', folds: 4, gap: 3 },
  'stratified groups': { group: 'group', stratify: 'fold', folds: 3 },
  drawn: { type: 'shuffle', folds: 2, test_size: 0.2, train_size: 90 },
};

describe('estimators on Spark', function () {
  this.timeout(300_000);
  let local: OpenSession;
  let spark: OpenSession;
  let warehouse: string;
  before(async () => {
    warehouse = mkdtempSync(join(tmpdir(), 'reprise-tables-'));
    const conf = { ...farStorage, 'spark.sql.warehouse.dir': pathToFileURL(warehouse).href };
    const [none, section] = [undefined, { conf, packages: [] }];
    [local, spark] = [
      await openSession('local'),
      await openSession('spark', none, none, 'blocks', section),
    ];
  });
  after(async () => {
    await Promise.all([local.session.close(), spark.session.close()]);
    rmSync(warehouse, { recursive: true, force: true });
  });

  it('in float32 as on this machine: the cells are rounded alike', async () => {
    const features = ['x5', { name: 'x1', impute: 'mean' }, { name: 'third', sql: 'x5 / 3' }];
    const data = { path: 'missing.csv', target: 'y', features, dtype: 'float32' };
    const document = { kind: 'grid-search', data, model: { type: 'ridge' } };
    const job = parseJob(`${sklearnFolder}/job.yaml`, JSON.stringify(document));
    const scores = [local, spark].map(async (open, i) => {
      const record = await runJob(job, { engine: i === 0 ? 'local' : 'spark', open });
      return record.search.trials[0]!.splitScores.r2!;
    });
    const [ours, theirs] = await Promise.all(scores);
    for (const [f, score] of theirs!.entries()) assert.ok(Math.abs(score - ours![f]!) <= 1e-12);
  });

  it('have files of this machine profiled here, before the JVM is warm', async () => {
    const features = [{ name: 'x5', encode: 'bin', bins: 3 }, 'x1'];
    const data = { path: 'regression.csv', target: 'y', features };
    const document = { kind: 'grid-search', data, model: { type: 'ridge', lambda: 3 } };
    const job = parseJob(`${sklearnFolder}/job.yaml`, JSON.stringify(document));
    const before = spark.duckdb!.scans;
    const there = await runJob(job, { engine: 'spark', open: spark });
    assert.ok(spark.duckdb!.scans > before, 'DuckDB read them');
    assert.deepEqual([there.scans, there.passes, there.sparkJobs], [1, 1, 1]);
    const here = await runJob(job, { engine: 'local', open: local });
    const [theirs, ours] = [there, here].map((run) => run.search.trials[0]!.splitScores.r2!);
    for (const [f, score] of theirs!.entries()) assert.ok(Math.abs(score - ours![f]!) <= 1e-12);
  });

  it('read wide and sparse rows as on this machine', async () => {
    const folder = new JobFolder();
    folder.write('data.csv', wideCsv());
    const features = [{ name: 'city', encode: 'onehot' }, 'x', { name: 'gap', impute: 'mean' }];
    const [prepared, plain] = [{ features, standardize: true }, { features: features.slice(0, 2) }];
    const searches = [
      { model: { type: 'ridge' }, target: 'y', grid: { lambda: [0.1, 3] }, scoring: 'r2' },
      { model: { type: 'lasso' }, target: 'y', grid: { alpha: [0.3] }, scoring: 'r2' },
      {
        model: { type: 'logistic' },
        target: 'kind',
        grid: { C: [0.01] },
        scoring: 'neg_log_loss',
      },
    ];
    for (const { model, target, grid, scoring } of searches) {
      const document = {
        kind: 'grid-search',
        // One category and a number alone, whose system ridge inverts.
        data: { path: 'data.csv', target, ...(model.type === 'ridge' ? plain : prepared) },
        model,
        search: { grid },
        cv: { type: 'kfold', folds: 2, shuffle: false },
        scoring: [scoring],
      };
      const job = parseJob(folder.file('job.yaml'), JSON.stringify(document));
      const plan = await planJob(job, { engine: 'spark', open: spark });
      assert.equal(plan.fits[0]?.by, 'rows');
      const [here, there] = [
        await runJob(job, { engine: 'local', open: local }),
        await runJob(job, { engine: 'spark', open: spark }),
      ];
      const answers = [here, there].map(({ search }) => [
        ...search.trials.flatMap(({ splitScores }) => splitScores[scoring]!),
        ...search.model!.coefficients.flat(),
      ]);
      for (const [i, answer] of answers[1]!.entries()) {
        const error = Math.abs(answer - answers[0]![i]!);
        assert.ok(error <= 1e-5 * Math.max(1, Math.abs(answer)), `${model.type} ${i}: ${error}`);
      }
    }
    folder.remove();
  });

  for (const [name, cv] of Object.entries(SPLITS)) {
    it(`split rows as on this machine: ${name}`, async () => {
      const document = {
        kind: 'grid-search',
        data: { path: 'regression.csv', target: 'y', features: ['x1', 'x2', 'x3'] },
        model: { type: 'ridge' },
        cv,
        scoring: ['r2', 'neg_mean_absolute_error'],
      };
      const job = parseJob(`${sklearnFolder}/job.yaml`, JSON.stringify(document));
      const here = await runJob(job, { engine: 'local', open: local });
      const there = await runJob(job, { engine: 'spark', open: spark });
      assert.equal(there.search.folds, here.search.folds);
      for (const metric of there.search.metrics) {
        const [ours, theirs] = [here, there].map(
          (run) => run.search.trials[0]!.splitScores[metric]!,
        );
        for (const [f, score] of theirs!.entries()) {
          assert.ok(Math.abs(score - ours![f]!) <= 1e-9, `${metric}, split ${f}`);
        }
      }
    });
  }

  it('several models drawn at random, whose moments are one job', async () => {
    const distributions = [{ model: 'ridge', lambda: { uniform: [0, 1] } }, { model: 'lasso' }];
    const search = { type: 'random', trials: 6, seed: 2, distributions };
    const model = [{ type: 'ridge' }, { type: 'lasso' }];
    const data = { path: 'regression.csv', target: 'y' };
    const document = { kind: 'search', data, model, search };
    const job = parseJob(`${sklearnFolder}/job.yaml`, JSON.stringify(document));
    const here = await runJob(job, { engine: 'local', open: local });
    const there = await runJob(job, { engine: 'spark', open: spark });
    assert.equal(there.sparkJobs, 1);
    for (const [t, { splitScores }] of there.search.trials.entries()) {
      const ours = here.search.trials[t]!.splitScores.r2!;
      assert.ok(splitScores.r2!.every((score, f) => Math.abs(score - ours[f]!) <= 1e-9));
    }
  });

  it('every estimator as on this machine, in as many iterations', async () => {
    const folder = new JobFolder();
    const row = (i: number): string => {
      const [a, b, c] = [1, 2, 3].map((k) => Math.abs(Math.sin(i * k) + Math.cos(i / k)));
      const kind = ['low', 'mid', 'top'][Math.floor(a! + 0.3 * b!) % 3];
      return [a, b, c, 1 + a! + 0.2 * c! + (i % 3) / 5, kind].join(',');
    };
    const rows = Array.from({ length: 90 }, (_, i) => row(i));
    folder.write('data.csv', ['a,b,c,y,kind', ...rows].join('\n'));
    const small = { max_iter: 3, n_init: 1, n_clusters: 3, n_components: 2 };
    const hinge = { type: 'linear-svm', loss: 'hinge' };
    const others = [hinge, { type: 'nmf', beta_loss: 'kullback-leibler' }];
    // Of three columns no image is made for `cnn`.
    const names = estimators.map(({ name }) => name).filter((name) => name !== 'cnn');
    for (const { type, ...more } of [...names.map((type) => ({ type })), ...others]) {
      const { task, parameters } = estimators.find(({ name }) => name === type)!;
      const known = Object.entries(small).filter(([key]) => key in parameters.shape);
      const target = { regression: { target: 'y' }, classification: { target: 'kind' } };
      const document = {
        kind: 'grid-search',
        data: {
          path: 'data.csv',
          features: ['a', 'b', 'c'],
          ...(task in target ? target[task as keyof typeof target] : {}),
        },
        model: { type, ...Object.fromEntries(known), ...more },
        cv: { type: 'kfold', folds: 2, shuffle: true },
      };
      const job = parseJob(folder.file('job.yaml'), JSON.stringify(document));
      const here = await runJob(job, { engine: 'local', open: local });
      const there = await runJob(job, { engine: 'spark', open: spark });
      const [ours, theirs] = [here.search, there.search];
      for (const [f, score] of theirs.trials[0]!.splitScores[theirs.refit]!.entries()) {
        const wanted = ours.trials[0]!.splitScores[ours.refit]![f]!;
        assert.ok(Math.abs(score - wanted) <= 1e-8, `${type}, split ${f}: ${score}, ${wanted}`);
      }
      const [got, expected] = [theirs, ours].map(({ model }) => model!.coefficients.flat());
      for (const [j, value] of got!.entries()) {
        const size = Math.max(1, Math.abs(expected![j]!));
        assert.ok(Math.abs(value - expected![j]!) <= 1e-7 * size, `${type}: ${value}`);
      }
    }
    folder.remove();
  });

  it('predict as on this machine, file by file, for categories and gaps unknown in training', async () => {
    const folder = new JobFolder();
    const row = (i: number): string => `${i % 9 ? i : ''},${['Rome', 'Oslo'][i % 2]},${i ** 1.5}`;
    const rows = Array.from({ length: 50 }, (_, i) => row(i + 1));
    folder.write('train.csv', ['a,town,y', ...rows].join('\n'));
    const town = { name: 'town', encode: 'onehot' };
    const features = [
      { name: 'a', impute: 'mean' },
      { name: 'half', sql: 'a / 2', impute: 1 },
      town,
    ];
    const document = {
      kind: 'grid-search',
      data: { path: 'train.csv', target: 'y', features },
      model: { type: 'ridge' },
    };
    const job = parseJob(folder.file('job.yaml'), JSON.stringify(document));
    const { model } = await runJob(job, { engine: 'local', open: local });
    mkdirSync(folder.file('new'));
    folder.write('new/1.csv', 'a,town\n3,Rome\n,Lima\n4.5,\n');
    folder.write('new/2.csv', 'a,town\n8,Oslo\n,Oslo\n');
    const found = { model: model!, path: '', digest: '' };
    const answers = [local, spark].map(async (open, i) => {
      const out = folder.file(`out-${i}.csv`);
      const { summary } = await predict(found, folder.file('new'), {
        engine: open.engine,
        open,
        out,
        keep: ['town'],
        // Two rows at a time.
        collectedBytes: 16,
      });
      assert.deepEqual([summary.rowsRead, summary.engine], [5, open.engine]);
      return readFileSync(out, 'utf8')
        .trim()
        .split('\n')
        .map((line) => line.split(','));
    });
    const [ours, theirs] = await Promise.all(answers);
    assert.equal(theirs!.length, 6);
    for (const [i, [kept, prediction]] of theirs!.entries()) {
      assert.equal(kept, ours![i]![0]);
      if (i > 0) assert.ok(Math.abs(Number(prediction) - Number(ours![i]![1])) <= 1e-9);
    }
    folder.remove();
  });

  it('write predictions where Spark writes: storage of its own, and tables', async () => {
    const folder = new JobFolder();
    const row = (i: number): string => `${Math.sin(i * 2)},${Math.cos(i)},${["it's", 'ü'][i % 2]}`;
    folder.write(
      'data.csv',
      ['a,b,kind', ...Array.from({ length: 80 }, (_, i) => row(i))].join('\n'),
    );
    const document = {
      kind: 'grid-search',
      data: { path: 'data.csv', target: 'kind', features: ['a', 'b'] },
      model: { type: 'logistic' },
    };
    const job = parseJob(folder.file('job.yaml'), JSON.stringify(document));
    const { model } = await runJob(job, { engine: 'local', open: local });
    const found = { model: model!, path: '', digest: '' };
    const outputs = ['prediction', 'probability', 'decision'] as const;
    const score = (open: OpenSession, out: string, more: Partial<PredictOptions> = {}) =>
      predict(found, folder.file('data.csv'), { engine: open.engine, open, out, outputs, ...more });
    await score(local, folder.file('here.parquet'));
    const far = farAddress(folder.file('there'));
    const { summary } = await score(spark, far);
    assert.deepEqual([summary.out, summary.rowsRead, summary.rows], [far, 80, 80]);
    await score(spark, 'table://scored_rows');
    const rows = async (path: string) => {
      const instance = await DuckDBInstance.create(':memory:');
      const connection = await instance.connect();
      const reader = await connection.runAndReadAll(`SELECT * FROM '${path}' ORDER BY decision`);
      instance.closeSync();
      return { names: reader.columnNames(), rows: reader.getRowsJS() };
    };
    const wanted = await rows(folder.file('here.parquet'));
    for (const place of [folder.file('there'), join(warehouse, 'scored_rows')]) {
      const got = await rows(join(place, '*.parquet'));
      assert.deepEqual(got.names, wanted.names);
      for (const [i, cells] of wanted.rows.entries()) {
        for (const [c, cell] of cells.entries()) {
          const other = got.rows[i]![c];
          if (typeof cell === 'string') assert.equal(other, cell);
          else assert.ok(Math.abs(Number(other) - Number(cell)) < 1e-12, `${other} and ${cell}`);
        }
      }
    }
    await assert.rejects(score(spark, far), /expected nothing at .*there, got something/);
    await assert.rejects(
      score(spark, 'table://scored_rows'),
      /expected no table scored_rows, got one/,
    );
    await assert.rejects(
      score(spark, far, { keep: ['a'] }),
      /--keep: expected a file or folder of this/,
    );
    await assert.rejects(
      score(local, far),
      /--out: expected a path of this machine .*--engine spark/,
    );
    folder.remove();
  });

  it('classes of text as on this machine: scores, exact areas, and who is taken for whom', async () => {
    const folder = new JobFolder();
    const row = (i: number): string =>
      `${Math.sin(i * 2)},${i % 3 === 0 ? 2 : Math.cos(i)},${['low', 'mid', 'über'][i % 3]}`;
    const rows = Array.from({ length: 120 }, (_, i) => row(i));
    folder.write('data.csv', ['a,b,kind', ...rows].join('\n'));
    const document = {
      kind: 'grid-search',
      data: { path: 'data.csv', target: 'kind' },
      model: { type: 'gaussian-nb' },
      search: { grid: { var_smoothing: [1e-9, 0.1] } },
      cv: { type: 'kfold', folds: 3, shuffle: true },
      scoring: ['accuracy', 'f1_weighted', 'roc_auc_ovr', 'neg_log_loss', 'neg_brier_score'],
    };
    const job = parseJob(folder.file('job.yaml'), JSON.stringify(document));
    const here = await runJob(job, { engine: 'local', open: local });
    const there = await runJob(job, { engine: 'spark', open: spark });
    const [ours, theirs] = [here.search, there.search];
    assert.deepEqual(theirs.model!.classes, ours.model!.classes);
    assert.deepEqual(theirs.classReport!.confusion, ours.classReport!.confusion);
    for (const [t, { splitScores }] of theirs.trials.entries()) {
      for (const metric of theirs.metrics) {
        for (const [f, score] of splitScores[metric]!.entries()) {
          const own = ours.trials[t]!.splitScores[metric]![f]!;
          assert.ok(Math.abs(score - own) <= 1e-9, `${metric}: ${score} and ${own}`);
        }
      }
    }
    folder.remove();
  });

  for (const [type, grid] of Object.entries(MODELS)) {
    it(`${type} as on this machine, without a pass for another one's moments`, async () => {
      const document = {
        kind: 'grid-search',
        data: {
          path: 'missing.csv',
          target: 'y',
          features: ['x5', { name: 'x1', impute: 'mean' }],
        },
        model: { type },
        search: { grid },
      };
      const job = parseJob(`${sklearnFolder}/job.yaml`, JSON.stringify(document));
      const here = await runJob(job, { engine: 'local', open: local });
      const there = await runJob(job, { engine: 'spark', open: spark });
      assert.equal(there.passes, type === 'ridge' ? 1 : 0);
      const [ours, theirs] = [here.search, there.search];
      for (const [t, trial] of theirs.trials.entries()) {
        for (const [f, score] of trial.splitScores.r2!.entries()) {
          assert.ok(Math.abs(score - ours.trials[t]!.splitScores.r2![f]!) <= 1e-9);
        }
      }
      for (const [j, value] of theirs.model!.coefficients[0]!.entries()) {
        assert.ok(Math.abs(value - ours.model!.coefficients[0]![j]!) <= 1e-9);
      }
    });
  }

  it('logistic as on this machine: all models train together, a job an iteration', async () => {
    const document = {
      kind: 'grid-search',
      data: {
        path: 'regression.csv',
        target: 'fold',
        features: ['x5', 'x1'],
        standardize: true,
      },
      model: { type: 'logistic' },
      search: { grid: { C: [0.01, 1, 100] } },
      cv: { folds: 3 },
      scoring: ['neg_log_loss', 'accuracy'],
    };
    const job = parseJob(`${sklearnFolder}/job.yaml`, JSON.stringify(document));
    const here = await runJob(job, { engine: 'local', open: local });
    const there = await runJob(job, { engine: 'spark', open: spark });
    // Iterations of the search and of the refit, the pass of the scores, and that of the moments.
    assert.ok(there.passes <= 40, `${there.passes} passes`);
    for (const [t, trial] of there.search.trials.entries()) {
      for (const [f, score] of trial.splitScores.neg_log_loss!.entries()) {
        const ours = here.search.trials[t]!.splitScores.neg_log_loss![f]!;
        assert.ok(Math.abs(score - ours) <= 1e-8);
      }
    }
  });
});
