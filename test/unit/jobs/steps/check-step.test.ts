/** Checks of data on real files: what passes, what fails and is told, and what can't be asked. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { dataCheckStep } from '../../../../jobs/steps/check-step.js';
import { copyTo, temporaryHome } from '../../../support/frame-data.js';
import { StepBench } from '../../../support/step-run.js';

describe('check step', () => {
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  let bench: StepBench;
  const at = (name: string): string => `${home.folder}/${name}`;

  before(async () => {
    home = await temporaryHome();
    bench = new StepBench(home.folder);
    const rows = (from: number, until: number): string =>
      `SELECT i AS id, ['EWR', 'JFK', 'LGA'][1 + i % 3] AS origin, CASE WHEN i % 10 = 3 THEN NULL ELSE i % 50 - 5 END AS delay,
        DATE '2013-01-01' + CAST(i // 10 AS INTEGER) AS day, i % 2 = 0 AS late, i * 0.5 AS dist,
        CASE WHEN i % 4 = 0 THEN 'NaN'::DOUBLE ELSE i END AS x FROM range(${from}, ${until}) t(i)`;
    await copyTo(at('a-1.parquet'), rows(0, 500));
    await copyTo(at('a-2.parquet'), rows(500, 1000));
    await writeFile(at('b.csv'), 'n,s\n1,u\n9007199254740993,v\n-9007199254740993,\n');
  });
  after(async () => {
    await bench.close();
    await home.remove();
  });

  /** Lines of the table that a check leaves, whether it passes or not. */
  const run = async (document: object): Promise<string[]> => {
    const failure = await bench.run(dataCheckStep, document).then(
      () => undefined,
      (error: Error) => error,
    );
    const [, ...rows] = bench.report?.table ?? [];
    const failed = rows.filter(([, , , result]) => result === 'failed').length;
    if (failed === 0 && failure !== undefined) throw failure;
    assert.equal(failure === undefined, failed === 0);
    for (const [subject, expected, got, result] of rows) {
      const line = `${subject}: expected ${expected}, got ${got}`;
      assert.equal(failure?.message.includes(line) ?? false, result === 'failed', line);
    }
    return rows.map((row) => row.join(' | '));
  };

  it('passes what holds, with what was measured', async () => {
    const found = await run({
      check: 'a-*.parquet',
      rows: { min: 1000, max: 1000 },
      columns: {
        id: { type: 'integer', min: 0, max: 999, unique: true, not_null: true },
        origin: { type: 'text', values: ['EWR', 'JFK', 'LGA'] },
        delay: { type: 'number', min: -5, max: 44, missing: 0.1 },
        day: { type: 'date', min: '2013-01-01', max: '2013-04-10' },
        late: { type: 'boolean', values: [true, false] },
        dist: { min: 0, max: 499.5 },
      },
      unique: ['id', 'origin'],
      conditions: ['delay < 45 OR late', "origin <> 'BOS'"],
      sql: ['SELECT count(*) = 1000 FROM data'],
    });
    assert.deepEqual(found, [
      'rows | at least 1000, at most 1000 | 1000 | passed',
      'id | the type integer | integer (BIGINT) | passed',
      'id | a value in every row | none missing | passed',
      'id | at least 0 | 0 | passed',
      'id | at most 999 | 999 | passed',
      'id | each value once | each once | passed',
      'origin | the type text | text (VARCHAR) | passed',
      'origin | one of EWR, JFK, LGA | only these | passed',
      'delay | the type number | integer (BIGINT) | passed',
      'delay | at most 10% missing | missing in 100 of 1000 rows (10%) | passed',
      'delay | at least -5 | -5 | passed',
      'delay | at most 44 | 44 | passed',
      'day | the type date | date | passed',
      'day | at least 2013-01-01 | 2013-01-01 | passed',
      'day | at most 2013-04-10 | 2013-04-10 | passed',
      'late | the type boolean | boolean | passed',
      'late | one of true, false | only these | passed',
      'dist | at least 0 | 0 | passed',
      'dist | at most 499.5 | 499.5 | passed',
      'delay < 45 OR late | true in every row | true | passed',
      "origin <> 'BOS' | true in every row | true | passed",
      'id, origin | in one row together | in one row each | passed',
      'SELECT count(*) = 1000 FROM data | true | true | passed',
    ]);
    assert.equal(bench.report?.note, '23 checks passed');
  });

  it('says of each check that fails what is there, and makes all of them', async () => {
    const found = await run({
      check: 'a-*.parquet',
      rows: { min: 1001 },
      columns: {
        id: { type: 'text', min: 1 },
        origin: { values: ['EWR'], unique: true },
        delay: { max: 40, not_null: true },
        day: { max: '2013-01-31' },
        dist: { type: 'integer' },
        x: { missing: 0.2 },
        orgin: { not_null: true },
      },
      unique: [['origin', 'late'], ['id']],
      conditions: ['dist < 499'],
      sql: ['SELECT avg(delay) > 100 FROM data'],
    });
    assert.deepEqual(found, [
      'rows | at least 1001 | 1000 | failed',
      'id | the type text | integer (BIGINT) | failed',
      'id | at least 1 | 0; beyond it in 1 of 1000 rows (0.1%) | failed',
      'origin | one of EWR | JFK, LGA in 666 of 1000 rows (66.6%) | failed',
      'origin | each value once | EWR 334 times; 997 rows too many | failed',
      'delay | a value in every row | missing in 100 of 1000 rows (10%) | failed',
      'delay | at most 40 | 44; beyond it in 80 of 1000 rows (8%) | failed',
      'day | at most 2013-01-31 | 2013-04-10; beyond it in 690 of 1000 rows (69%) | failed',
      'dist | the type integer | number (DECIMAL(21,1)) | failed',
      'x | at most 20% missing | missing in 250 of 1000 rows (25%) | failed',
      'orgin | a column of the data | none; there are origin, id, delay, day, late, dist, x | failed',
      'dist < 499 | true in every row | false in 2 of 1000 rows (0.2%) | failed',
      'origin, late | in one row together | 6 that stand in 1000 rows | failed',
      'id | in one row together | in one row each | passed',
      'SELECT avg(delay) > 100 FROM data | true | false | failed',
    ]);
    assert.equal(bench.report?.note, '14 of 15 checks failed');
  });

  it('decides bounds on the values, not on rounded ones', async () => {
    const column = (n: object): Promise<string[]> => run({ check: 'b.csv', columns: { n } });
    assert.match(
      (await column({ max: 9007199254740992 }))[0]!,
      /beyond it in 1 of 3 rows .* failed/,
    );
    assert.match((await column({ min: -9007199254740992 }))[0]!, /failed/);
  });

  it('reads text as it is told to, and counts what is missing there', async () => {
    const check = { path: 'b.csv', schema: { n: 'text' as const } };
    const found = await run({ check, columns: { n: { type: 'text' }, s: { missing: 0.5 } } });
    assert.deepEqual(found, [
      'n | the type text | text (VARCHAR) | passed',
      's | at most 50% missing | missing in 1 of 3 rows (33.3%) | passed',
    ]);
  });

  it('refuses bounds and values of another type than the column has', async () => {
    const found = await run({
      check: 'a-1.parquet',
      columns: { origin: { min: 3 }, delay: { min: '2013-01-01', values: ['a'] }, day: { max: 7 } },
    });
    assert.deepEqual(found, [
      'origin | at least 3: a column of numbers | text (VARCHAR) | failed',
      'delay | at least 2013-01-01: a column of dates or times | number (BIGINT) | failed',
      'delay | one of a: values of its type | number (BIGINT), and "a" among the values | failed',
      'day | at most 7: a column of numbers | timestamp (DATE) | failed',
    ]);
  });

  it('names the condition or query that can not be asked', async () => {
    const fails = (document: object, message: RegExp): Promise<void> =>
      assert.rejects(bench.run(dataCheckStep, { check: 'a-1.parquet', ...document }), message);
    await fails(
      { conditions: ['id >= 0', 'idd > 0'] },
      /steps\.it\.conditions\.1: expression "idd > 0": .*id/,
    );
    await fails({ conditions: ['sum(id) > 0'] }, /conditions\.0: expression "sum\(id\) > 0"/);
    await fails({ conditions: ['1) OR (1=1'] }, /conditions\.0/);
    await fails(
      { sql: ['SELECT id FROM data'] },
      /sql\.0: expected one row of one column, got several rows/,
    );
    await fails({ sql: ['SELECT idd > 0 FROM data'] }, /sql\.0: expected SQL that fits/);
    await fails(
      { sql: ['SELECT 1 FROM other'] },
      /sql\.0: expected one SELECT over data, got the table other/,
    );
    await fails({}, /steps\.it\.check: expected something to check/);
  });

  it('passes nothing of no rows but what holds of none', async () => {
    await writeFile(at('empty.csv'), 'a,b\n');
    const found = await run({
      check: 'empty.csv',
      rows: { min: 1 },
      columns: { a: { unique: true, missing: 0, values: ['x'] } },
      conditions: ["a = 'x'"],
    });
    assert.deepEqual(
      found.map((line) => line.split(' | ').at(-1)),
      ['failed', 'passed', 'passed', 'passed', 'passed'],
    );
  });
});
