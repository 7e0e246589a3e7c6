/** Columns whose ranges are taken from the file's own statistics, which know no NaN: the pass tells. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { packageRoot } from '../../../driver/support/package-root.js';
import { type OpenSession, openSession } from '../../../jobs/engines.js';
import { parseJob } from '../../../jobs/job-file/read-job.js';
import { runJob } from '../../../jobs/run-job.js';
import type { RunRecord } from '../../../jobs/runs/record.js';
import { copyTo } from '../../support/frame-data.js';
import { JobFolder } from '../../support/job-folder.js';

const NAN = join(packageRoot(), 'test/fixtures/parquet/nan.parquet');

describe('statistics of a Parquet file', () => {
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

  const run = (path: string, features: readonly unknown[]): Promise<RunRecord> => {
    const job = {
      kind: 'grid-search',
      name: 'statistics',
      data: { path, target: 'y', features },
      model: { type: 'ridge' },
      cv: { folds: 4 },
    };
    return runJob(parseJob('job.yaml', JSON.stringify(job)), { engine: 'local', open });
  };
  const imputed = [{ name: 'a' }, { name: 'b', impute: 'mean' }];

  it('spare the scan of columns that they tell about', async () => {
    const record = await run(NAN, [{ name: 'a' }]);
    assert.deepEqual([record.passes, record.rowsRead], [1, 400]);
  });

  it('are not believed once a NaN is met: it is imputed as a null is', async () => {
    const nulls = folder.file('nulls.parquet');
    await copyTo(nulls, `SELECT a, CASE WHEN isnan(b) THEN NULL ELSE b END AS b, y FROM '${NAN}'`);
    const expected = await run(nulls, imputed);
    const record = await run(NAN, imputed);
    assert.deepEqual(record.search.trials, expected.search.trials);
    assert.deepEqual(record.search.model, expected.search.model);
  });

  it('do not hide a NaN of which nothing is said', async () => {
    await assert.rejects(
      run(NAN, [{ name: 'a' }, { name: 'b' }]),
      /feature b: expected no missing values, got 2 in 400 rows; say impute/,
    );
    const { search } = await run(NAN, [{ name: 'b', encode: 'bin', bins: [1000] }]);
    assert.equal(search.columns, 3, 'two bins and missing values');
  });
});
