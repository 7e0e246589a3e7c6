/** What is kept of steps: read whatever became of the file, and bounded in length. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { changeOf, digestOf, type StepRecord } from '../../../../jobs/pipeline/step-record.js';
import {
  makeStepsFolder,
  readStepRecords,
  StepRecords,
  stepsFolder,
} from '../../../../jobs/pipeline/step-records.js';
import { PipelineFolder } from '../../../support/pipeline-folder.js';

const record = (step: string, key: string): StepRecord => ({
  step,
  key,
  parts: {},
  outputs: [],
  run: 'run-1',
  seconds: 1,
  inputBytes: 0,
});

describe('records of steps', () => {
  let folder: PipelineFolder;
  beforeEach(() => {
    folder = new PipelineFolder();
  });
  afterEach(() => folder.remove());

  const open = async (name = 'nightly'): Promise<StepRecords> => {
    const pipeline = { ...(await folder.pipeline({ a: { run: 'true' } })), name };
    const steps = stepsFolder(pipeline)!;
    await makeStepsFolder(pipeline, steps);
    return StepRecords.open(steps);
  };

  it('are read past what a kill left half written, and gone on with', async () => {
    const first = await open();
    await first.add(record('a', 'k1'));
    await first.add(record('b', 'k2'));
    await first.close();
    appendFileSync(join(first.folder, 'records.jsonl'), '{"step":"a","key":"half');
    const second = await open();
    assert.deepEqual([second.get('a')?.key, second.get('b')?.key], ['k1', 'k2']);
    await second.add(record('a', 'k3'));
    await second.close();
    const known = await readStepRecords(second.folder);
    assert.deepEqual([known.get('a')?.key, known.get('b')?.key], ['k3', 'k2']);
  });

  it('take no more than so many lines', async () => {
    const first = await open();
    await first.add(record('b', 'kept'));
    await first.close();
    const path = join(first.folder, 'records.jsonl');
    const [line = ''] = readFileSync(path, 'utf8').split('\n');
    appendFileSync(path, `${line}\n`.repeat(500));
    const second = await open();
    await second.add(record('a', 'new'));
    await second.close();
    assert.equal(readFileSync(path, 'utf8').split('\n').filter(Boolean).length, 2);
    const known = await readStepRecords(second.folder);
    assert.deepEqual([known.get('a')?.key, known.get('b')?.key], ['new', 'kept']);
  });

  it('are apart for pipelines of names that differ', async () => {
    const folders = await Promise.all(
      ['nightly', 'Nightly', 'night ly', 'näghtly'].map(async (name) => {
        const records = await open(name);
        await records.close();
        return records.folder;
      }),
    );
    assert.equal(new Set(folders).size, 4);
  });

  it('tell what changed, whatever the order of keys', () => {
    assert.equal(
      digestOf({ a: 1, b: [{ c: 2, d: null }] }),
      digestOf({ b: [{ d: null, c: 2 }], a: 1 }),
    );
    assert.notEqual(digestOf({ a: [1, 2] }), digestOf({ a: [2, 1] }));
    const known = { ...record('s', 'k'), parts: { 'input x': '1', 'step y as z': '2', gone: '3' } };
    const parts = { 'input x': '1', 'step y as z': '4', fresh: '5' };
    assert.equal(changeOf(parts, known), 'y as z left other content, and 2 more');
    assert.equal(changeOf({ ...parts, 'step y as z': '2', gone: '3' }, known), 'fresh is new');
  });
});
