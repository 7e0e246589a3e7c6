/**
 * Names that lead elsewhere (case 36): up, to the root, to a drive, past the end of a file name. Each
 * is refused or becomes a plain file name; nothing is made outside the folder it belongs to.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import fc from 'fast-check';
import { ConfigError } from '../../driver/errors.js';
import { runProgram } from '../../jobs/cli/program.js';
import { readJob } from '../../jobs/job-file/read-job.js';
import { localPath } from '../../jobs/npm-data.js';
import { parsePipeline } from '../../jobs/pipeline/read-pipeline.js';
import { isGivenRunId, isRunId, newRunId } from '../../jobs/runs/run-id.js';
import { RunJournal } from '../../jobs/runs/run-journal.js';
import { StateFolder } from '../../jobs/schedule/state-folder.js';
import { hostileText } from '../support/hostile-text.js';
import { JobFolder, linearCsv } from '../support/job-folder.js';

const LEAD = [
  '..',
  '../x',
  'a/../../x',
  '/tmp/x',
  'C:\\x',
  'C:x',
  '~/x',
  'a\0b',
  '.',
  'n'.repeat(300),
];

describe('names that lead elsewhere', () => {
  let folder: JobFolder;
  beforeEach(() => {
    folder = new JobFolder();
    folder.write('data.csv', linearCsv(20));
  });
  afterEach(() => folder.remove());

  it('of steps are refused', async () => {
    for (const name of LEAD) {
      const text = `kind: pipeline\nsteps: ${JSON.stringify({ [name]: { run: 'true' } })}\n`;
      await assert.rejects(parsePipeline('p.yaml', text, { cwd: folder.path }), ConfigError, name);
    }
  });

  it('of files in packages are refused before anything is brought', async () => {
    for (const name of ['../x', 'a/../../x', '..\\x']) {
      const path = `npm://vega-datasets@3.2.1/${name}`;
      const brought: string[] = [];
      const onBring = (pack: string): void => void brought.push(pack);
      await assert.rejects(localPath(path, { onBring }), ConfigError, name);
      assert.deepEqual(brought, []);
    }
  });

  it('of runs that somebody chose are refused', async () => {
    folder.job();
    for (const name of LEAD) {
      for (const id of [name, `20260131T023000Z-${name}`, `20260131T023000Z-a/${name}`]) {
        assert.ok(!isGivenRunId(id), id);
      }
    }
    const args = ['run', folder.file('job.yaml'), '--output', folder.file('runs')];
    assert.equal(await runProgram([...args, '--run-id', '20260131T023000Z-a/../../x']), 2);
    assert.deepEqual(folder.runs(), []);
  });

  it('of jobs and schedules become names of folders in their place', () => {
    fc.assert(
      fc.property(fc.oneof(hostileText, fc.constantFrom(...LEAD)), (name) => {
        const id = newRunId(name);
        assert.ok(isRunId(id) && /^[\w-]{10,100}$/.test(id), id);
        const { path } = new StateFolder(folder.path, name, 'job.yaml', 0);
        assert.equal(dirname(path), folder.file('.reprise/schedule'));
        assert.match(basename(path), /^[a-z0-9][a-z0-9-]{0,60}$/);
      }),
      { seed: 7 },
    );
  });

  it('with a NUL are told by their key', async () => {
    for (const [key, fields] of [
      ['data.path', { data: { path: 'a\0b.csv', target: 'y' } }],
      ['output', { output: 'a\0b' }],
      ['name', { name: 'a\0b' }],
    ] as const) {
      folder.job(fields);
      const told = { name: 'ConfigError', message: new RegExp(`${key}: expected .* without`) };
      await assert.rejects(readJob(folder.file('job.yaml')), told);
    }
  });

  it('of a job make one run folder, inside', async () => {
    const names = LEAD.filter((name) => !name.includes('\0') && name.length <= 200);
    // Somebody else may have one there.
    const outside = join(folder.path, '..', 'x');
    const wasThere = existsSync(outside);
    for (const name of names) {
      folder.job({ name });
      const job = await readJob(folder.file('job.yaml'), { cwd: folder.path });
      const journal = await RunJournal.begin(job, folder.file('job.yaml'), 'local');
      assert.equal(dirname(journal.folder), folder.file('runs'));
      await journal.close();
    }
    assert.equal(folder.runs().length, names.length);
    assert.deepEqual(readdirSync(folder.path).toSorted(), ['data.csv', 'job.yaml', 'runs']);
    assert.equal(existsSync(outside), wasThere);
  });
});
