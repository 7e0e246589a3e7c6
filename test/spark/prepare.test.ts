/** Cleaning steps on embedded Spark: the scores and predictions of this machine. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type OpenSession, openSession } from '../../jobs/engines.js';
import { parseJob } from '../../jobs/job-file/read-job.js';
import { predict } from '../../jobs/predict/predict.js';
import { runJob } from '../../jobs/run-job.js';
import type { RunRecord } from '../../jobs/runs/record.js';
import { JobFolder } from '../support/job-folder.js';
import { sklearnFolder } from '../support/sklearn-fixtures.js';

/** Rows of a table that is given back rather than written. */
const SHOWN = 20;

describe('cleaning steps on Spark', function () {
  this.timeout(300_000);
  let local: OpenSession;
  let spark: OpenSession;
  before(async () => {
    local = await openSession('local');
    spark = await openSession('spark', undefined, undefined, 'blocks');
  });
  after(async () => {
    await Promise.all([local.session.close(), spark.session.close()]);
  });

  /** Of a model for each engine. */
  async function predictAlike(folder: JobFolder, records: readonly RunRecord[]): Promise<void> {
    const tables = [];
    for (const [i, open] of [local, spark].entries()) {
      const { model } = records[i]!;
      const found = { model: model!, digest: `${i}`, path: folder.file('model.json') };
      const { table } = await predict(found, folder.file('data.csv'), {
        engine: open.engine,
        open,
      });
      tables.push(table!.slice(1).map(([cell]) => Number(cell)));
    }
    assert.deepEqual(tables.map(({ length }) => length), [SHOWN, SHOWN]); // biome-ignore format: a list
    for (const [i, value] of tables[1]!.entries()) {
      assert.ok(Math.abs(value - tables[0]![i]!) <= 1e-8 * Math.abs(value), `row ${i}`);
    }
  }

  it('are fitted as on this machine, and predicted with', async () => {
    const folder = new JobFolder();
    const { x, y } = JSON.parse(readFileSync(`${sklearnFolder}/prepare.json`, 'utf8')) as {
      readonly x: readonly (readonly (number | null)[])[];
      readonly y: readonly number[];
    };
    const lines = x.map((row, i) => [...row, y[i]].map((cell) => cell ?? '').join(','));
    folder.write('data.csv', `${['x0,x1,x2,x3,x4,x5,y', ...lines].join('\n')}\n`);
    const features = ['x0', 'x1', 'x2', 'x3', { name: 'x4', encode: 'onehot' }, 'x5'];
    const job = parseJob(
      folder.file('job.yaml'),
      JSON.stringify({
        kind: 'search',
        data: { path: 'data.csv', target: 'y', features },
        prepare: [
          { step: 'impute', strategy: 'median' },
          { step: 'target', columns: ['x4'] },
          { step: 'outliers', action: 'missing' },
          { step: 'impute', name: 'again', strategy: 'most_frequent' },
          { step: 'polynomial' },
          { step: 'scale', method: 'robust' },
          { step: 'select' },
        ],
        model: { type: 'ridge' },
        search: { grid: { polynomial: ['none', 2], 'select.k': [5] } },
      }),
    );
    const records = await Promise.all(
      [local, spark].map((open) => runJob(job, { engine: open.engine, open })),
    );
    const [ours, theirs] = records.map(({ search }) =>
      search.trials.flatMap(({ splitScores }) => splitScores.r2!),
    );
    assert.equal(theirs!.length, ours!.length);
    for (const [f, score] of theirs!.entries()) assert.ok(Math.abs(score - ours![f]!) <= 1e-9);
    await predictAlike(folder, records);
    folder.remove();
  });

  it('are networks, which this machine computes: scores and predictions are those of here', async () => {
    const folder = new JobFolder();
    const rows = Array.from({ length: 30 }, (_, i) =>
      Array.from({ length: 25 }, (_, j) => (j === 0 ? i % 2 : Math.sin(1 + i * j + (i % 5) + j))),
    );
    const names = rows[0]!.map((_, j) => (j === 0 ? 'y' : `x${j}`));
    folder.write('data.csv', [names, ...rows].join('\n'));
    const path = resolve('test/fixtures/networks/in-line.json');
    const data = { path: 'data.csv', target: 'y' };
    const run = async (open: OpenSession, job: object): Promise<RunRecord> => {
      const text = JSON.stringify({ kind: 'search', data, cv: { folds: 2 }, ...job });
      return runJob(parseJob(folder.file('job.yaml'), text), { engine: open.engine, open });
    };
    const search = {
      prepare: [{ step: 'network', path }, { step: 'scale' }],
      model: { type: 'ridge' },
      search: { grid: { network: ['conv', 'flat'], lambda: [0.1, 1] } },
    };
    const ours = await run(local, search);
    const theirs = await run(spark, search);
    for (const [t, { splitScores }] of theirs.search.trials.entries()) {
      for (const [f, score] of splitScores.r2!.entries()) {
        assert.ok(Math.abs(score - ours.search.trials[t]!.splitScores.r2![f]!) <= 1e-9);
      }
    }
    assert.deepEqual([theirs.search.trials.length, theirs.sparkJobs > 0], [4, true]);
    await predictAlike(folder, [ours, theirs]);

    // A network that was trained here.
    const cnn = await run(local, {
      model: {
        type: 'cnn',
        input: { height: 4, width: 3, channels: 2 },
        filters: [2],
        max_iter: 1,
      },
    });
    await predictAlike(folder, [cnn, cnn]);
    folder.remove();
  });
});
