/** A SQL step on real files: joins, formats, equal bytes, and what is refused before it runs. */
import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { sqlStep } from '../../../../jobs/steps/sql-step.js';
import { copyTo, duckdb, temporaryHome } from '../../../support/frame-data.js';
import { StepBench } from '../../../support/step-run.js';

describe('sql step', () => {
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  let bench: StepBench;
  const at = (name: string): string => `${home.folder}/${name}`;

  before(async () => {
    home = await temporaryHome();
    bench = new StepBench(home.folder);
    await copyTo(
      at('flights.parquet'),
      `SELECT i AS id, ['EWR', 'JFK', 'LGA'][1 + i % 3] AS origin, i % 40 AS delay FROM range(900) t(i)`,
    );
    await writeFile(at('weather.csv'), 'origin;temp\nEWR;3,5\nJFK;NA\nLGA;20,25\n');
  });
  after(async () => {
    await bench.close();
    await home.remove();
  });

  const joined = {
    sql: 'SELECT f.*, temp FROM flights f LEFT JOIN weather USING (origin)',
    inputs: {
      flights: 'flights.parquet',
      weather: { path: 'weather.csv', csv: { decimal: ',' as const, null: 'NA' } },
    },
  };

  it('joins inputs, read as jobs read them, into a file of the pipeline', async () => {
    const { result, outputs } = await bench.run(sqlStep, joined);
    assert.deepEqual(result.rows, { rows: 900 });
    assert.ok(outputs.rows!.endsWith('.parquet'));
    const [row] = await duckdb(
      `SELECT count(*), sum(temp), count(temp), typeof(any_value(temp)) FROM '${outputs.rows}'`,
    );
    assert.deepEqual(row, [900n, 300 * (3.5 + 20.25), 600n, 'DOUBLE']);
  });

  it('leaves the same bytes again', async () => {
    const bytes = async () => readFile((await bench.run(sqlStep, joined)).outputs.rows!);
    assert.ok((await bytes()).equals(await bytes()));
  });

  it('reads what another step left, and writes CSV where it is told to', async () => {
    bench.steps.set('joined', (await bench.run(sqlStep, joined)).outputs.rows!);
    const { outputs } = await bench.run(sqlStep, {
      sql: 'SELECT origin, count(*) AS n FROM data GROUP BY ALL ORDER BY ALL',
      inputs: { data: { step: 'joined' } },
      output: 'out/counts.csv.gz',
    });
    assert.equal(outputs.rows, at('out/counts.csv.gz'));
    const text = gunzipSync(await readFile(at('out/counts.csv.gz'))).toString();
    assert.equal(text, 'origin,n\nEWR,300\nJFK,300\nLGA,300\n');
  });

  it('depends on its text, threads and DuckDB, and on no path', async () => {
    const work = await bench.bind(sqlStep, { ...joined, output: 'a.parquet', threads: 2 });
    assert.deepEqual(Object.keys(work.parameters).sort(), ['duckdb', 'sql', 'threads']);
    assert.match(String(work.parameters.duckdb), /^v\d+\.\d+\.\d+$/);
    assert.equal(work.isNeverSkipped, undefined);
  });

  it('refuses a query that can never run before any step runs', async () => {
    const bind = (sql: string) => bench.bind(sqlStep, { ...joined, sql });
    await assert.rejects(bind('SELECT *\nFORM flights'), /p\.yaml:1:1: steps\.it\.sql: line 2/);
    await assert.rejects(bind('SELECT * FROM planes'), /the table planes; add it to `inputs`/);
    await assert.rejects(bind('SELECT random() FROM flights'), /does not depend on the inputs/);
    await assert.rejects(
      bench.bind(sqlStep, { ...joined, output: 'out.xlsx' }),
      /steps\.it\.output: expected a name that ends in \.parquet, \.csv or \.csv\.gz, got out\.xlsx/,
    );
    await assert.rejects(
      bench.bind(sqlStep, { sql: 'SELECT 1', inputs: { a: 'a.csv', A: 'b.csv' } }),
      /names that differ in more than case/,
    );
    assert.throws(() => bench.bind(sqlStep, { sql: 'SELECT 1', inputs: { 'a b': 'a.csv' } }));
  });

  it('leaves nothing where a value stops it', async () => {
    const sql = 'SELECT CAST(origin AS INTEGER) AS o FROM flights';
    await assert.rejects(
      bench.run(sqlStep, { sql, inputs: joined.inputs, output: 'none.parquet' }),
      /steps\.it\.sql: expected .*'EWR'/,
    );
    await assert.rejects(stat(at('none.parquet')), { code: 'ENOENT' });
  });
});
