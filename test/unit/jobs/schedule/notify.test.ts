/** Who is told of what: real commands, a real server, and addresses that nobody sees. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { createMetrics } from '../../../../jobs/schedule/metrics.js';
import type { Notice } from '../../../../jobs/schedule/notify.js';
import { Scheduler } from '../../../../jobs/schedule/scheduler.js';
import type { SchedulerEvent } from '../../../../jobs/schedule/scheduler-event.js';
import { JobFolder } from '../../../support/job-folder.js';
import { leaveScore, ScriptedRuns, START, TestClock } from '../../../support/scheduler-doubles.js';

const MINUTE = 60_000;

describe('notifications', function () {
  this.timeout(60_000);
  let folder: JobFolder;
  let server: Server;
  let url: string;
  let clock: TestClock;
  let runs: ScriptedRuns;
  let events: SchedulerEvent[];
  const got: Notice[] = [];
  /** Statuses that the server answers with, then 204. */
  const statuses: number[] = [];

  before(async () => {
    server = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      request.on('end', () => {
        const status = statuses.shift() ?? 204;
        if (status === 204) got.push(JSON.parse(text));
        response.writeHead(status).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/s3cr3t-path`;
  });
  after(() => server.close());
  beforeEach(() => {
    folder = new JobFolder();
    clock = new TestClock();
    runs = new ScriptedRuns();
    events = [];
    got.length = 0;
    statuses.length = 0;
  });
  afterEach(() => folder.remove());

  const open = (notify: Record<string, unknown>) => {
    const schedule = { cron: '* * * * *', zone: 'Europe/Berlin', notify };
    folder.write('job.yaml', stringify({ kind: 'grid-search', name: 'told', schedule }));
    const onEvent = (event: SchedulerEvent) => events.push(event);
    return Scheduler.open({
      files: [folder.file('job.yaml')],
      launch: runs.launch,
      clock,
      onEvent,
    });
  };
  /** Runs the next time, to the end of all that follows. */
  const night = async (scheduler: Scheduler, exit: ScriptedRuns['exits'][number]) => {
    runs.exits.push(exit);
    clock.ms += MINUTE;
    const [work] = scheduler.works;
    for (let i = 0; i < 3; i++) {
      await work!.tick();
      while (work!.busy > 0) await sleep(5);
    }
  };

  it('tell of each failure, and of recovery only after one', async () => {
    const scheduler = await open({ webhook: url });
    await night(scheduler, { code: 0 });
    assert.equal(got.length, 0);
    await night(scheduler, { code: 3, said: 'data: expected a file' });
    await night(scheduler, { code: 1 });
    await night(scheduler, { code: 0 });
    await night(scheduler, { code: 0 });
    assert.deepEqual(
      got.map(({ event, schedule, time }) => [event, schedule, time]),
      [
        ['failure', 'told', '2026-05-01T14:02:00+02:00'],
        ['failure', 'told', '2026-05-01T14:03:00+02:00'],
        ['recovery', 'told', '2026-05-01T14:04:00+02:00'],
      ],
    );
    assert.equal(got[0]!.why, 'exit code 3: data: expected a file');
    assert.match(got[0]!.text, /^told failed for 2026-05-01T14:02:00\+02:00: exit code 3: data/);
    assert.equal(new Set(got.map(({ id }) => id)).size, 3);
  });

  it('tell of a score that fell by more than asked, against the last good run', async () => {
    const scheduler = await open({ webhook: url, on: ['score-fell'], score_drop: 0.02 });
    const scores = [0.8, 0.785, 0.76, 0.9, 0.87];
    for (const score of scores.slice(0, 2)) await night(scheduler, (a) => leaveScore(a, score));
    await night(scheduler, { code: 3 });
    for (const score of scores.slice(2)) await night(scheduler, (a) => leaveScore(a, score));
    assert.deepEqual(
      got.map(({ event, before, best }) => [event, before?.score, best?.score]),
      [
        ['score-fell', 0.785, 0.76],
        ['score-fell', 0.9, 0.87],
      ],
    );
  });

  it('give a command the event, with templates of its time', async () => {
    const script = 'process.stdin.pipe(require("fs").createWriteStream(process.argv[1]))';
    const command = [process.execPath, '-e', script, 'event-{{ date }}.json'];
    const scheduler = await open({ command });
    await night(scheduler, { code: 2 });
    const notice = JSON.parse(readFileSync(folder.file('event-2026-05-01.json'), 'utf8')) as Notice;
    assert.deepEqual([notice.event, notice.attempts, notice.best], ['failure', 1, null]);
  });

  it('are told again while the server is ill, for a day, and end nothing', async () => {
    const scheduler = await open({ webhook: url });
    const warnings = () => events.filter(({ kind }) => kind === 'warning').map(({ why }) => why);
    const waiting = async () => (await scheduler.works[0]!.folder.state.read()).messages.length;
    statuses.push(503);
    await night(scheduler, { code: 3 });
    assert.deepEqual([got.length, await waiting()], [1, 0]);
    statuses.push(503, 429, 500, 500);
    await night(scheduler, { code: 3 });
    assert.deepEqual([got.length, await waiting()], [1, 1]);
    // A minute later it is still ill, then well.
    await night(scheduler, { code: 0 });
    await night(scheduler, { code: 0 });
    await night(scheduler, { code: 0 });
    assert.deepEqual(
      [got.map(({ event }) => event).sort(), await waiting()],
      [['failure', 'failure', 'recovery'], 0],
    );
    assert.equal(warnings()[0], 'notify: expected the webhook to take the event, got status 429');
    // The two messages of the third night share what the server answers then.
    assert.ok(
      warnings()
        .slice(1)
        .every((why) => why?.endsWith('got status 500')),
    );
    statuses.push(404);
    await night(scheduler, { code: 3 });
    assert.equal(
      warnings().at(-1),
      'notify: expected the webhook to take the event, got status 404; given up',
    );
    assert.equal(await waiting(), 0);
  });

  it('show no address that is a secret, whatever happens', async () => {
    process.env.OWN_HOOK_ADDRESS = url.replace(/:\d+/, ':1');
    const scheduler = await open({ webhook: { env: 'OWN_HOOK_ADDRESS' } });
    await night(scheduler, { code: 3 });
    process.env.OWN_HOOK_ADDRESS = 'not an address s3cr3t-path';
    await night(scheduler, { code: 3 });
    delete process.env.OWN_HOOK_ADDRESS;
    await night(scheduler, { code: 3 });
    const warnings = events.filter(({ kind }) => kind === 'warning').map(({ why }) => why);
    assert.deepEqual(
      [...new Set(warnings)],
      [
        'notify: expected the webhook (environment OWN_HOOK_ADDRESS) to take the event, got ECONNREFUSED',
        'notify: schedule.notify.webhook: expected an address that begins with https://, got another text; given up',
        'notify: schedule.notify.webhook: expected the environment variable OWN_HOOK_ADDRESS, got none; set it; given up',
      ],
    );
    const state = JSON.stringify(await scheduler.works[0]!.folder.state.read());
    assert.ok(!state.includes('s3cr3t') && !JSON.stringify(events).includes('s3cr3t'));
  });

  it('that a killed scheduler did not send are sent by the next', async () => {
    const scheduler = await open({ webhook: url });
    runs.exits.push({ code: 3 });
    clock.ms += MINUTE;
    const [work] = scheduler.works;
    await work!.tick();
    while (work!.busy > 0) await sleep(5);
    assert.equal((await work!.folder.state.read()).messages.length, 1);
    await scheduler.stop();
    const next = await open({ webhook: url });
    await next.works[0]!.tick();
    while (next.works[0]!.busy > 0) await sleep(5);
    assert.deepEqual(
      got.map(({ event }) => event),
      ['failure'],
    );
  });

  it('health and metrics are on loopback, for this machine', async () => {
    const metrics = createMetrics();
    const scheduler = await open({ command: ['true'] });
    const served = await metrics.listen(scheduler, 0);
    try {
      await night(scheduler, (a) => leaveScore(a, 0.5));
      await night(scheduler, { code: 3 });
      for (const event of events) metrics.onEvent(event);
      const ask = async (path: string, headers = {}) => {
        const { status, data } = await (await import('axios')).default.get(served.url + path, {
          headers,
          validateStatus: () => true,
          transformResponse: (text: string) => text,
        });
        return [status, data as string] as const;
      };
      const [status, text] = await ask('/metrics');
      assert.equal(status, 200);
      for (const line of [
        'reprise_schedule_times{schedule="told",state="done"} 1',
        'reprise_schedule_times{schedule="told",state="failed"} 1',
        'reprise_schedule_failing{schedule="told"} 1',
        'reprise_schedule_best_score{schedule="told",metric="r2"} 0.5',
        'reprise_schedule_run_seconds_count{schedule="told",state="done"} 1',
        `reprise_schedule_last_timestamp_seconds{schedule="told"} ${(START + 1.5 * MINUTE) / 1000}`,
      ]) {
        assert.ok(text.includes(`${line}\n`), `${line} in ${text}`);
      }
      assert.match(text, /reprise_process_resident_memory_bytes \d+/);
      const [health, answer] = await ask('/health');
      const { isWell, schedules } = JSON.parse(answer);
      assert.deepEqual([health, isWell, schedules[0].isFailing], [200, true, true]);
      assert.equal((await ask('/metrics', { host: 'evil.example' }))[0], 403);
      assert.equal((await ask('/other'))[0], 404);
      await assert.rejects(
        createMetrics().listen(scheduler, Number(new URL(served.url).port)),
        /--metrics: expected a free port on 127.0.0.1, got EADDRINUSE/,
      );
    } finally {
      served.close();
    }
  });
});
