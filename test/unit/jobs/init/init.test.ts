/** First jobs: what is chosen of data and why, that the job runs, and that no file is written over. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { openSession } from '../../../../jobs/engines.js';
import { firstJob } from '../../../../jobs/init/first-job.js';
import { writeFirstJob } from '../../../../jobs/init/init.js';
import { chooseTarget, look, type SeenData } from '../../../../jobs/init/look.js';
import { readJob } from '../../../../jobs/job-file/read-job.js';
import { runJob } from '../../../../jobs/run-job.js';
import { JobFolder } from '../../../support/job-folder.js';

const HEAD = 'customer_id,joined,age,city,note,plan,same,spent,won';

/** A line of sixty customers. */
function line(i: number): string {
  const city = `city ${i % 40}`;
  const plan = ['"a, b"', 'true', '"#1: x"'][i % 3];
  const joined = `2024-0${1 + (i % 9)}-0${1 + (i % 7)}`;
  return [
    1000 + i,
    joined,
    i % 7 ? 20 + (i % 30) : '',
    city,
    `note ${i}`,
    plan,
    1,
    i * 1.5 + (i % 4),
    i % 2,
  ].join(',');
}

describe('reprise init', () => {
  let folder: JobFolder;
  let seen: SeenData;
  before(async () => {
    folder = new JobFolder();
    const lines = Array.from({ length: 60 }, (_, i) => line(i));
    folder.write('data.csv', `${[HEAD, ...lines].join('\n')}\n`);
    const open = await openSession('local');
    seen = await look(open.frames, folder.file('data.csv'));
    await open.session.close();
  });
  after(() => folder.remove());

  const text = (target: string): string =>
    firstJob(folder.file('job.yaml'), {
      path: 'data.csv',
      seen,
      target: chooseTarget(seen, target),
    });

  it('uses each column by what is in it, and says why not', () => {
    const { data } = parse(text('spent'));
    assert.deepEqual(data.features, [
      { name: 'joined_month', sql: 'extract(month from joined)', encode: 'onehot' },
      { name: 'joined_weekday', sql: 'extract(dow from joined)', encode: 'onehot' },
      { name: 'age', impute: 'mean' },
      { name: 'city', encode: 'onehot', top: 30 },
      { name: 'plan', encode: 'onehot' },
      'won',
    ]);
    assert.match(text('spent'), /# customer_id is left out: looks like an identifier/);
    assert.match(text('spent'), /# note is left out: looks like an identifier/);
    assert.match(text('spent'), /# same is left out: every row has the same value/);
  });

  it('guesses the target by its name, else takes the last that can be one, and says so', () => {
    const { column, task, why } = chooseTarget(seen, undefined);
    assert.deepEqual([column.name, task], ['won', 'classification']);
    assert.match(why, /last column/);
    const named = {
      ...seen,
      columns: seen.columns.map((c) => (c.name === 'age' ? { ...c, name: 'Price' } : c)),
    };
    assert.deepEqual(
      [chooseTarget(named, undefined).column.name, chooseTarget(named, undefined).why],
      ['Price', 'guessed by its name'],
    );
    assert.equal(chooseTarget(seen, 'plan').task, 'classification');
    assert.throws(() => chooseTarget(seen, 'note'), /--target: .* got note, which has no/);
    assert.throws(() => chooseTarget(seen, 'nothing'), /got nothing; there are /);
  });

  it('writes a job that runs, and never over a file', async () => {
    const file = folder.file('first.yaml');
    await writeFirstJob(folder.file('data.csv'), file, 'spent');
    const job = await readJob(file);
    assert.equal(job.data.path, folder.file('data.csv'));
    const { search } = await runJob(job, { engine: 'local' });
    assert.equal(search.trials.length, 7);
    assert.ok(search.trials.every(({ meanScore }) => Number.isFinite(meanScore.r2)));
    const before = readFileSync(file, 'utf8');
    await assert.rejects(
      writeFirstJob(folder.file('data.csv'), file, undefined),
      /expected no file at .*first.yaml/,
    );
    assert.equal(readFileSync(join(folder.path, 'first.yaml'), 'utf8'), before);
  });
});
