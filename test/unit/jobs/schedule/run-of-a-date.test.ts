/** A run for a date, under an id that was chosen: what its templates name, and that it is one run. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { jobOf, readJob } from '../../../../jobs/job-file/read-job.js';
import { keepRun } from '../../../../jobs/keep-run.js';
import { isGivenRunId } from '../../../../jobs/runs/run-id.js';
import { RunJournal } from '../../../../jobs/runs/run-journal.js';
import { overviewOf } from '../../../../jobs/runs/run-state.js';
import { scheduledRunId } from '../../../../jobs/schedule/logical-time.js';
import { readDocumentOf, readSchedule } from '../../../../jobs/schedule/read-schedule.js';
import { LockedError } from '../../../../jobs/setup/lock.js';
import { cliPath, reprise } from '../../../support/cli.js';
import { JobFolder, linearCsv } from '../../../support/job-folder.js';

describe('a run of a date', function () {
  this.timeout(60_000);
  let folder: JobFolder;
  const RUN = '20260329T010000Z-nightly';

  beforeEach(() => {
    folder = new JobFolder();
    folder.write('2026-03-28.csv', linearCsv(100));
    const schedule = { cron: '30 2 * * *', zone: 'Europe/Berlin', wait_for: { files: '{{ previous.date }}.csv' } }; // biome-ignore format: a record
    folder.job({ data: { path: '{{ previous.date }}.csv', target: 'y' }, schedule });
  });
  afterEach(() => folder.remove());

  const job = async (date: string) => {
    const document = await readDocumentOf(folder.file('job.yaml'), date);
    return jobOf(document, { output: folder.file('runs') });
  };

  it('has the names of its time in the job and in the section, which is no part of the job', async () => {
    const { data, document } = await job('2026-03-29');
    assert.equal(data.path, folder.file('2026-03-28.csv'));
    assert.ok(!JSON.stringify(document).includes('cron'));
    const time = Date.parse('2026-03-29T01:00:00Z');
    const { schedule, output } = await readSchedule(folder.file('job.yaml'), {}, time);
    assert.deepEqual(schedule.waitFor?.files, [folder.file('2026-03-28.csv')]);
    assert.equal(output, folder.file('runs'));
    await assert.rejects(
      readJob(folder.file('job.yaml')),
      /data.path: expected a known name in \{\{ previous.date \}\}.*--date 2013-01-31/,
    );
  });

  it('is begun once: who comes second is told so', async () => {
    const begin = async () =>
      RunJournal.begin(await job('2026-03-29'), folder.file('job.yaml'), 'local', RUN);
    const both = await Promise.allSettled([begin(), begin()]);
    const lost = both.find((one) => one.status === 'rejected');
    assert.ok(lost?.reason instanceof LockedError);
    assert.match(lost.reason.message, /expected no run 20260329T010000Z-nightly in .*, got one/);
    assert.deepEqual(folder.runs(), [RUN]);
    for (const one of both) if (one.status === 'fulfilled') await one.value.close();
  });

  it('keeps its folder when it fails at once, for who looks for it', async () => {
    const missing = await job('2026-03-20');
    const journal = await RunJournal.begin(missing, folder.file('job.yaml'), 'local', RUN);
    const options = { engine: 'local', journal, renderReport: () => '', isOfUser: () => true } as const; // biome-ignore format: a record
    await assert.rejects(keepRun(missing, options), /found nothing there/);
    const { state, code } = await overviewOf(folder.file(`runs/${RUN}`));
    assert.deepEqual([state, code], ['failed', 'DATA']);
  });

  it('is what the command line runs, under ids that are safe as names', async () => {
    const given = ['run', 'job.yaml', '--engine', 'local', '--date', '2026-03-29', '--run-id', RUN];
    const env = { REPRISE_STORE: 'off' };
    assert.equal((await reprise(given, { cwd: folder.path, env })).code, 0);
    assert.equal((await reprise(given, { cwd: folder.path, env })).code, 75);
    for (const wrong of ['../x', '20260329T010000Z-', '20260329T010000Z-A', 'nightly', '']) {
      assert.equal(isGivenRunId(wrong), false, wrong);
    }
    assert.ok(isGivenRunId(scheduledRunId('Nächtlich & ../', '/a/b.yaml', 0, 3)));
  });

  it('comes through a pipe too, which can be read once', () => {
    folder.job({ name: 'of {{ date }}' });
    const data = `data.path=${folder.write('data.csv', linearCsv(100))}`;
    const given = `plan /dev/stdin ${data} --engine local --no-store --date 2026-03-29 --json`;
    const pipe = `cat job.yaml | '${process.execPath}' '${cliPath}' ${given}`;
    const plan = execFileSync('bash', ['-c', pipe], { cwd: folder.path, encoding: 'utf8' });
    assert.equal(JSON.parse(plan).name, 'of 2026-03-29');
  });
});
