/** A float32 job as a user runs it: planned, run, replayed from its lineage, kept from float64. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { JobFolder, linearCsv } from '../support/job-folder.js';
import { assertSameScores } from '../support/result-table.js';

describe('a job with data.dtype float32', function () {
  this.timeout(120_000);
  let folder: JobFolder;
  beforeEach(() => {
    folder = new JobFolder();
    folder.write('data.csv', linearCsv(300));
    folder.job();
  });
  afterEach(() => folder.remove());

  it('says so in its plan, its job and its report, and shares nothing with float64', async () => {
    const options = ['--engine', 'local', '--verbose', 'data.dtype=float32'];
    const plan = await folder.call('plan', 'job.yaml', ...options);
    assert.match(plan, /encode\{dtype:float32,/);
    const wide = await folder.run();
    const narrow = await folder.run('data.dtype=float32');
    assert.deepEqual([wide.passes, narrow.passes], [1, 1]);
    assertSameScores(narrow.path, wide.path, 1e-6);
    const read = (name: string) => readFileSync(join(narrow.path, name), 'utf8');
    assert.match(read('job.yaml'), /dtype: float32/);
    assert.match(read('report.html'), /dtype[^<]{0,40}float32/);
    assert.match(
      await folder.call('diff', wide.path, narrow.path),
      /data\.dtype .*float64.*float32/,
    );
    assert.equal((await folder.run('data.dtype=float32')).passes, 0, 'the store answers');
  });

  it('is computed again from its lineage, by every engine it runs on', async () => {
    const { path } = await folder.run('data.dtype=float32');
    for (const engine of ['local', 'reference']) {
      const replayed = await folder.call('replay', path, '--engine', engine);
      assert.match(replayed, /scores: \d+ compared, agree/, engine);
      assert.match(replayed, /coefficients: 2 compared, agree/, engine);
    }
  });
});
