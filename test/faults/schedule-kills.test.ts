/**
 * Two schedulers on one state, killed at random moments (`kill -9`), and so are runs: each logical
 * time runs once, to its end, to the answer of an undisturbed run; a run is taken up where it was
 * left, and by one process at a time. `REPRISE_TIMES` says how many times; a failure prints the seed.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { readJournal } from '../../jobs/runs/journal.js';
import { isRunId } from '../../jobs/runs/run-id.js';
import { readSchedule } from '../../jobs/schedule/read-schedule.js';
import { stateFolderOf } from '../../jobs/schedule/schedule-work.js';
import { cliPath } from '../support/cli.js';
import { JobFolder, linearCsv } from '../support/job-folder.js';
import { random } from '../support/random.js';

const TIMES = Number(process.env.REPRISE_TIMES ?? 16);
const SEED = Number(process.env.REPRISE_KILLS_SEED ?? 1);
const NAMES = ['north', 'east', 'south', 'west'];
const EACH = Math.ceil(TIMES / NAMES.length);
const MINUTE = 60_000;

describe('two schedulers killed at random moments', function () {
  this.timeout(120_000 + TIMES * 10_000);
  let folder: JobFolder;
  const schedulers: ChildProcess[] = [];
  const killedRuns: number[] = [];
  let kills = 0;

  before(() => {
    folder = new JobFolder();
    folder.write('data.csv', linearCsv(200));
    const end = Math.floor(Date.now() / MINUTE) * MINUTE;
    for (const name of NAMES) {
      const schedule = {
        cron: '* * * * *',
        start: new Date(end - (EACH - 1) * MINUTE).toISOString(),
        end: new Date(end).toISOString(),
        catch_up: 'all',
        retries: { times: 100, delay: '100ms', factor: 1 },
      };
      const search = { grid: { lambda: [0.01, 1, 100] } };
      const job = { kind: 'grid-search', name, data: { path: 'data.csv', target: 'y' }, model: { type: 'ridge' }, search, cv: { folds: 4 }, schedule }; // biome-ignore format: a record
      folder.write(`${name}.yaml`, stringify(job));
    }
  });
  after(() => {
    for (const child of schedulers) child.kill('SIGKILL');
    folder.remove();
  });

  const start = (): ChildProcess => {
    const files = NAMES.map((name) => `${name}.yaml`);
    const given = ['schedule', ...files, '--parallel', '2', '--engine', 'local', '--no-store'];
    const stdio: ('ignore' | 'inherit')[] = ['ignore', 'ignore', process.env.REPRISE_SHOW ? 'inherit' : 'ignore']; // biome-ignore format: a list
    return spawn(process.execPath, [cliPath, ...given], { cwd: folder.path, stdio });
  };
  const states = () =>
    Promise.all(
      NAMES.map(async (name) => {
        const scheduled = await readSchedule(folder.file(`${name}.yaml`));
        return (await stateFolderOf(scheduled, 0)).state.read();
      }),
    );
  const isOver = async (): Promise<boolean> =>
    (await states()).every(({ counts, active }) => counts.done === EACH && active.length === 0);
  /** The process of a run that is under way. */
  const someRun = async (pick: number): Promise<number | undefined> => {
    const active = (await states()).flatMap(({ active }) => active).filter(({ phase }) => phase === 'running'); // biome-ignore format: a line
    const entry = active[Math.floor(pick * active.length)];
    const records = entry && (await readJournal(join(folder.file('runs'), entry.run)));
    const last = records?.findLast((record) => record.kind === 'run');
    return last?.kind === 'run' && !records!.some(({ kind }) => kind === 'end')
      ? last.pid
      : undefined;
  };

  it(`run each of ${EACH * NAMES.length} logical times once`, async () => {
    const next = random(SEED);
    schedulers.push(start(), start());
    while (!(await isOver())) {
      await sleep(500 + 4000 * next());
      for (const { exitCode } of schedulers) assert.equal(exitCode, null, `seed ${SEED}`);
      if (next() < 0.25) {
        const pid = await someRun(next());
        if (pid !== undefined) {
          killedRuns.push(pid);
          kill(pid);
        }
      } else {
        const victim = next() < 0.5 ? 0 : 1;
        schedulers[victim]!.kill('SIGKILL');
        schedulers[victim] = start();
        kills++;
      }
    }
    // One that was started just now may not hear signals yet.
    const ended = schedulers.map(
      (child) => new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 143))),
    );
    for (const child of schedulers) child.kill('SIGTERM');
    assert.deepEqual(await Promise.all(ended), [143, 143]);
    await assertEachOnce();
    // Said, as CI shows how hard it was tried.
    process.stderr.write(`        ${kills} schedulers and ${killedRuns.length} runs killed\n`);
  });

  const assertEachOnce = async (): Promise<void> => {
    const runs = readdirSync(folder.file('runs')).filter(isRunId);
    const keys = runs.map((run) => run.slice(0, run.lastIndexOf('-')));
    assert.equal(new Set(keys).size, EACH * NAMES.length, `seed ${SEED}`);
    assert.equal(keys.length, EACH * NAMES.length, `seed ${SEED}: a time has two runs`);
    let answer: string | undefined;
    for (const run of runs) {
      const where = `seed ${SEED}, ${run}`;
      const records = (await readJournal(folder.file(`runs/${run}`)))!;
      const count = (kind: string): number => records.filter((one) => one.kind === kind).length;
      assert.equal(count('end'), 1, where);
      const waves = records.flatMap((one) => (one.kind === 'trials' ? [one.wave] : []));
      assert.equal(new Set(waves).size, waves.length, `${where}: a wave was trained twice`);
      // Nobody took a run up but after its process was killed.
      const pids = records.flatMap((one) => (one.kind === 'run' ? [one.pid] : []));
      const killed = pids.filter((pid) => killedRuns.includes(pid)).length;
      assert.ok(pids.length - 1 <= killed, `${where}: ${pids.length} attempts, ${killed} killed`);
      const results = readFileSync(folder.file(`runs/${run}/results.csv`), 'utf8');
      answer ??= results;
      assert.equal(results, answer, where);
    }
  };
});

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
