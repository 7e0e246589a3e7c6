/** Queries over given data alone: what they answer, refuse, write and can't reach, on real files. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import type { DuckDbEngine } from '../../../../gpu-executor/cpu/duckdb/index.js';
import type { QuerySandbox } from '../../../../gpu-executor/cpu/index.js';
import { copyTo, duckdb, engineInFolder } from '../../../support/frame-data.js';

const PLACE = 'nightly.yaml:3:5: steps.joined.sql';

describe('queries over given data', () => {
  const files = engineInFolder();
  const { at } = files;
  let engine: DuckDbEngine;
  let sandbox: QuerySandbox;

  const inputs = async (paths: Readonly<Record<string, string>>) =>
    Promise.all(
      Object.entries(paths).map(async ([name, path]) => {
        return { name, source: (await engine.describe(path)).source };
      }),
    );
  const query = (sql: string) => ({ sql, place: PLACE });

  before(async () => {
    ({ engine } = files);
    const flights = (from: number, until: number) =>
      `SELECT i AS id, 'p' || (i % 50) AS plane, CAST(i % 24 AS INTEGER) AS hour, (i * 7919 % 1000) / 3 AS delay FROM range(${from}, ${until}) t(i)`;
    await copyTo(at('flights-1.parquet'), flights(0, 4000));
    await copyTo(at('flights-2.parquet'), flights(4000, 9000), 'FORMAT parquet, CODEC zstd');
    const planes = Array.from({ length: 40 }, (_, i) =>
      `p${i};${1980 + i};${i / 2}`.replace('.', ','),
    );
    await writeFile(at('planes.csv'), `plane;year;size\n${planes.join('\n')}\n`);
    await writeFile(at('secret.csv'), 'a,b\n1,2\n');
    const planesSource = await engine.describe(at('planes.csv'), { csv: { decimal: ',' } });
    const given = await inputs({ flights: at('flights-*.parquet') });
    sandbox = await engine.queries([...given, { name: 'planes', source: planesSource.source }], {
      outputs: [at('out.parquet'), at('out.csv')],
    });
  });
  after(() => sandbox.close());

  const refused = async (sql: string, ...words: readonly RegExp[]): Promise<void> => {
    await assert.rejects(sandbox.rows(query(sql)), (error: Error) => {
      assert.equal((error as { code?: string }).code, 'DATA', error.message);
      assert.ok(error.message.startsWith(PLACE), error.message);
      for (const word of words) assert.match(error.message, word);
      return true;
    });
  };

  it('joins files of several formats, read as jobs read them', async () => {
    const rows = await sandbox.rows(
      query(`-- planes of 1990 and later
        SELECT year, count(*) AS n, sum(size) AS size
        FROM flights JOIN planes USING (plane) WHERE year >= 1990 GROUP BY year ORDER BY year LIMIT 2; -- end`),
    );
    assert.deepEqual(rows, [
      [1990n, 180n, 900],
      [1991n, 180n, 990],
    ]);
  });

  it('gives rows in the order of files, and a join without ORDER BY in one order', async () => {
    const ids = (await sandbox.rows(query('SELECT id FROM flights'))).map(([id]) => Number(id));
    assert.deepEqual(
      ids,
      [...ids].sort((a, b) => a - b),
    );
    assert.equal(ids.length, 9000);
    const join = query(
      'SELECT f.*, year, avg(delay) OVER (PARTITION BY hour) AS usual FROM flights f LEFT JOIN planes USING (plane)',
    );
    const digests = new Set<string>();
    for (let i = 0; i < 4; i++) {
      assert.equal(await sandbox.copyTo(join, at('out.parquet'), { format: 'parquet' }), 9000);
      digests.add((await readFile(at('out.parquet'))).toString('base64'));
    }
    assert.equal(digests.size, 1);
  });

  it('writes sums of whole numbers as whole numbers, and refuses one beyond 64 bits', async () => {
    const sum = query('SELECT sum(9007199254740993 + id % 1) AS s FROM flights WHERE id < 3');
    await sandbox.copyTo(sum, at('out.parquet'), { format: 'parquet' });
    assert.deepEqual(await duckdb(`SELECT s, typeof(s) FROM '${at('out.parquet')}'`), [
      [27021597764222979n, 'BIGINT'],
    ]);
    const large = query('SELECT sum(9223372036854775807) AS s FROM flights');
    await assert.rejects(
      sandbox.copyTo(large, at('out.parquet'), { format: 'parquet' }),
      /steps\.joined\.sql: expected .*INT128.*INT64/,
    );
  });

  it('writes CSV as it is told to', async () => {
    const few = query(
      'SELECT id, CASE WHEN id = 1 THEN NULL ELSE delay END AS delay FROM flights LIMIT 2',
    );
    const csv = { delimiter: ';', null: 'NA', header: false };
    assert.equal(await sandbox.copyTo(few, at('out.csv'), { format: 'csv', csv }), 2);
    assert.equal(await readFile(at('out.csv'), 'utf8'), '0;0.0\n1;NA\n');
  });

  it('refuses what is not one SELECT, with its line', async () => {
    await refused('SELECT 1; SELECT 2', /got 2 statements/);
    await refused("COPY flights TO '/tmp/x.csv'", /another statement/);
    await refused('SELECT id\nFROM flights\nWHER id = 1', /line 3 \(WHER id = 1\)/, /syntax error/);
    await refused('SUMMARIZE flights', /SUMMARIZE/);
    await refused('SELECT $1', /a parameter/);
    await refused('', /got 0 statements/);
  });

  it('refuses tables that are no inputs, with the input that was meant', async () => {
    await refused('SELECT *\nFROM flight', /line 2/, /the table flight; did you mean flights\?/);
    await refused('SELECT * FROM weather', /add it to `inputs`/);
    await refused('SELECT * FROM memory.main.flights', /the table memory\.main\.flights/);
    await refused('SELECT * FROM information_schema.tables', /information_schema/);
    await sandbox.rows(query('WITH own AS (SELECT 1 AS one) SELECT * FROM own'));
  });

  it('reaches no file, function of tables or setting', async () => {
    await refused(`SELECT * FROM read_csv('${at('secret.csv')}')`, /read_csv\(\)/);
    await refused(`SELECT * FROM '${at('secret.csv')}'`, /the table/);
    await refused("SELECT * FROM query('SELECT 1')", /query\(\)/);
    await refused("SELECT current_setting('temp_directory')", /current_setting/);
    await refused('SELECT * FROM duckdb_settings()', /duckdb_settings/);
    await refused("SELECT getenv('HOME')", /getenv/);
    assert.deepEqual(await sandbox.rows(query('SELECT * FROM range(2)')), [[0n], [1n]]);
  });

  it('touches no other file even where its text would', async () => {
    const { source } = await engine.describe(at('planes.csv'));
    const [file] = source.files;
    const other = await engine.queries([{ name: 'planes', source }], { outputs: [] });
    await assert.rejects(
      other.copyTo(query('SELECT * FROM planes'), at('elsewhere.parquet'), { format: 'parquet' }),
      /file system operations are disabled/,
    );
    other.close();
    assert.ok(file !== undefined);
  });

  it('refuses clocks and random numbers with what to write instead', async () => {
    for (const call of [
      'now()',
      'today()',
      'current_date',
      'current_timestamp',
      "age(DATE '2020-01-01')",
    ]) {
      await refused(
        `SELECT ${call} FROM flights`,
        /does not depend on the inputs alone/,
        /\{\{ date \}\}/,
      );
    }
    for (const call of ['random()', 'uuid()', 'gen_random_uuid()']) {
      await refused(`SELECT ${call} FROM flights`, /take hash\(\.\.\) of a column/);
    }
    await refused('SELECT * FROM flights USING SAMPLE 10', /a sample/);
    await refused('SELECT * FROM flights TABLESAMPLE 10%', /a sample/);
    await refused('SELECT user FROM flights', /user/);
    await sandbox.rows(
      query("SELECT age(DATE '2020-01-02', DATE '2020-01-01'), geomean(delay + 1) FROM flights"),
    );
  });

  it('says what columns there are, and which name stands twice', async () => {
    await refused(
      'SELECT id FROM flights WHERE plane = "p1"',
      /"p1" not found in FROM clause; text stands in single quotes, 'p1'; flights has/,
    );
    await refused(
      'SELECT\n  dealy\nFROM flights',
      /line 2 \(dealy\)/,
      /"dealy" not found/,
      /flights has delay, .*; planes has /,
    );
    await refused('SELECT f.id, g.id FROM flights f JOIN flights g ON f.id = g.id', /got id twice/);
    await refused('SELECT CAST(plane AS INTEGER) FROM flights', /'p0'/);
    assert.deepEqual(await sandbox.columns(query('SELECT id, delay > 1 AS late FROM flights')), [
      { name: 'id', type: 'BIGINT' },
      { name: 'late', type: 'BOOLEAN' },
    ]);
  });

  it('ends with the signal', async () => {
    const abort = new AbortController();
    const given = await inputs({ flights: at('flights-*.parquet') });
    const own = await engine.queries(given, { signal: abort.signal });
    const endless = query(
      'SELECT count(*) FROM flights a, flights b, flights c WHERE hash(a.id, b.id, c.id) = 0',
    );
    const answer = own.rows(endless);
    setImmediate(() => abort.abort(new Error('asked to stop')));
    await assert.rejects(answer, /asked to stop/);
    own.close();
  });

  it('does not answer from a file that changed meanwhile', async () => {
    await writeFile(at('changing.csv'), 'a\n1\n2\n');
    const own = await engine.queries(await inputs({ changing: at('changing.csv') }));
    await writeFile(at('changing.csv'), 'a\n1\n3\n4\n');
    await assert.rejects(own.rows(query('SELECT sum(a) FROM changing')), /changing\.csv/);
    own.close();
  });
});
