/**
 * What a scheduler makes of times, ends of runs and the ends of other schedulers: real state and
 * files, a clock that the test moves, and runs that end as the test says.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { processToken } from '../../../../driver/support/process-token.js';
import type { Exit } from '../../../../jobs/schedule/outcome.js';
import { Scheduler } from '../../../../jobs/schedule/scheduler.js';
import type { SchedulerEvent } from '../../../../jobs/schedule/scheduler-event.js';
import type { ScheduleState } from '../../../../jobs/schedule/state.js';
import { StateFolder } from '../../../../jobs/schedule/state-folder.js';
import { JobFolder } from '../../../support/job-folder.js';
import { leaveScore, ScriptedRuns, START, TestClock } from '../../../support/scheduler-doubles.js';

const MINUTE = 60_000;
describe('a scheduler', function () {
  this.timeout(30_000);
  let folder: JobFolder;
  let clock: TestClock;
  let runs: ScriptedRuns;
  let events: SchedulerEvent[];

  beforeEach(() => {
    folder = new JobFolder();
    clock = new TestClock();
    runs = new ScriptedRuns();
    events = [];
  });
  afterEach(() => folder.remove());

  const open = (schedule: Record<string, unknown>, isOnce = false): Promise<Scheduler> => {
    const job = {
      kind: 'grid-search',
      name: 'minutely',
      schedule: { cron: '* * * * *', ...schedule },
    };
    folder.write('job.yaml', stringify(job));
    return Scheduler.open({
      files: [folder.file('job.yaml')],
      launch: runs.launch,
      clock,
      isOnce,
      onEvent: (event) => events.push(event),
    });
  };
  const tick = async (scheduler: Scheduler): Promise<ScheduleState> => {
    await scheduler.works[0]!.tick();
    return stateOf(scheduler);
  };
  const stateOf = (scheduler: Scheduler): Promise<ScheduleState> =>
    scheduler.works[0]!.folder.state.read();
  const minutes = (times: readonly { readonly time: number }[]): number[] =>
    times.map(({ time }) => Math.round((time - START) / MINUTE + 0.5));
  /** Waits for what the scheduler does by itself. */
  const until = async (is: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await is())) await sleep(5);
  };
  const launched = (count: number) => until(() => runs.attempts.length === count);
  const idle = (scheduler: Scheduler) => until(() => scheduler.works[0]!.busy === 0);

  it('runs nothing of the past when first started, and each time as it comes', async () => {
    const scheduler = await open({});
    assert.equal((await tick(scheduler)).active.length, 0);
    clock.ms = START + MINUTE;
    runs.exits.push({ code: 0 });
    await tick(scheduler);
    await launched(1);
    await idle(scheduler);
    const { recent, active, last } = await stateOf(scheduler);
    assert.deepEqual([minutes(recent), active], [[1], []]);
    assert.equal(last, Date.parse('2026-05-01T12:01:00Z'));
    await tick(scheduler);
    assert.equal(runs.attempts.length, 1);
    assert.match(runs.attempts[0]!.run, /^20260501T120100Z-minutely-[0-9a-f]{8}$/);
  });

  it('with --once runs the last time of a schedule that was never started', async () => {
    runs.exits.push({ code: 0 });
    const scheduler = await open({ cron: '0 2 * * *', zone: 'Europe/Berlin' }, true);
    await scheduler.once();
    assert.deepEqual(
      runs.attempts.map(({ time }) => new Date(time).toISOString()),
      ['2026-05-01T00:00:00.000Z'],
    );
    await (await open({ cron: '0 2 * * *', zone: 'Europe/Berlin' }, true)).once();
    assert.equal(runs.attempts.length, 1);
  });

  it('catches up on all times one after another', async () => {
    const scheduler = await open({ catch_up: 'all' });
    clock.ms = START + 3 * MINUTE;
    const { active } = await tick(scheduler);
    assert.deepEqual(minutes(active), [1, 2, 3]);
    for (const count of [1, 2, 3]) {
      await launched(count);
      await sleep(10);
      assert.equal(runs.attempts.length, count);
      runs.end();
      await idle(scheduler);
      await tick(scheduler);
    }
    assert.deepEqual((await stateOf(scheduler)).counts.done, 3);
  });

  it('skips a time that comes while another runs', async () => {
    const scheduler = await open({ overlap: 'skip' });
    clock.ms = START + MINUTE;
    await tick(scheduler);
    await launched(1);
    clock.ms = START + 2 * MINUTE;
    const { active, recent } = await tick(scheduler);
    assert.deepEqual([minutes(active), minutes(recent), recent[0]!.state], [[1], [2], 'skipped']);
    runs.end();
    await idle(scheduler);
    await tick(scheduler);
    assert.deepEqual((await stateOf(scheduler)).counts, { done: 1, failed: 0, skipped: 1, replaced: 0, missed: 0 }); // biome-ignore format: a record
  });

  it('queues times that come while another runs', async () => {
    const scheduler = await open({ overlap: 'queue' });
    clock.ms = START + MINUTE;
    await tick(scheduler);
    await launched(1);
    clock.ms = START + 2 * MINUTE;
    assert.deepEqual(minutes((await tick(scheduler)).active), [1, 2]);
    runs.end();
    await idle(scheduler);
    await tick(scheduler);
    await launched(2);
    runs.end();
    await idle(scheduler);
    assert.deepEqual(minutes((await stateOf(scheduler)).recent), [1, 2]);
  });

  it('replaces a run when a later time comes, and starts that when it has ended', async () => {
    const scheduler = await open({ overlap: 'replace' });
    clock.ms = START + MINUTE;
    await tick(scheduler);
    await launched(1);
    clock.ms = START + 2 * MINUTE;
    await tick(scheduler);
    await until(() => runs.attempts[0]!.signal.aborted);
    await until(async () => (await stateOf(scheduler)).recent.length === 1);
    assert.equal((await stateOf(scheduler)).recent[0]!.state, 'replaced');
    await idle(scheduler);
    await tick(scheduler);
    await launched(2);
    runs.end();
    await idle(scheduler);
    const { recent } = await stateOf(scheduler);
    assert.deepEqual([minutes(recent), recent[1]!.state], [[1, 2], 'done']);
  });

  it('tries again what may pass, with growing delays, and not what will not', async () => {
    const retries = { times: 3, delay: '1m', factor: 2, most: '3m' };
    const scheduler = await open({ retries });
    const codes: Exit[] = [
      { code: 5 },
      { code: null, signal: 'SIGKILL' },
      { code: 6 },
      { code: 75 },
    ];
    runs.exits.push(...codes);
    clock.ms = START + MINUTE;
    await tick(scheduler);
    await launched(4);
    await idle(scheduler);
    const { recent, isFailing } = await stateOf(scheduler);
    assert.deepEqual([recent[0]!.state, recent[0]!.attempts, isFailing], ['failed', 4, true]);
    // 1 + 2 + 3 minutes of delays, and the looks at a run that somebody else may have.
    assert.ok(clock.ms - START >= 7 * MINUTE && clock.ms - START < 8 * MINUTE);
    assert.equal(events.filter(({ kind }) => kind === 'retry').length, 3);
    for (const code of [2, 3, 4]) {
      const before = runs.attempts.length;
      clock.ms += MINUTE;
      runs.exits.push({ code, said: 'as wrong the next time' });
      await tick(scheduler);
      await launched(before + 1);
      await idle(scheduler);
      const ended = (await stateOf(scheduler)).recent.at(-1)!;
      assert.equal(ended.state, 'failed');
      assert.equal(ended.why, `exit code ${code}: as wrong the next time`);
    }
  });

  it('waits for files, and fails when they do not come', async () => {
    const waitFor = { files: 'in/{{ date }}-*.csv', deadline: '10m', every: '1m' };
    const scheduler = await open({ wait_for: waitFor });
    clock.ms = START + MINUTE;
    await tick(scheduler);
    await idle(scheduler);
    const { recent } = await stateOf(scheduler);
    assert.equal(recent[0]!.state, 'failed');
    assert.match(
      recent[0]!.why!,
      /expected .*in\/2026-05-01-\*\.csv within the deadline, got none/,
    );
    assert.equal(runs.attempts.length, 0);
    assert.ok(clock.ms >= START + 11 * MINUTE);
  });

  it('takes a file that is written no longer', async () => {
    folder.write('there.csv', 'a\n');
    const waitFor = { files: 'there.csv', deadline: '10m', every: '1m' };
    runs.exits.push({ code: 0 });
    const scheduler = await open({ wait_for: waitFor });
    clock.ms = START + MINUTE;
    await tick(scheduler);
    await launched(1);
    await idle(scheduler);
    // It was written just now, so a second look was taken.
    assert.ok(clock.ms >= START + 2 * MINUTE);
  });

  it('leaves what it was at to the next scheduler when it is stopped', async () => {
    const first = await open({});
    clock.ms = START + MINUTE;
    await tick(first);
    await launched(1);
    await first.stop();
    const { active } = await stateOf(first);
    assert.deepEqual([active[0]!.owner, active[0]!.phase], [null, 'running']);
    const second = await open({});
    await tick(second);
    await launched(2);
    assert.equal(runs.attempts[1]!.run, runs.attempts[0]!.run);
    runs.end();
    await idle(second);
    assert.deepEqual((await stateOf(second)).counts.done, 1);
  });

  it('leaves a time alone that a living scheduler has, and takes no notice of a clock set back', async () => {
    const [first, second] = [await open({}), await open({})];
    clock.ms = START + MINUTE;
    await tick(first);
    await launched(1);
    await tick(second);
    await sleep(20);
    assert.equal(runs.attempts.length, 1);
    runs.end();
    await idle(first);
    clock.ms = START - 120 * MINUTE;
    await tick(first);
    await tick(second);
    clock.ms = START + MINUTE;
    await tick(second);
    await sleep(20);
    assert.equal(runs.attempts.length, 1);
  });

  it('takes over from another machine what nobody gives a sign of life for', async () => {
    const foreign = '0badcafe-77-1-00000001';
    const scheduler = await open({});
    const { state } = scheduler.works[0]!.folder;
    await scheduler.stop();
    const slow = new StateFolder(folder.path, 'minutely', 'job.yaml', START, 300);
    assert.equal(await slow.isGone(foreign), false);
    assert.equal(slow.isInDoubt(foreign), true);
    for (let i = 0; i < 5; i++) {
      await sleep(100);
      await slow.touch(foreign);
      assert.equal(await slow.isGone(foreign), false);
      assert.equal(slow.isInDoubt(foreign), false);
    }
    while (!(await slow.isGone(foreign))) await sleep(50);
    assert.equal(slow.isInDoubt(foreign), false);
    // So is one of this machine that hangs; there is no doubt about one that lives.
    const hanging = processToken();
    assert.deepEqual([await slow.isGone(hanging), slow.isInDoubt(hanging)], [false, false]);
    while (!(await slow.isGone(hanging))) await sleep(50);
    // A scheduler that is to end waits until it knows.
    clock.ms = START + MINUTE;
    const second = await open({});
    await second.works[0]!.tick();
    await launched(1);
    await state.update((now) => ({
      ...now,
      active: now.active.map((one) => ({ ...one, owner: foreign })),
    }));
    await second.works[0]!.tick();
    assert.equal(second.works[0]!.isInDoubt, true);
    await slow.touch(foreign);
    await second.works[0]!.tick();
    assert.equal(second.works[0]!.isInDoubt, false);
    runs.end();
    await idle(second);
    // It was another's by then: this one said nothing about its end.
    assert.deepEqual((await stateOf(second)).recent, []);
  });

  it('keeps the run folders of the latest times, and of others all', async () => {
    folder.write('other.csv', 'a\n');
    const scheduler = await open({ keep: 2 });
    const strangers = ['20200101T000000Z-minutely-00000000', '20200101T000000Z-job-1', 'notes'];
    for (const name of strangers) {
      mkdirSync(folder.file(`runs/${name}`), { recursive: true });
    }
    for (let night = 1; night <= 4; night++) {
      runs.exits.push((attempt) => leaveScore(attempt, night));
      clock.ms += MINUTE;
      await tick(scheduler);
      await idle(scheduler);
    }
    const left = folder.runs().filter((name) => !strangers.includes(name));
    assert.deepEqual(
      left.map((name) => name.slice(0, 16)),
      ['20260501T120300Z', '20260501T120400Z'],
    );
    assert.equal(folder.runs().length, 2 + strangers.length);
  });

  it('goes on by the new text of its file, and by the old one when the new is wrong', async () => {
    const scheduler = await open({});
    folder.write('job.yaml', 'kind: grid-search\nname: minutely\nschedule: {cron: "0 0 * * *"}');
    clock.ms = START + MINUTE;
    assert.equal((await tick(scheduler)).active.length, 0);
    folder.write('job.yaml', 'kind: grid-search\nname: minutely\nschedule: {cron: "99 * * * *"}');
    await tick(scheduler);
    await tick(scheduler);
    const warnings = events.filter(({ kind }) => kind === 'warning');
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!.why!, /schedule\.cron: expected a cron expression .*stays as it was/);
  });

  it('refuses a name that another file of the folder has', async () => {
    await (await open({})).stop();
    folder.write('other.yaml', 'kind: grid-search\nname: minutely\nschedule: {cron: "* * * * *"}');
    await assert.rejects(
      Scheduler.open({ files: [folder.file('other.yaml')], launch: runs.launch }),
      /other.yaml: name: expected a name that no other schedule of the folder has, got "minutely", which job.yaml has/,
    );
    folder.write('none.yaml', 'kind: grid-search\n');
    await assert.rejects(
      Scheduler.open({ files: [folder.file('none.yaml')], launch: runs.launch }),
      /none.yaml:1:1: schedule: expected a schedule/,
    );
  });
});
