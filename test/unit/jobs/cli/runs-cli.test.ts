/** `reprise runs` and `resume` on folders made for them, in this process. */
import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../../driver/errors.js';
import { runProgram } from '../../../../jobs/cli/program.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { readRun } from '../../../../jobs/runs/read-run.js';
import { RunJournal } from '../../../../jobs/runs/run-journal.js';
import { writeRun } from '../../../../jobs/runs/write-run.js';
import { LockedError } from '../../../../jobs/setup/lock.js';
import { runRecord } from '../../../support/run-records.js';

const FINISHED = '20260101T000000Z-small-1';
const OTHER = '20260102T000000Z-small-2';

describe('reprise runs', () => {
  let output: string;
  let journal: RunJournal;

  /** Exit code and what is written to standard output. */
  const call = async (command: string, ...args: string[]): Promise<readonly [number, string]> => {
    const { write } = process.stdout;
    let text = '';
    process.stdout.write = ((chunk: string, done: () => void) => {
      text += chunk;
      done();
      return true;
    }) as typeof write;
    try {
      const isRuns = command === 'runs';
      const words = isRuns ? [command, args[0]!] : [command];
      const rest = isRuns ? args.slice(1) : args;
      return [await runProgram([...words, '--output', output, ...rest]), text];
    } finally {
      process.stdout.write = write;
    }
  };

  beforeEach(async () => {
    output = mkdtempSync(join(tmpdir(), 'reprise-runs-'));
    const options = { output, renderReport: () => '' };
    await writeRun(runRecord({ run: FINISHED, startedAt: '2026-01-01T00:00:00.000Z' }), options);
    const job = { kind: 'grid-search', name: 'small', cv: { folds: 7 } };
    await writeRun(runRecord({ run: OTHER, job, engine: 'spark' }), options);
    const text = 'kind: grid-search\ndata: {path: d.csv, target: y}\nmodel: {type: ridge}';
    journal = await RunJournal.begin(parseJob('job.yaml', text, { output }), '/job.yaml', 'local');
    await journal.divide({ rung: 0, waves: [[0], [1, 2]], metric: 'r2', of: 3 });
    const trial = { params: { alpha: 2 }, scores: { r2: [0.5, 0.25] } };
    await journal.begin(0);
    await journal.end(0, { trials: [trial], classRows: [[], []] });
  });
  afterEach(async () => {
    await journal.close();
    rmSync(output, { recursive: true, force: true });
  });

  it('removes nothing that is not a run, though it has a file of that name', async () => {
    const project = join(output, 'project');
    for (const text of ['{}', '[]', 'null', '{"run":"x"}', 'text', `${'['.repeat(1e5)}`]) {
      mkdirSync(project, { recursive: true });
      writeFileSync(join(project, 'result.json'), text);
      await assert.rejects(call('runs', 'rm', project), ConfigError);
      await assert.rejects(call('runs', 'show', project), ConfigError);
      await assert.rejects(readRun(project), ConfigError);
      assert.equal(readFileSync(join(project, 'result.json'), 'utf8'), text);
    }
    const damaged = join(output, '20260103T000000Z-small-3');
    cpSync(project, damaged, { recursive: true });
    assert.equal((await call('runs', 'rm', damaged))[0], 0);
    assert.ok(!existsSync(damaged));
  });

  it('lists them with their states, and shows one by waves', async () => {
    const { run } = journal.attempt;
    const [code, text] = await call('runs', 'ls');
    assert.equal(code, 0);
    const lines = text.split('\n').map((line) => line.split(/ {2,}/));
    assert.deepEqual(
      lines.slice(1, -1).map(([state, id, trials, best]) => [state, id, trials, best]),
      [
        ['finished', FINISHED, '2', 'lambda 0.1: r2 0.625'],
        ['finished', OTHER, '2', 'lambda 0.1: r2 0.625'],
        ['running', run, '1 of 3', 'alpha 2: r2 0.375'],
      ],
    );
    const plain = JSON.parse((await call('runs', 'ls', '--json'))[1]);
    assert.deepEqual(plain[2].trials, { done: 1, of: 3 });
    const [, shown] = await call('runs', 'show', run);
    assert.match(shown, new RegExp(`state +running in process ${process.pid} on`));
    assert.match(shown, /1 +1 +done .*alpha 2: r2 0\.375\n +2 +2 +to do/);
  });

  it('follows one until it ends', async () => {
    const following = call('runs', 'show', journal.attempt.run, '--follow');
    setTimeout(() => void journal.failed(new Error('no more rows'), false), 100);
    const [code, text] = await following;
    assert.equal(code, 0);
    assert.match(text, /^running: 1 of 3 candidates, best alpha 2: r2 0\.375\n/);
    assert.match(text, /state +failed; `reprise resume .*` goes on\nwhy +no more rows\n/);
  });

  it('tags, compares and removes, but never one that runs', async () => {
    const { run } = journal.attempt;
    assert.deepEqual(await call('runs', 'tag', FINISHED, 'good', 'q=1'), [
      0,
      `${FINISHED}: good q=1\n`,
    ]);
    assert.deepEqual((await call('runs', 'tag', FINISHED, '--', '-good'))[1], `${FINISHED}: q=1\n`);
    await assert.rejects(call('runs', 'tag', FINISHED, 'two words'), ConfigError);
    const [, text] = await call('runs', 'compare', FINISHED, OTHER);
    assert.match(text, new RegExp(`^ +${FINISHED} +${OTHER}\nengine +local +spark\n`));
    assert.match(text, /best lambda +0\.1 +0\.1\nr2 +0\.6.* ± .*\ntime/);
    assert.match(text, /\ncv\.folds +- +7\n$/);
    await assert.rejects(call('runs', 'rm', OTHER, run), LockedError);
    assert.deepEqual(await call('runs', 'rm', OTHER), [0, `removed ${OTHER}\n`]);
    assert.deepEqual(readdirSync(output).sort(), [FINISHED, run].sort());
    await assert.rejects(call('resume', run), LockedError);
  });

  it('resumes a run with the settings of its file, wherever it is resumed from', async () => {
    const text = 'kind: grid-search\ndata: {path: d.csv, target: y}\nmodel: {type: ridge}';
    const file = join(output, 'job.yaml');
    const stopped = await RunJournal.begin(parseJob(file, text, { output }), file, 'local');
    await stopped.close();
    writeFileSync(join(output, 'reprise.yaml'), 'threds: 2');
    await assert.rejects(
      call('resume', stopped.attempt.run),
      /reprise\.yaml:1:1: threds: expected a known setting, got `threds`; did you mean `threads`\?$/,
    );
  });

  it('says of a finished run that nothing is left to do', async () => {
    const [code, text] = await call('resume', FINISHED, '--json', '--quiet');
    assert.deepEqual([code, JSON.parse(text).state], [0, 'finished']);
    assert.equal((await readRun(join(output, FINISHED))).run, FINISHED);
  });
});
