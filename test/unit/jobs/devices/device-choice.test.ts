/** What is said of devices in files, variables and flags. */
import assert from 'node:assert/strict';
import { configuredDevices, parseDevices } from '../../../../jobs/devices/device-choice.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { readPipeline } from '../../../../jobs/pipeline/read-pipeline.js';
import { reprise } from '../../../support/cli.js';
import { JOB, SettingsFolder } from '../../../support/settings-folder.js';

describe('choice of devices', () => {
  it('is a word, a list of names, or names with commas', () => {
    for (const [said, meant] of [
      ['auto', 'auto'],
      ['none', 'none'],
      ['opencl:0', ['opencl:0']],
      [' opencl:1, cuda:12', ['opencl:1', 'cuda:12']],
      ['[cuda:0, cuda:1]', ['cuda:0', 'cuda:1']],
      [['cuda:0'], ['cuda:0']],
    ] as const) {
      assert.deepEqual(parseDevices(said), meant);
    }
    for (const wrong of [
      '',
      'gpu',
      'opencl',
      'opencl:',
      'opencl:01',
      'cuda:0,',
      [],
      [0],
      3,
      null,
    ]) {
      assert.equal(parseDevices(wrong), undefined, JSON.stringify(wrong));
    }
    assert.equal(parseDevices('cuda:0,cuda:0'), undefined);
  });

  it('of a flag is checked before anything is read', async () => {
    const { code, stderr } = await reprise(['run', 'job.yaml', '--devices', 'gpu']);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /'--devices <devices>' argument 'gpu' is invalid\. Expected `auto`, `none`/,
    );
  });

  describe('in a document', () => {
    const at = new SettingsFolder();
    beforeEach(() => at.begin());
    afterEach(() => at.end());

    it('is its own, else that of settings files; the environment and flags come before', async () => {
      assert.equal((await at.jobIn(JOB)).devices, undefined);
      at.settings('devices: [opencl:0]');
      assert.deepEqual((await at.jobIn(JOB)).devices, ['opencl:0']);
      assert.deepEqual(configuredDevices(), ['opencl:0']);
      assert.equal((await at.jobIn(`${JOB}devices: none`)).devices, 'none');
      at.set({ REPRISE_DEVICES: 'cuda:0,cuda:1' });
      assert.deepEqual((await at.jobIn(`${JOB}devices: none`)).devices, ['cuda:0', 'cuda:1']);
      const flags = { overrides: ['devices=opencl:2,cuda:0'] };
      assert.deepEqual((await at.jobIn(JOB, flags)).devices, ['opencl:2', 'cuda:0']);
    });

    it('is one for all steps of a pipeline', async () => {
      at.files({
        'project/p.yaml': 'kind: pipeline\ndevices: [cuda:1]\nsteps: {a: {run: [x]}}\n',
      });
      assert.deepEqual((await readPipeline(`${at.project}/p.yaml`)).devices, ['cuda:1']);
    });

    it('that is none is refused where it stands', async () => {
      const said = `${JOB}devices: [gpu]`;
      assert.throws(
        () => parseJob('job.yaml', said),
        /^ConfigError: job\.yaml:\d+:\d+: devices: expected `auto`, `none`, or names of devices, each once, such as `opencl:0, cuda:0`, got \["gpu"\]/,
      );
      at.set({ REPRISE_DEVICES: 'some' });
      assert.throws(configuredDevices, /^ConfigError: REPRISE_DEVICES: expected .*, got "some"/);
    });
  });
});
