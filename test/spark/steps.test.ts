/** Steps of pipelines on Spark: what they leave, refuse and find, beside what DuckDB does. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { Session } from '../../driver/runtime/session.js';
import { createDuckDbEngine, type DuckDbEngine } from '../../gpu-executor/cpu/index.js';
import { dataCheckStep } from '../../jobs/steps/check-step.js';
import { sqlStep } from '../../jobs/steps/sql-step.js';
import { writeStep } from '../../jobs/steps/write-step.js';
import { createSparkBackend } from '../../spark-bridge/index.js';
import { copyTo, duckdb } from '../support/frame-data.js';
import { SharedSpark } from '../support/spark-session.js';
import { StepBench } from '../support/step-run.js';
import { temporaryFolder } from './folder.js';

describe('steps on spark', () => {
  let shared: SharedSpark;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let bench: StepBench;
  let engine: DuckDbEngine;
  const at = (name: string): string => `${folder.folder}/${name}`;

  before(async function () {
    this.timeout(600_000);
    const started = await SharedSpark.start();
    if (typeof started === 'string') {
      console.warn(`SKIPPED steps on spark: ${started}`);
      this.skip();
    } else shared = started;
    folder = await temporaryFolder();
    bench = new StepBench(folder.folder);
    engine = createDuckDbEngine({ memoryBytes: 200e6 });
    const { channel } = shared.embedded;
    const spark = await createSparkBackend({
      channel,
      onClose: async () => {},
      sql: engine.sql,
      isHere: true,
    });
    const session = new Session({
      local: createReferenceBackend(),
      blocks: spark,
      placement: 'blocks',
    });
    bench.use('spark', { session, engine: 'spark', frames: spark.frames!, duckdb: engine, spark });
    const rows = (from: number, until: number): string =>
      `SELECT i AS id, ['EWR', 'JFK', 'LGA'][1 + i % 3] AS origin, CASE WHEN i % 10 = 3 THEN NULL ELSE i % 50 - 5 END AS delay,
        DATE '2013-01-01' + CAST(i // 10 AS INTEGER) AS day, CAST(i * 0.5 AS DOUBLE) AS dist FROM range(${from}, ${until}) t(i)`;
    await copyTo(at('f-1.parquet'), rows(0, 500));
    await copyTo(at('f-2.parquet'), rows(500, 1000));
    await writeFile(at('weather.csv'), 'Origin;temp\nEWR;3,5\nJFK;NA\nLGA;20,25\n');
  });
  after(async () => {
    await bench?.close();
    engine?.close();
    await shared?.close();
    await folder?.remove();
  });

  const inputs = {
    flights: 'f-*.parquet',
    weather: { path: 'weather.csv', csv: { decimal: ',' as const, null: 'NA' } },
  };
  const joined = {
    sql: 'SELECT f.origin, count(*) AS n, sum(delay) AS delay, max(temp) AS temp FROM flights f LEFT JOIN weather w ON f.origin = w.origin GROUP BY f.origin ORDER BY f.origin',
    inputs,
  };

  it('leaves the rows that DuckDB leaves, in a file and in a folder', async () => {
    const read = (path: string) =>
      duckdb(`SELECT origin, n, CAST(delay AS BIGINT), temp FROM '${path}' ORDER BY 1`);
    const here = await bench.run(sqlStep, joined);
    const there = await bench.run(sqlStep, {
      ...joined,
      engine: 'spark',
      output: 'out/one.parquet',
    });
    assert.deepEqual(there.result.rows, { rows: 3 });
    const expected = await read(here.outputs.rows!);
    assert.equal(expected.length, 3);
    assert.deepEqual(await read(at('out/one.parquet')), expected);
    const many = await bench.run(sqlStep, { ...joined, engine: 'spark' });
    assert.deepEqual(await read(`${many.outputs.rows}/*.parquet`), expected);
    assert.ok(
      (await readdir(many.outputs.rows!)).every((name) => /^part-\d{5}\.parquet$/.test(name)),
    );
  });

  it('puts rows in a table in place of what was there, and reads it', async () => {
    for (const most of [10, 4]) {
      const sql = `SELECT id, delay FROM flights WHERE id < ${most}`;
      const { result } = await bench.run(sqlStep, {
        sql,
        inputs,
        engine: 'spark',
        output: 'table://kept',
      });
      assert.deepEqual(result.rows, { rows: most });
    }
    const { result } = await bench.run(writeStep, {
      write: { table: 'kept' },
      to: 'out/kept.parquet',
    });
    assert.deepEqual(result.rows, { data: 4 });
    assert.deepEqual(await duckdb(`SELECT sum(id) FROM '${at('out/kept.parquet')}'`), [[6n]]);
    await bench.run(writeStep, { write: 'f-1.parquet', to: 'table://copied' });
    await bench.run(dataCheckStep, { check: { table: 'copied' }, rows: { min: 500, max: 500 } });
    await assert.rejects(
      bench.run(sqlStep, {
        sql: 'SELECT 1 AS a',
        engine: 'spark',
        output: 'table://a; DROP TABLE kept',
      }),
      /expected a name of a table/,
    );
  });

  it('refuses what no query may be, and says where', async () => {
    const refused = (sql: string, message: RegExp): Promise<void> =>
      assert.rejects(bench.run(sqlStep, { sql, inputs, engine: 'spark' }), (error: Error) => {
        assert.match(error.message, /^p\.yaml:1:1: steps\.it\.sql: /);
        assert.match(error.message, message);
        return true;
      });
    await refused(
      'SELECT id\nFROM flights\nWHER x = 1',
      /line 3 \(WHER x = 1\): expected a SELECT/,
    );
    await refused(
      'SELECT id,\n  idd\nFROM flights',
      /line 2 \(idd\): expected SQL that fits its inputs/,
    );
    await refused('DROP TABLE kept', /another statement/);
    await refused('INSERT INTO kept SELECT 1, 2', /another statement/);
    await refused('SELECT * FROM copied', /the table copied; add it to `inputs`/);
    await refused(`SELECT * FROM csv.\`${at('weather.csv')}\``, /the table csv\./);
    await refused('SELECT (SELECT max(id) FROM copied) AS m', /the table copied/);
    await refused('WITH a AS (SELECT * FROM copied) SELECT * FROM a', /the table copied/);
    await refused("SELECT * FROM IDENTIFIER('copied')", /got (a|IDENTIFIER|the table)/);
    await refused(
      'SELECT current_timestamp() AS t FROM flights',
      /does not depend on the inputs alone/,
    );
    await refused('SELECT rand() AS r FROM flights', /does not depend on the inputs alone/);
    await refused('SELECT uuid() AS r FROM flights', /does not depend on the inputs alone/);
    await refused("SELECT reflect('java.lang.System', 'getenv', 'HOME') AS r", /does not depend/);
    await refused('SELECT * FROM flights TABLESAMPLE (10 PERCENT)', /a sample/);
    await refused('SELECT f.id, g.id FROM flights f JOIN flights g ON f.id = g.id', /got id twice/);
    await refused("SELECT TRANSFORM(id) USING 'cat' AS (x) FROM flights", /expected/);
    await refused('SELECT CAST(origin AS INT) AS o FROM flights', /cannot be cast to "INT"/);
  });

  it('finds what DuckDB finds', async () => {
    const asked = {
      check: 'f-*.parquet',
      rows: { min: 1001 },
      columns: {
        id: { type: 'integer', unique: true, max: 998 },
        origin: { type: 'text', values: ['EWR', 'JFK'] },
        delay: { missing: 0.05, min: -5 },
        day: { type: 'date', max: '2013-03-31' },
        dist: { type: 'number', min: 1 },
      },
      unique: [['origin', 'day'], ['id']],
      conditions: ['dist < 499', 'delay >= -5'],
      sql: ['SELECT count(*) = 1000 FROM data', 'SELECT max(dist) < 100 FROM data'],
    };
    const find = async (check: unknown) => {
      await assert.rejects(bench.run(dataCheckStep, { ...asked, check }), /checks failed/);
      const table = bench.report?.table ?? [];
      // Each engine has its own names of types.
      return table.map((row) =>
        row.map((cell) => cell.replace(/ \((BIGINT|bigint|VARCHAR|string|DOUBLE|double)\)/, '')),
      );
    };
    const here = await find('f-*.parquet');
    assert.equal(here.length, 19);
    await bench.run(writeStep, { write: 'f-*.parquet', to: 'table://whole' });
    assert.deepEqual(await find({ table: 'whole' }), here);
  });
});
