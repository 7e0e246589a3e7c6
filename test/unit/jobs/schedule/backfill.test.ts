/** Filling back: which times run, in which order, how many at once, and none beside another. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { processToken } from '../../../../driver/support/process-token.js';
import { backfill, planBackfill, type Reprocess } from '../../../../jobs/schedule/backfill.js';
import { ScheduleWork } from '../../../../jobs/schedule/schedule-work.js';
import { slots } from '../../../../jobs/schedule/scheduler.js';
import { JobFolder } from '../../../support/job-folder.js';
import { ScriptedRuns, TestClock } from '../../../support/scheduler-doubles.js';

describe('backfill', function () {
  this.timeout(30_000);
  let folder: JobFolder;
  let clock: TestClock;
  let runs: ScriptedRuns;

  beforeEach(() => {
    folder = new JobFolder();
    const schedule = { cron: '30 2 * * *', zone: 'Europe/Berlin' };
    folder.write('job.yaml', stringify({ kind: 'grid-search', name: 'nightly', schedule }));
    clock = new TestClock();
    runs = new ScriptedRuns();
  });
  afterEach(() => folder.remove());

  const open = (parallel = 1) =>
    ScheduleWork.open(folder.file('job.yaml'), {
      owner: processToken(),
      launch: runs.launch,
      clock,
      isOnce: false,
      takeSlot: slots(parallel),
      onEvent: () => {},
      onEnd: () => {},
    });
  interface Asked {
    readonly from?: string;
    readonly to?: string;
    readonly reprocess?: Reprocess;
    readonly backwards?: boolean;
  }
  const planOf = (work: ScheduleWork, asked: Asked = {}) => {
    const { from = '2026-03-28', to = '2026-03-30', reprocess = 'none', backwards = false } = asked;
    const options = { from, to, reprocess, backwards, nowMs: clock.ms };
    return planBackfill(work.scheduled, work.folder, options);
  };
  const fill = async (asked: Asked = {}, parallel = 1, signal = new AbortController().signal) => {
    const work = await open(parallel);
    await backfill(work, await planOf(work, asked), parallel, signal, () => sleep(5));
  };
  const dates = () => runs.attempts.map(({ time }) => new Date(time).toISOString().slice(0, 16));
  const ok = (count: number) =>
    runs.exits.push(...Array.from({ length: count }, () => ({ code: 0 })));

  it('runs each time of the range, also those of a day on which the clocks change', async () => {
    ok(3);
    await fill();
    assert.deepEqual(dates(), ['2026-03-28T01:30', '2026-03-29T01:00', '2026-03-30T00:30']);
    const work = await open();
    const plan = await planOf(work);
    assert.deepEqual(
      plan.map(({ state, left }) => [state, left]),
      plan.map(() => ['done', 'it is done; --reprocess all runs it again']),
    );
  });

  it('runs backwards, and nothing that is yet to come', async () => {
    ok(3);
    await fill({ from: '2026-04-29T12:00', to: '2027-01-01', backwards: true });
    assert.deepEqual(dates(), ['2026-05-01T00:30', '2026-04-30T00:30']);
  });

  it('runs again what failed, or all, as runs of their own', async () => {
    runs.exits.push({ code: 0 }, { code: 3 }, { code: 0 });
    await fill();
    ok(1);
    await fill({ reprocess: 'failed' });
    ok(3);
    await fill({ reprocess: 'all' });
    assert.equal(runs.attempts.length, 7);
    assert.equal(new Set(runs.attempts.map(({ run }) => run)).size, 7);
    assert.equal(dates()[3], '2026-03-29T01:00');
    const work = await open();
    assert.deepEqual(
      (await planOf(work, { reprocess: 'all' })).map(({ round }) => round),
      [3, 4, 3],
    );
  });

  it('runs at most so many at once, and leaves alone what is under way', async () => {
    const filling = fill({ to: '2026-04-02' }, 2);
    while (runs.attempts.length < 2) await sleep(5);
    await sleep(50);
    assert.equal(runs.attempts.length, 2);
    const other = await open();
    const plan = await planOf(other);
    assert.deepEqual(
      plan.map(({ state }) => state),
      ['under way', 'under way', 'never ran'],
    );
    // Who decided before they were claimed claims them no second time.
    await other.claimTime(plan[0]!.time, { run: 'another', round: 1 });
    await sleep(20);
    assert.equal(runs.attempts.length, 2);
    for (let ended = 0; ended < 6; ended++) {
      while (runs.attempts.length < Math.min(6, ended + 2)) await sleep(5);
      assert.ok(runs.attempts.length <= ended + 2);
      runs.end();
    }
    await filling;
    assert.equal(runs.attempts.length, 6);
  });

  it('that is stopped is gone on with by whoever comes next', async () => {
    const stop = new AbortController();
    const filling = fill({}, 1, stop.signal);
    while (runs.attempts.length < 1) await sleep(5);
    stop.abort();
    await filling;
    assert.equal(runs.attempts.length, 1);
    ok(3);
    const work = await open();
    await work.tick();
    while (work.busy > 0) await sleep(5);
    assert.deepEqual(dates(), ['2026-03-28T01:30', '2026-03-28T01:30']);
    assert.equal(runs.attempts[0]!.run, runs.attempts[1]!.run);
    await fill();
    assert.deepEqual(dates().slice(2), ['2026-03-29T01:00', '2026-03-30T00:30']);
  });

  it('refuses ranges that are none', async () => {
    const work = await open();
    const wrong = [
      [{ from: 'x' }, /--from: expected a date such as .*, got "x"/],
      [{ to: '2026-13-01' }, /--to: expected a date/],
      [{ from: '2026-03-30', to: '2026-03-29' }, /--to: expected a moment from 2026-03-30 on/],
    ] as const;
    for (const [asked, message] of wrong) await assert.rejects(planOf(work, asked), message);
  });
});
