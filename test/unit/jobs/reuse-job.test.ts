/** A job under each setting of `reuse`, twice as two processes would run it: what each reads. */
import assert from 'node:assert/strict';
import { ConfigError, type ReuseSetting } from '../../../driver/index.js';
import { planPage } from '../../../jobs/cli/plan-page.js';
import { openSession } from '../../../jobs/engines.js';
import { parseJob, readJob } from '../../../jobs/job-file/read-job.js';
import { planJob } from '../../../jobs/plan-job.js';
import { runJob } from '../../../jobs/run-job.js';
import type { RunRecord } from '../../../jobs/runs/record.js';
import { JobFolder, linearCsv } from '../../support/job-folder.js';

const ROWS = 4000;

/** Scores by candidate and split, and coefficients. */
function answersOf({ search: { trials, model } }: RunRecord): number[] {
  const scores = trials.flatMap(({ splitScores }) => Object.values(splitScores).flat());
  return [...scores, ...model!.coefficients.flat()];
}

describe('a job under the setting reuse', () => {
  const folder = new JobFolder();
  before(() => folder.write('data.csv', linearCsv(ROWS)));
  after(() => folder.remove());

  const jobOf = (reuse: ReuseSetting, more: object = {}) =>
    readJob(
      folder.job({
        reuse,
        search: { grid: { lambda: [0.1, 1] } },
        cv: { folds: 3 },
        ...more,
      }),
    );

  /** By setting: passes over the data, and times they are read from the file, of both runs. */
  const READS: Readonly<Partial<Record<ReuseSetting, readonly (readonly [number, number])[]>>> = {
    // The profile, what scores compare with, six fits, the best, and means for its model.
    off: [
      [10, 11],
      [10, 11],
    ],
    predictions: [
      [10, 11],
      [10, 11],
    ],
    // Each fit from the sums of the first.
    operators: [
      [4, 3],
      [4, 3],
    ],
    // As many passes as without, over what was read once.
    input: [
      [12, 3],
      [10, 0],
    ],
    steps: [
      [12, 3],
      [0, 0],
    ],
    // No fit again; scores of each candidate are.
    functions: [
      [10, 11],
      [5, 6],
    ],
    full: [
      [2, 2],
      [0, 0],
    ],
  };

  it('reads and sums up what its setting did not keep, for the same results', async () => {
    const cold = await runJob({ ...(await jobOf('full')), store: null }, { engine: 'local' });
    for (const [reuse, expected] of Object.entries(READS)) {
      const store = { folder: folder.file(`store-${reuse}`) };
      const job = { ...(await jobOf(reuse as ReuseSetting)), store };
      const seen: (readonly [number, number])[] = [];
      for (let run = 0; run < 2; run++) {
        const record = await runJob(job, { engine: 'local' });
        assert.equal(record.reuse.setting, reuse);
        const [is, was] = [record, cold].map(answersOf) as [number[], number[]];
        assert.equal(is.length, was.length);
        for (const [i, value] of is.entries()) {
          // Rows that are read once are summed up in other blocks than those that stream.
          assert.ok(Math.abs(value - was[i]!) <= 1e-10 * Math.abs(was[i]!), `${reuse}: ${value}`);
        }
        seen.push([record.passes, record.rowsRead / ROWS]);
      }
      assert.deepEqual(seen, expected, reuse);
    }
  });

  it('finds nothing that another setting kept', async () => {
    const store = { folder: folder.file('store-of-all') };
    await runJob({ ...(await jobOf('full')), store }, { engine: 'local' });
    const { rowsRead } = await runJob({ ...(await jobOf('steps')), store }, { engine: 'local' });
    assert.equal(rowsRead, 3 * ROWS);
  });

  it('says it in its plan, and is refused in a session of another', async () => {
    const job = await jobOf('operators');
    const plan = await planJob(job, { engine: 'local' });
    assert.equal(plan.reuse, 'operators');
    const page = planPage(plan, false);
    assert.match(page, /^reuse +operators: each fit by itself$/m);
    assert.match(page, /^cost +at least 1 pass over the data/m);
    const rows = await jobOf('off', {
      model: { type: 'huber' },
      search: { grid: { alpha: [1, 2] } },
    });
    const [training] = (await planJob(rows, { engine: 'local' })).training;
    assert.deepEqual([training!.fits, training!.atOnce, training!.stacks], [6, 1, 6]);
    const open = await openSession('local');
    try {
      await assert.rejects(
        runJob(job, { engine: 'local', open }),
        /reuse: expected the setting of the session the job runs in, full, got operators/,
      );
    } finally {
      await open.session.close();
    }
  });

  it('refuses what is no setting, where it stands', async () => {
    const text =
      'kind: grid-search\ndata: {path: data.csv, target: y}\nmodel: {type: ridge}\nreuse: lima\n';
    const expected = /job\.yaml:\d+:\d+: reuse: expected one of off, operators, .*, got "lima"/;
    assert.throws(
      () => parseJob(folder.file('job.yaml'), text),
      (error: unknown) => error instanceof ConfigError && expected.test(error.message),
    );
  });
});
