/**
 * Searches killed at random moments (`kill -9`): none loses a candidate that was acknowledged, none
 * trains one again, and each, resumed, ends with the bytes of a run that nobody disturbed, with and
 * without a store. `REPRISE_KILLS` says how many kills; a failure prints the seed that repeats it.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readJournal } from '../../jobs/runs/journal.js';
import { isRunId } from '../../jobs/runs/run-id.js';
import { type CliResult, reprise } from '../support/cli.js';
import { JobFolder } from '../support/job-folder.js';
import { classesCsv, KILLS, KILLS_SEED } from '../support/kills.js';
import { random } from '../support/random.js';

/** Candidates that a process said were scored. */
function acknowledged({ stderr }: CliResult): number {
  const counts = [...stderr.matchAll(/"kind":"trials","done":(\d+)/g)];
  return Math.max(0, ...counts.map(([, done]) => Number(done)));
}

describe('searches killed at random moments', function () {
  this.timeout(60_000 + KILLS * 60_000);
  let folder: JobFolder;
  let wanted: readonly string[];
  let durationMs: number;

  const answerOf = (run: string): string[] =>
    ['results.csv', 'model.json'].map((name) => readFileSync(join(run, name), 'utf8'));

  /** Calls `reprise`, killed after a while if it still runs. */
  const call = (args: readonly string[], store: string | null, killMs?: number) =>
    reprise([...args, '--output', folder.file('runs')], {
      cwd: folder.path,
      env: { REPRISE_LOG: 'debug', ...(store === null ? {} : { REPRISE_STORE: store }) },
      onStart: (child) => {
        if (killMs === undefined) return;
        void sleep(killMs, undefined, { ref: false }).then(() => child.kill('SIGKILL'));
      },
    });
  const run = (store: string | null, killMs?: number) => {
    const flags = store === null ? ['--no-store'] : [];
    return call(['run', 'job.yaml', '--engine', 'local', ...flags], store, killMs);
  };

  before(async () => {
    folder = new JobFolder();
    folder.write('data.csv', classesCsv(1500));
    folder.job({
      model: { type: 'logistic' },
      search: { grid: { C: [0.1, 1, 10], penalty: ['l2', 'l1'], max_iter: [20, 30, 40] } },
      scoring: ['roc_auc', 'neg_log_loss'],
    });
    const began = performance.now();
    const { code, stderr } = await run(null);
    durationMs = performance.now() - began;
    assert.equal(code, 0, stderr);
    wanted = answerOf(folder.file(join('runs', folder.runs()[0]!)));
  });
  after(() => folder.remove());

  it(`lose nothing and end as undisturbed ones: ${KILLS} kills`, async () => {
    const next = random(KILLS_SEED);
    let kills = 0;
    while (kills < KILLS) {
      const where = `seed ${KILLS_SEED}, kill ${kills}`;
      const store = next() < 0.5 ? null : folder.file(`store-${kills}`);
      const known = new Set(folder.runs());
      const moment = () => durationMs * (0.2 + 0.9 * next());
      kills++;
      let said = acknowledged(await run(store, moment()));
      const [id] = folder.runs().filter((name) => isRunId(name) && !known.has(name));
      if (id === undefined) {
        assert.equal(said, 0, where);
        continue;
      }
      const path = folder.file(join('runs', id));
      if (kills < KILLS && next() < 0.5) {
        kills++;
        const again = await call(['resume', id], store, moment() * 0.8);
        said = Math.max(said, acknowledged(again));
      }
      const { code, stderr } = await call(['resume', id], store);
      assert.equal(code, 0, `${where}: ${stderr}`);
      assert.deepEqual(answerOf(path), wanted, where);
      await assertKept(path, said, where);
    }
    assert.deepEqual(
      readdirSync(folder.file('runs')).filter(
        (name) => isRunId(name) && !existsSync(folder.file(join('runs', name, 'result.json'))),
      ),
      [],
    );
  });

  /** Every wave is there once, and what was said was there before anybody trained on. */
  const assertKept = async (path: string, said: number, where: string): Promise<void> => {
    const records = (await readJournal(path))!;
    const waves = records.find((record) => record.kind === 'waves');
    const sizes = waves?.kind === 'waves' ? waves.waves.map((wave) => wave.length) : [];
    const kept = records.flatMap((record) => (record.kind === 'trials' ? [record.wave] : []));
    assert.deepEqual([...kept].sort(), [...sizes.keys()], `${where}: waves ${kept}`);
    const last = records.findLastIndex(({ kind }) => kind === 'run');
    const before = records
      .slice(0, last)
      .flatMap((record) => (record.kind === 'trials' ? [sizes[record.wave]!] : []));
    const there = before.reduce((sum, size) => sum + size, 0);
    assert.ok(said === 0 || last === 0 || there >= said, `${where}: said ${said}, kept ${there}`);
  };
});
