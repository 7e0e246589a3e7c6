/**
 * Pipelines killed at random moments (`kill -9`): none does a step again that was said to be done,
 * and each, resumed, ends with the bytes of one that nobody disturbed, with and without a store.
 * `REPRISE_KILLS` says how many kills; a failure prints the seed that repeats it.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { PipelineResult } from '../../jobs/pipeline/result.js';
import { readJournal } from '../../jobs/runs/journal.js';
import { isRunId } from '../../jobs/runs/run-id.js';
import { type CliResult, reprise } from '../support/cli.js';
import { JobFolder } from '../support/job-folder.js';
import { classesCsv, KILLS, KILLS_SEED } from '../support/kills.js';
import { random } from '../support/random.js';

const STEPS = {
  rows: { sql: 'select * from t where a < 0.45 order by a', inputs: { t: 'data.csv' } },
  others: { sql: 'select count(*) as n, avg(b) as b from t', inputs: { t: 'data.csv' } },
  sane: { check: { step: 'rows' }, rows: { min: 100 }, columns: { a: { max: 0.45 } } },
  search: {
    job: {
      data: { target: 'y' },
      model: { type: 'logistic' },
      search: { grid: { C: [0.1, 1, 10], penalty: ['l2', 'l1'], max_iter: [20, 30, 40] } },
      scoring: ['roc_auc', 'neg_log_loss'],
    },
    with: { 'data.path': { step: 'rows' } },
    after: ['sane'],
  },
  scores: {
    predict: { step: 'search' },
    data: { step: 'rows' },
    columns: ['prediction', 'probability'],
    output: 'out/scores.csv',
  },
  count: {
    run: 'wc -l < {{ steps.scores }} > out/count.txt',
    inputs: [{ step: 'scores' }],
    outputs: ['out/count.txt'],
  },
};

/** Steps that a process said were done. */
function acknowledged({ stderr }: CliResult): string[] {
  const said = stderr.matchAll(/"kind":"step","step":"(\w+)","state":"done"/g);
  return [...said].map(([, step]) => step!);
}

describe('pipelines killed at random moments', function () {
  this.timeout(60_000 + KILLS * 60_000);
  let folder: JobFolder;
  let wanted: readonly string[];
  let durationMs: number;

  /** Calls `reprise`, killed after a while if it still runs. */
  const call = (args: readonly string[], store: string | null, killMs?: number) =>
    reprise([...args, '--output', folder.file('runs')], {
      cwd: folder.path,
      env: { REPRISE_LOG: 'debug', REPRISE_STORE: store ?? 'off' },
      onStart: (child) => {
        if (killMs === undefined) return;
        void sleep(killMs, undefined, { ref: false }).then(() => child.kill('SIGKILL'));
      },
    });
  const run = (store: string | null, killMs?: number) =>
    call(['run', 'nightly.yaml', '--engine', 'local'], store, killMs);

  /** What the steps left, by step. */
  const answerOf = (run: string): string[] => {
    const text = readFileSync(join(folder.file('runs'), run, 'result.json'), 'utf8');
    const { steps, state } = JSON.parse(text) as PipelineResult;
    assert.equal(state, 'finished', text);
    return steps.flatMap(({ step, outputs }) =>
      outputs.map(({ name, path }) => `${step} ${name} ${readFileSync(path, 'latin1')}`),
    );
  };
  const clear = (): void => {
    for (const name of ['.reprise', 'out', 'store']) {
      rmSync(folder.file(name), { recursive: true, force: true });
    }
  };

  before(async () => {
    folder = new JobFolder();
    folder.write('data.csv', classesCsv(1500));
    folder.write('nightly.yaml', stringify({ kind: 'pipeline', steps: STEPS }));
    const began = performance.now();
    const { code, stderr } = await run(null);
    durationMs = performance.now() - began;
    assert.equal(code, 0, stderr);
    wanted = answerOf(folder.runs()[0]!);
    assert.equal(wanted.length, 6);
  });
  after(() => folder.remove());

  it(`do no step again and end as undisturbed ones: ${KILLS} kills`, async () => {
    const next = random(KILLS_SEED);
    let kills = 0;
    while (kills < KILLS) {
      const where = `seed ${KILLS_SEED}, kill ${kills}`;
      clear();
      const store = next() < 0.5 ? null : folder.file('store');
      const known = new Set(folder.runs());
      const moment = () => durationMs * (0.2 + 0.9 * next());
      kills++;
      const said = new Set(acknowledged(await run(store, moment())));
      const [id] = folder.runs().filter((name) => isRunId(name) && !known.has(name));
      if (id === undefined) {
        assert.equal(said.size, 0, where);
        continue;
      }
      while (kills < KILLS && next() < 0.5) {
        kills++;
        const again = await call(['resume', id], store, moment() * 0.8);
        for (const step of acknowledged(again)) {
          assert.ok(!said.has(step), `${where}: ${step} was done again`);
          said.add(step);
        }
      }
      const { code, stderr } = await call(['resume', id], store);
      assert.equal(code, 0, `${where}: ${stderr}`);
      assert.deepEqual(answerOf(id), wanted, where);
      await assertOnce(folder.file(join('runs', id)), said, where);
    }
    const left = readdirSync(folder.path, { recursive: true }).map(String);
    assert.deepEqual(
      left.filter((name) => /\.(step|beginning)-/.test(name)),
      [],
    );
  });

  /** No step begins after it was done, and what was said to be done stands in the journal. */
  const assertOnce = async (
    path: string,
    said: ReadonlySet<string>,
    where: string,
  ): Promise<void> => {
    const done = new Set<string>();
    for (const record of (await readJournal(path))!) {
      if (record.kind === 'step-begin') {
        assert.ok(!done.has(record.step), `${where}: ${record.step} began again`);
      }
      if (record.kind === 'step-end' && record.state === 'done') {
        assert.ok(!done.has(record.step), `${where}: ${record.step} ended again`);
        done.add(record.step);
      }
    }
    assert.deepEqual([...done].sort(), Object.keys(STEPS).sort(), where);
    for (const step of said) assert.ok(done.has(step), `${where}: ${step} was said to be done`);
  };
});
