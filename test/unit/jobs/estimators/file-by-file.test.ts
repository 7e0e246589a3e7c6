/**
 * Estimators from moments over growing data: a new file costs its rows, the answer is a new run's.
 * Those that read rows read all of them.
 */
import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import { DTYPES } from '../../../../driver/index.js';
import { openSession } from '../../../../jobs/engines.js';
import { estimators } from '../../../../jobs/estimators/index.js';
import { readJob } from '../../../../jobs/job-file/read-job.js';
import { runJob } from '../../../../jobs/run-job.js';
import type { RunRecord } from '../../../../jobs/runs/record.js';
import { dailyJob, writeDay } from '../../../support/daily-files.js';
import { JobFolder } from '../../../support/job-folder.js';

describe('estimators over many files', () => {
  const fromMoments = estimators.filter(
    ({ reads, task }) => reads === 'moments' && task === 'regression',
  );
  for (const [name, dtype] of fromMoments.flatMap((one) =>
    DTYPES.map((dtype) => [one.name, dtype] as const),
  )) {
    it(`read new files only: ${name} in ${dtype}`, async () => {
      const folder = new JobFolder();
      for (const day of [0, 1]) await writeDay(folder.file('data'), day);
      const data = { ...dailyJob.data, dtype };
      const job = { ...dailyJob, data, model: { type: name }, search: { grid: {} } };
      folder.write('job.yaml', stringify(job));
      const checked = await readJob(folder.file('job.yaml'), { overrides: [] });
      const open = await openSession('local');
      const cold = async (): Promise<RunRecord> => {
        const fresh = await openSession('local');
        const record = await runJob(checked, { engine: 'local', open: fresh });
        await fresh.session.close();
        return record;
      };
      try {
        await runJob(checked, { engine: 'local', open });
        const steps: [string, () => unknown, number][] = [
          // A category, a range and row counts that no file had before.
          ['appended', () => writeDay(folder.file('data'), 6), 442],
          ['replaced', () => writeDay(folder.file('data'), 0, { draw: 3 }), 400],
        ];
        for (const [what, change, rows] of steps) {
          await change();
          const record = await runJob(checked, { engine: 'local', open });
          // Once for its profile and once for its moments.
          assert.deepEqual([what, record.rowsRead, record.passes], [what, 2 * rows, 1]);
          const { trials, model } = (await cold()).search;
          assert.deepEqual([record.search.trials, record.search.model], [trials, model], what);
        }
      } finally {
        await open.session.close();
        folder.remove();
      }
    });
  }
});
