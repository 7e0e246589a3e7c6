/** Data that grow by files, on Spark: another process with the same store reads only new files. */
import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import { reprise } from '../support/cli.js';
import { coldRun } from '../support/cold-run.js';
import { dailyJob, writeDay } from '../support/daily-files.js';
import { JobFolder } from '../support/job-folder.js';
import { assertSameScores } from '../support/result-table.js';
import { sparkMissing } from '../support/spark.js';

describe('reprise run on Spark on data that arrive file by file', function () {
  this.timeout(600_000);
  let folder: JobFolder;
  before(function () {
    const missing = sparkMissing();
    if (missing === undefined) return;
    console.log(`SKIPPED: embedded Spark can't run here: ${missing}`);
    this.skip();
  });
  beforeEach(async () => {
    folder = new JobFolder();
    for (const day of [0, 1, 2]) await writeDay(folder.file('data'), day);
    folder.write('job.yaml', stringify(dailyJob));
  });
  afterEach(() => folder.remove());

  const run = async () => {
    const { code, stdout, stderr } = await reprise(
      ['run', 'job.yaml', '--engine', 'spark', '--json', '--quiet'],
      { cwd: folder.path, env: { REPRISE_STORE: folder.file('store') } },
    );
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };

  it('reads the new file only, and agrees with a cold run here and there', async () => {
    const first = await run();
    assert.deepEqual([first.passes, first.rowsRead], [1, 2 * (400 + 407 + 414)]);
    await writeDay(folder.file('data'), 6);
    const more = await run();
    assert.deepEqual([more.passes, more.rowsRead], [1, 2 * 442]);
    // The moments of the new file; statistics are counted as scans.
    assert.equal(more.sparkJobs, 1);
    const cold = await coldRun(folder.file('job.yaml'), 'spark');
    assert.equal(cold.rowsRead, 2 * (400 + 407 + 414 + 442));
    assertSameScores(more.path, cold.path, 1e-12);
    const local = await coldRun(folder.file('job.yaml'));
    assertSameScores(more.path, local.path, 1e-9);
  });
});
