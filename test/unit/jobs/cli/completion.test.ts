/** Completion of the command line, asked for by a real bash as it does when TAB is pressed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SETTINGS } from '../../../../jobs/config/settings.js';
import { cliPath, reprise } from '../../../support/cli.js';

const JOB = `kind: grid-search
data: {path: d.csv, target: y}
model: {type: ridge}
variables: {month: 1}
`;

describe('completion', () => {
  let folder: string;
  let script: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'reprise-complete-'));
    for (const name of [
      'results',
      'data',
      'results/20260101T000000Z-a-1',
      'results/20260102T000000Z-b-2',
    ]) {
      mkdirSync(join(folder, name));
    }
    writeFileSync(join(folder, 'my job.yaml'), JOB);
    writeFileSync(join(folder, 'd.csv'), 'x,y\n');
    writeFileSync(join(folder, 'reprise.yaml'), 'output: results');
    script = (await reprise(['completion', 'bash'])).stdout;
  });
  after(() => rmSync(folder, { recursive: true }));

  /** What bash offers for words; the last is where the cursor is. */
  async function offered(...words: string[]): Promise<string[]> {
    const quoted = words.map((word) => `'${word}'`).join(' ');
    const program = `
reprise() { '${process.execPath}' '${cliPath}' "$@"; }
${script}
COMP_WORDS=(reprise ${quoted}); COMP_CWORD=${words.length}
_reprise
printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await promisify(execFile)('bash', ['-c', program], { cwd: folder });
    return stdout.split('\n').filter((line) => line !== '');
  }

  it('finds commands, options and their values', async () => {
    assert.deepEqual(await offered('pr'), ['predict']);
    assert.deepEqual(await offered('config', ''), ['show', 'get', 'path', 'help']);
    assert.deepEqual(await offered('run', 'x.yaml', '--max-f'), ['--max-failures']);
    assert.deepEqual(await offered('run', '--engine', 'l'), ['local']);
    assert.deepEqual(await offered('run', '--engine', '=', 's'), ['spark']);
    assert.deepEqual(await offered('runs', 'sh'), ['show']);
    assert.ok(!(await offered('')).includes('complete'), 'it is for scripts');
  }).timeout(60_000);

  it('finds job files and folders, data, runs and settings', async () => {
    assert.deepEqual((await offered('run', '')).sort(), [
      'data',
      'my job.yaml',
      'reprise.yaml',
      'results',
    ]);
    assert.deepEqual(await offered('run', '--engine', 'local', 'my'), ['my job.yaml']);
    assert.ok((await offered('predict', 'latest', '')).includes('d.csv'));
    assert.deepEqual((await offered('report', 'latest', '--output', '')).sort(), [
      'data',
      'results',
    ]);
    const runs = ['latest', '20260102T000000Z-b-2', '20260101T000000Z-a-1'];
    assert.deepEqual(await offered('report', ''), runs);
    assert.deepEqual(await offered('runs', 'compare', runs[1]!, '20260101'), [runs[2]]);
    assert.deepEqual(await offered('diff', 'latest', ''), runs);
    assert.equal((await offered('config', 'get', '')).length, SETTINGS.length);
  }).timeout(60_000);

  it('finds the keys of the job that is named, level by level', async () => {
    const keys = await offered('run', 'my job.yaml', '');
    assert.ok(keys.includes('name=') && keys.includes('cv.') && keys.includes('data.'));
    assert.deepEqual(await offered('run', 'my job.yaml', 'cv.fol'), ['cv.folds=']);
    assert.deepEqual(await offered('run', 'my job.yaml', 'model.l'), ['model.lambda=']);
    assert.deepEqual(await offered('plan', 'my job.yaml', 'cv.folds=3', 'variables.'), [
      'variables.month=',
    ]);
    assert.deepEqual(await offered('run', 'my job.yaml', 'cv.folds', '=', ''), []);
    assert.deepEqual(await offered('run', 'my\\ job.yaml', 'cv.fol'), ['cv.folds=']);
    assert.deepEqual(await offered('run', '"my job.yaml"', 'cv.fol'), ['cv.folds=']);
  }).timeout(60_000);

  it('offers nothing, and says nothing, where something is wrong', async () => {
    for (const words of [
      ['run', 'none.yaml', ''],
      ['nonsense', ''],
      ['doctor', ''],
    ]) {
      const { code, stdout, stderr } = await reprise(['complete', 'bash', '--', ...words], {
        cwd: folder,
      });
      assert.deepEqual([code, stdout, stderr], [0, ':nothing\n', '']);
    }
    assert.equal((await reprise(['completion', 'cmd'])).code, 2);
  }).timeout(60_000);
});
