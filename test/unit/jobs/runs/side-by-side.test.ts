/** Jobs side by side in one open session: each counts its own work and is cancelled alone. */
import assert from 'node:assert/strict';
import { type OpenSession, openSession } from '../../../../jobs/engines.js';
import type { Job } from '../../../../jobs/job-file/job.js';
import { readJob } from '../../../../jobs/job-file/read-job.js';
import { runJob } from '../../../../jobs/run-job.js';
import type { RunRecord } from '../../../../jobs/runs/record.js';
import type { RunEvent } from '../../../../jobs/runs/run-events.js';
import { JobFolder, linearCsv } from '../../../support/job-folder.js';

describe('jobs side by side', () => {
  const folder = new JobFolder();
  let open: OpenSession;
  let jobs: readonly Job[];

  before(async () => {
    folder.write('data.csv', linearCsv(4_000));
    const path = folder.job();
    jobs = await Promise.all(
      ['search.grid.lambda=[0.1, 1]', 'search.grid.lambda=[2, 3, 4]'].map((grid) =>
        readJob(path, { overrides: [grid] }),
      ),
    );
  });
  beforeEach(async () => {
    open = await openSession('local');
  });
  afterEach(() => open.session.close());
  after(() => folder.remove());

  async function cold(job: Job): Promise<RunRecord> {
    return runJob(job, { engine: 'local' });
  }

  function assertAnswers(record: RunRecord, expected: RunRecord): void {
    assert.deepEqual(record.search.trials, expected.search.trials);
    assert.deepEqual(record.search.model, expected.search.model);
  }

  it('read the data once, and say which of them did', async () => {
    const records = await Promise.all(jobs.map((job) => runJob(job, { engine: 'local', open })));
    const colds = [await cold(jobs[0]!), await cold(jobs[1]!)];
    for (const [i, record] of records.entries()) {
      assertAnswers(record, colds[i]!);
      assert.ok(record.lineage.length > 0 && record.plan.length > 0);
    }
    const sums = (figure: (record: RunRecord) => number): number[] =>
      records.map(figure).sort((a, b) => a - b);
    // The moments are one's; each scores its own penalties.
    const { passes } = colds[0]!;
    assert.equal(colds[1]!.passes, passes);
    assert.deepEqual(
      sums((record) => record.passes),
      [passes - 1, passes],
    );
    assert.deepEqual(
      sums(({ scans }) => scans),
      [0, 1],
    );
    assert.ok(records.every(({ kernels, reuse }) => kernels > 0 && reuse.misses > 0));
    const reader = records.findIndex((record) => record.passes === passes);
    assert.ok(records[1 - reader]!.reuse.hits > 0);
    assert.equal(open.session.statistics.kernels, 0);
  });

  for (const phase of ['profile', 'gram', 'fit']) {
    it(`go on when the one that read the data is cancelled as it begins to ${phase}`, async () => {
      const controller = new AbortController();
      const onEvent = (event: RunEvent): void => {
        if (event.kind === 'phase' && event.phase === phase) controller.abort();
      };
      const gone = runJob(jobs[0]!, { engine: 'local', open, signal: controller.signal, onEvent });
      const stays = runJob(jobs[1]!, { engine: 'local', open });
      await assert.rejects(gone, { name: 'AbortError' });
      const record = await stays;
      assertAnswers(record, await cold(jobs[1]!));
      for (const entry of open.session.cache.entries()) assert.notEqual(entry.state, 'pending');
    });
  }
});
