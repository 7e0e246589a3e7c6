/** Jobs encoded in float32: the answers of float64 within its rounding, apart in every key. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { type DType, matrix } from '../../../driver/index.js';
import { packageRoot } from '../../../driver/support/package-root.js';
import { type OpenSession, openSession } from '../../../jobs/engines.js';
import { estimators } from '../../../jobs/estimators/index.js';
import type { Job } from '../../../jobs/job-file/job.js';
import { readJob } from '../../../jobs/job-file/read-job.js';
import { planJob } from '../../../jobs/plan-job.js';
import { runJob } from '../../../jobs/run-job.js';
import type { RunRecord } from '../../../jobs/runs/record.js';
import { gridSearch } from '../../../jobs/search/grid-search.js';
import { dailyJob, writeDay } from '../../support/daily-files.js';
import { JobFolder } from '../../support/job-folder.js';

/** The features of the daily files, the first without its large mean. */
const features = [{ name: 'a', sql: 'a - 1e5' }, ...dailyJob.data.features.slice(1)];

/** What is fitted from moments of numbers; fits from rows are in float64 whatever the data are in. */
const fromMoments = estimators.filter(
  ({ reads, task }) => reads === 'moments' && task === 'regression',
);

describe('a job in float32', () => {
  let folder: JobFolder;
  let open: OpenSession;
  beforeEach(async () => {
    folder = new JobFolder();
    open = await openSession('local');
  });
  afterEach(async () => {
    await open.session.close();
    folder.remove();
  });

  const jobOf = async (
    dtype: DType,
    data: Record<string, unknown>,
    job: Record<string, unknown> = {},
  ): Promise<Job> => {
    folder.write('job.yaml', stringify({ ...dailyJob, data: { ...data, dtype }, ...job }));
    return readJob(folder.file('job.yaml'), { overrides: [] });
  };
  const run = async (...given: Parameters<typeof jobOf>): Promise<RunRecord> =>
    runJob(await jobOf(...given), { engine: 'local', open });

  /** Of every fold and metric. */
  const scoresOf = ({ search }: RunRecord): number[] =>
    search.trials.flatMap(({ splitScores }) => Object.values(splitScores).flat());

  for (const { name } of fromMoments) {
    it(`scores as in float64, by a pass of its own: ${name}`, async () => {
      for (const day of [0, 1]) await writeDay(folder.file('data'), day);
      const scoring = ['r2', 'neg_mean_squared_error', 'neg_mean_absolute_error'];
      const job = { model: { type: name }, search: { grid: {} }, scoring };
      const data = { ...dailyJob.data, features };
      const wide = await run('float64', data, job);
      const narrow = await run('float32', data, job);
      assert.deepEqual([wide.passes, narrow.passes], [2, 2], 'no result of one serves the other');
      const expected = scoresOf(wide);
      for (const [i, score] of scoresOf(narrow).entries()) {
        assert.ok(Math.abs(score - expected[i]!) <= 1e-4 * Math.abs(expected[i]!), `${score}`);
      }
      assert.notDeepEqual(scoresOf(narrow), expected);
      const again = await run('float32', data, job);
      assert.deepEqual([again.passes, again.search], [0, narrow.search]);
    });
  }

  for (const { name } of fromMoments) {
    it(`scores flights as in float64: ${name}`, async () => {
      const { data } = parse(readFileSync(join(packageRoot(), 'examples/flights.yaml'), 'utf8'));
      const path = join(packageRoot(), 'examples/flights-10k.parquet');
      const job = { model: { type: name }, search: { grid: {} } };
      const expected = scoresOf(await run('float64', { ...data, path }, job));
      for (const [i, score] of scoresOf(await run('float32', { ...data, path }, job)).entries()) {
        assert.ok(Math.abs(score - expected[i]!) <= 1e-5 * Math.abs(expected[i]!), `${score}`);
      }
    });
  }

  const byClass = estimators.filter(
    ({ name, reads }) => reads === 'classes' || name === 'kmeans' || name === 'logistic',
  );
  for (const estimator of byClass) {
    it(`scores rows that float32 keeps as in float64: ${estimator.name}`, async () => {
      const { session } = open;
      const cells = Float64Array.from({ length: 240 }, (_, i) => {
        const isOwn = Math.floor(i / 4) % 3 === i % 4;
        return Math.fround(Math.abs(3 * Math.sin(i * 12.9898)) + (isOwn ? 1 : 0));
      });
      const isClassifier = estimator.task === 'classification';
      const search = async (dtype: DType): Promise<unknown> => {
        const X = matrix(session, 60, 4, cells).cast(dtype);
        const y = matrix(
          session,
          60,
          1,
          Float64Array.from({ length: 60 }, (_, i) => i % 3),
        ).cast(dtype);
        const { trials } = await gridSearch(session, {
          ...{ X, y, estimator, grid: isClassifier ? {} : { n_clusters: [3] } },
          ...(isClassifier ? { classes: [0, 1, 2] } : {}),
          scoring: [isClassifier ? 'accuracy' : 'silhouette'],
          cv: { folds: 3, shuffle: false },
        });
        return trials.map(({ splitScores }) => splitScores);
      };
      assert.deepEqual(await search('float32'), await search('float64'));
    });
  }

  it('warns of a column whose differences float32 hardly keeps, and refuses numbers it has none for', async () => {
    await writeDay(folder.file('data'), 0);
    const job = await jobOf('float32', dailyJob.data);
    const { warnings } = await planJob(job, { engine: 'local', open });
    assert.match(
      warnings.join('\n'),
      /feature a: values from 100000\S* to 100009\S* differ in their last digits only, of which float32 keeps few/,
    );
    folder.write('large.csv', 'x,y\n1,2\n1e39,3\n2,4\n');
    const data = { path: 'large.csv', target: 'y' };
    await run('float64', data, { cv: { folds: 3 } });
    await assert.rejects(
      run('float32', data, { cv: { folds: 3 } }),
      /feature x: expected numbers up to 3\.4e38 for dtype float32, got 1e\+39; leave data\.dtype out/,
    );
  });
});
