/**
 * Schedulers and runs as processes: stopped gently, killed, over their time. What a scheduler was at
 * goes on, in the same run, and nothing is left behind.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { packageRoot } from '../../driver/support/package-root.js';
import { readJournal } from '../../jobs/runs/journal.js';
import { scheduledRunId } from '../../jobs/schedule/logical-time.js';
import { readSchedule } from '../../jobs/schedule/read-schedule.js';
import { stateFolderOf } from '../../jobs/schedule/schedule-work.js';
import type { ScheduleState } from '../../jobs/schedule/state.js';
import { previousTime } from '../../jobs/schedule/times.js';
import { reprise } from '../support/cli.js';
import { JobFolder, linearCsv } from '../support/job-folder.js';

describe('schedulers and runs as processes', function () {
  this.timeout(60_000);
  let folder: JobFolder;

  beforeEach(() => {
    folder = new JobFolder();
  });
  afterEach(() => folder.remove());

  /** A pipeline whose one step lasts until a file `go` is there. */
  const write = (schedule: Record<string, unknown> = {}): void => {
    const command = 'echo begun >> begun; while [ ! -e go ]; do sleep 0.05; done; echo done > out';
    const steps = { wait: { run: command, outputs: ['out'] } };
    const own = { cron: '0 0 * * *', ...schedule };
    folder.write('slow.yaml', stringify({ kind: 'pipeline', name: 'slow', steps, schedule: own }));
  };
  /** `reprise schedule --once`, and how to stop it. */
  const once = () => {
    let child: ChildProcess | undefined;
    let said = '';
    const ended = reprise(['schedule', '--once', 'slow.yaml'], {
      cwd: folder.path,
      onStart: (started) => {
        child = started;
      },
      onStderr: (stderr) => {
        said = stderr;
      },
    });
    return { child: child!, ended, said: () => said };
  };
  const state = async (): Promise<ScheduleState> => {
    const scheduled = await readSchedule(folder.file('slow.yaml'));
    return (await stateFolderOf(scheduled, 0)).state.read();
  };
  const journal = async () => (await readJournal(folder.file(`runs/${folder.runs()[0]}`))) ?? [];
  const until = async (is: () => Promise<boolean>): Promise<void> => {
    while (!(await is())) await sleep(50);
  };
  /** The step of the run is under way. */
  const isBegun = async (): Promise<boolean> =>
    folder.runs().length === 1 && (await journal()).some(({ kind }) => kind === 'step-begin');
  const pids = async (): Promise<number[]> =>
    (await journal()).flatMap((one) => (one.kind === 'run' ? [one.pid] : []));
  const lives = (pid: number): boolean => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  it('one that is told to stop ends its run gently, and the next goes on with it', async () => {
    write();
    const first = once();
    await until(isBegun);
    first.child.kill('SIGTERM');
    const { code, stderr } = await first.ended;
    assert.equal(code, 143, stderr);
    const [pid] = await pids();
    assert.equal(lives(pid!), false);
    const { active } = await state();
    assert.deepEqual([active.length, active[0]!.owner, active[0]!.phase], [1, null, 'running']);
    folder.write('go', '');
    const second = await once().ended;
    assert.equal(second.code, 0, second.stderr);
    assert.match(second.stderr, /goes on as/);
    assert.equal(folder.runs().length, 1);
    assert.equal((await pids()).length, 2);
    assert.equal((await state()).counts.done, 1);
  });

  it('one that is killed leaves its run to go on, and the next watches it to its end', async () => {
    write();
    const first = once();
    await until(isBegun);
    first.child.kill('SIGKILL');
    await first.ended;
    const [pid] = await pids();
    assert.equal(lives(pid!), true);
    const second = once();
    await until(async () => second.said().includes('is run by another process'));
    folder.write('go', '');
    const { code, stderr } = await second.ended;
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /taken over from a scheduler that is gone\n.*is run by another process as/s,
    );
    assert.deepEqual(await pids(), [pid]);
    assert.equal((await state()).counts.done, 1);
  });

  it('a run that is killed is gone on with when retries are left', async () => {
    write({ retries: { times: 1, delay: '100ms' } });
    const first = once();
    await until(isBegun);
    process.kill((await pids())[0]!, 'SIGKILL');
    folder.write('go', '');
    const { code, stderr } = await first.ended;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /failed, and is tried again: ended by SIGKILL\n.*goes on as/s);
    assert.equal((await pids()).length, 2);
  });

  it('a run over its time is ended, and has failed', async () => {
    write({ timeout: '3s' });
    const { code, stderr } = await once().ended;
    assert.equal(code, 4, stderr);
    assert.match(stderr, /failed: the time limit was over/);
    const [pid] = await pids();
    assert.equal(lives(pid!), false);
    assert.equal((await state()).isFailing, true);
    const shown = await reprise(['schedule', 'ls', 'slow.yaml'], { cwd: folder.path });
    assert.match(shown.stdout, /1 failed\n\n[\s\S]*failed +\S+ +the time limit was over/);
  });

  it('a run whose data have changed since it was cut off begins anew, under an id of its own', async () => {
    folder.write('data.csv', linearCsv(100));
    const file = folder.job({ name: 'grown', schedule: { cron: '0 0 * * *' } });
    const scheduled = await readSchedule(file);
    const time = previousTime(scheduled.schedule, Date.now())!;
    const run = scheduledRunId('grown', file, time, 1);
    const maker = join(packageRoot(), 'dist/test/support/interrupted-run.js');
    const made = spawnSync(process.execPath, [maker, file, folder.file('runs'), run]);
    assert.equal(made.signal, 'SIGKILL', String(made.stderr));
    const { state: versions } = await stateFolderOf(scheduled, time - 1);
    const claimedAt = Date.now() - 3_600_000;
    const entry = { time, by: 'schedule', run, round: 1, phase: 'running', attempts: 0, takeUps: 0, claimedAt, since: claimedAt, owner: null } as const; // biome-ignore format: a record
    await versions.update((now) => ({ ...now, last: time, active: [entry] }));
    const env = { REPRISE_STORE: 'off' };
    const { code, stderr } = await reprise(
      ['schedule', '--once', 'job.yaml', '--engine', 'local'],
      {
        cwd: folder.path,
        env,
      },
    );
    assert.equal(code, 0, stderr);
    const again = scheduledRunId('grown', file, time, 2);
    assert.match(stderr, new RegExp(`goes on as ${run}\n.*started as ${again}\n.*done`, 's'));
    assert.deepEqual(folder.runs().sort(), [run, again].sort());
    const { recent } = await versions.read();
    assert.deepEqual([recent[0]!.run, recent[0]!.round, recent[0]!.state], [again, 2, 'done']);
  });
});
