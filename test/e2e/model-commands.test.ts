/** From data without a job to an exported model, each step a process as users run it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { reprise } from '../support/cli.js';
import { JobFolder, linearCsv } from '../support/job-folder.js';

describe('reprise init, predict and export', function () {
  this.timeout(120_000);
  let folder: JobFolder;
  before(() => {
    folder = new JobFolder();
  });
  after(() => folder.remove());

  it('write a job that runs, predictions of its model, and the model for others', async () => {
    folder.write('data.csv', linearCsv(200));
    assert.equal(await folder.call('init', 'data.csv', '--quiet'), `${folder.file('job.yaml')}\n`);
    const { best } = await folder.run();
    assert.ok(best.score > 0.99);
    const asked = ['--engine', 'local', '--out', 'out.csv', '--keep', 'a,b', '--json', '--quiet'];
    const answer = JSON.parse(await folder.call('predict', 'latest', 'data.csv', ...asked));
    assert.deepEqual(
      [answer.rows, answer.rowsRead, answer.out],
      [200, 200, folder.file('out.csv')],
    );
    const [head, first] = readFileSync(folder.file('out.csv'), 'utf8').split('\n');
    assert.equal(head, 'a,b,prediction');
    const [a, b, prediction] = first!.split(',').map(Number);
    assert.ok(Math.abs(prediction! - (3 * a! - 2 * b! + 1)) < 0.1);
    const table = await folder.call('predict', 'latest', 'data.csv', '--quiet');
    assert.equal(table.trim().split('\n').length, 21);
    assert.doesNotMatch(table, /\.\d{8}/, 'numbers as people read them');
    for (const name of ['m.onnx', 'm.pmml']) {
      assert.equal(await folder.call('export', 'latest', name), `${folder.file(name)}\n`);
      assert.ok(existsSync(folder.file(name)));
    }
  });

  it('end with code 2 or 3 for what is wrong, and say what', async () => {
    for (const [args, expected, message] of [
      [['predict', 'latest', 'data.csv', '--output', 'guess'], 2, /Allowed choices are prediction/],
      [['predict', 'nothing', 'data.csv'], 3, /run: expected a run folder/],
      [['export', 'latest', 'm.json'], 3, /ends in \.onnx or \.pmml/],
      [['init', 'data.csv'], 3, /init: expected no file at job\.yaml/],
    ] as const) {
      const { code, stderr } = await reprise(args, { cwd: folder.path });
      assert.equal(code, expected, stderr);
      assert.match(stderr, message);
    }
  });
});
