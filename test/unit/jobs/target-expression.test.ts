/**
 * A target may be an expression over the columns: its job is that of a column with these values,
 * its model needs none of them to predict, and what would learn from its own answer is told.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type OpenSession, openSession } from '../../../jobs/engines.js';
import { readJob } from '../../../jobs/job-file/read-job.js';
import { readModel } from '../../../jobs/model/read-model.js';
import { planJob } from '../../../jobs/plan-job.js';
import { predict } from '../../../jobs/predict/predict.js';
import { runJob } from '../../../jobs/run-job.js';
import type { RunRecord } from '../../../jobs/runs/record.js';
import { writeRun } from '../../../jobs/runs/write-run.js';
import { JobFolder } from '../../support/job-folder.js';

const ROWS = 240;

describe('a target that is an expression', () => {
  let folder: JobFolder;
  let open: OpenSession;
  before(async () => {
    folder = new JobFolder();
    const lines = Array.from({ length: ROWS }, (_, i) => {
      const delay = ((i * 29) % 41) + 0.4 * (i % 50) - 10;
      return `${i % 50},${(i * 7) % 11},${delay},${delay > 15},${i % 9 === 0 ? '' : delay}`;
    });
    folder.write('flights.csv', ['distance,hour,delay,late,told', ...lines].join('\n'));
    folder.write('new.csv', 'hour,distance\n3,40\n9,2\n');
    open = await openSession('local');
  });
  after(async () => {
    await open?.session.close();
    folder.remove();
  });

  interface Asked {
    readonly target: unknown;
    readonly type?: string;
    readonly data?: object;
  }

  const read = ({ target, type = 'logistic', data = {} }: Asked) => {
    folder.job({
      data: { path: 'flights.csv', target, features: ['distance', 'hour'], ...data },
      model: { type },
      search: { grid: type === 'ridge' ? { lambda: [0.1, 10] } : { C: [0.1, 10] } },
      scoring: [type === 'ridge' ? 'r2' : 'neg_log_loss'],
    });
    return readJob(folder.file('job.yaml'), { cwd: folder.path });
  };
  const run = async (asked: Asked, warnings: string[] = []): Promise<RunRecord> =>
    runJob(await read(asked), {
      engine: 'local',
      open,
      onEvent: (event) => void (event.kind === 'warning' && warnings.push(event.message)),
    });

  for (const [type, sql, column, data] of [
    ['logistic', 'delay > 15', 'late', {}],
    ['ridge', 'delay', 'delay', {}],
    ['logistic', 'delay > 15', 'late', { dtype: 'float32' }],
  ] as const) {
    it(`is learned by ${type} as a column of its values is, ${JSON.stringify(data)}`, async () => {
      const made = await run({ target: { name: 'made', sql: `(${sql})` }, type, data });
      const plain = await run({ target: column, type, data });
      assert.deepEqual(made.search.model?.classes, plain.search.model?.classes);
      const numbers = ({ search }: RunRecord): number[] => [
        ...search.trials.flatMap(({ splitScores }) => Object.values(splitScores).flat()),
        ...search.model!.coefficients.flat(),
      ];
      const expected = numbers(plain);
      assert.equal(numbers(made).length, expected.length);
      for (const [i, got] of numbers(made).entries())
        assert.ok(Math.abs(got - expected[i]!) < 1e-10 * Math.abs(expected[i]!), `${i}: ${got}`);
    });
  }

  it('is needed by nobody who predicts', async () => {
    const record = await run({ target: { name: 'late15', sql: 'delay > 15' } });
    const path = await writeRun(record, { output: folder.file('runs'), renderReport: () => '' });
    const found = await readModel(path, folder.file('runs'));
    assert.equal(found.model.target, 'late15');
    const out = folder.file('scored.csv');
    await predict(found, folder.file('new.csv'), { engine: 'local', out, open });
    const [, ...lines] = readFileSync(out, 'utf8').trim().split('\n');
    assert.equal(lines.length, 2);
    for (const line of lines) assert.match(line, /^(true|false)\b/);
  });

  it('is shown by plan, with its expression', async () => {
    const job = await read({ target: { name: 'late15', sql: 'delay > 15' } });
    const { target } = await planJob(job, { engine: 'local', open });
    assert.equal(target, 'late15 (delay > 15)');
  });

  it('is warned of where a feature is a column it is made of', async () => {
    const warnings: string[] = [];
    const data = { features: ['hour', 'delay'] };
    await run({ target: { name: 'late15', sql: 'delay > 15' }, data }, warnings);
    assert.match(warnings.join('\n'), /target late15: it is made of delay, which is a feature too/);
  });

  const refused: [string, Asked, RegExp][] = [
    ['no features', { target: { name: 'l', sql: 'delay > 15' }, data: { features: undefined } }, /expected `features` beside a target with `sql`, got none/],
    ['rows without one left out', { target: { name: 'l', sql: 'told > 15' }, data: { drop_missing_target: true } }, /expected a column as target, got one with `sql`/],
    ['the name of a column', { target: { name: 'hour', sql: 'delay > 15' } }, /target hour: expected a name that no column has/],
    ['rows without a value', { target: { name: 'l', sql: 'told > 15' } }, /target l: expected a class in every row, got 27 missing in 240 rows/],
    ['a column there is not', { target: { name: 'l', sql: 'dely > 15' } }, /target l: .*dely/],
    ['the expression of a feature', { target: { name: 'l', sql: 'hour' } }, /feature hour: expected something other than the target/],
    ['text for numbers', { target: { name: 'l', sql: "concat('x', hour)" }, type: 'ridge' }, /target l: expected numbers, got text values/],
    ['an expression without a name', { target: { sql: 'delay > 15' } }, /data\.target/],
    ['one that is none', { target: 7 }, /data\.target/],
  ]; // biome-ignore format: a case a line
  for (const [what, asked, message] of refused) {
    it(`is refused with ${what}`, () => assert.rejects(run(asked), message));
  }
});
