/**
 * Columns as files hold them: ids that no float64 tells apart, columns in the names of folders,
 * types that one engine or none reads, names that differ in case alone. Scores are scikit-learn's
 * on the same folds.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { DataError } from '../../driver/errors.js';
import { duckdb, type JobFolder } from '../support/job-folder.js';
import { type Case, fixture, type Outcome, recordOf } from './case.js';

/** Checks the r2 of the first penalty on every fold. */
function scores(...expected: readonly number[]): (outcome: Outcome) => void {
  return (outcome) => {
    const got = recordOf(outcome).search.trials[0]?.splitScores.r2 ?? [];
    assert.equal(got.length, expected.length);
    for (const [i, score] of expected.entries()) assert.ok(Math.abs(got[i]! - score) < 1e-9);
  };
}

function refused(...patterns: readonly RegExp[]): (outcome: Outcome) => void {
  return ({ error }) => {
    assert.ok(error instanceof DataError, `expected a DataError, got ${error ?? 'a record'}`);
    for (const pattern of patterns) assert.match(error.message, pattern);
  };
}

/** A Parquet file of a query over `i`, 40 rows, and a job over it. */
function table(
  columns: string,
  data: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, unknown>> = {},
): (folder: JobFolder) => Promise<void> {
  return async (folder) => {
    const select = `SELECT CAST(i AS DOUBLE) AS x, 3.0 * i + sin(i) AS y, ${columns} FROM range(40) t(i)`;
    await duckdb(`COPY (${select}) TO '${folder.file('data.parquet')}' (FORMAT parquet)`);
    folder.job({ data: { path: 'data.parquet', target: 'y', ...data }, ...fields });
  };
}

/** Folders with a file of the same bytes each, unless `offset` differs; y depends on folders. */
async function partitioned(folder: JobFolder, folders: readonly string[]): Promise<void> {
  for (const [i, name] of folders.entries()) {
    mkdirSync(folder.file(`data/${name}`), { recursive: true });
    await duckdb(
      `COPY (SELECT CAST(i AS DOUBLE) AS x, sin(7 * i) + ${i} AS y FROM range(20) t(i))
       TO '${folder.file(`data/${name}/part.parquet`)}' (FORMAT parquet)`,
    );
  }
}

const NASTY = `TIME '12:00:00' AS t, INTERVAL (i) DAY AS iv, uuid() AS u, {'a': i} AS st, [i] AS li, MAP {'k': i} AS ma,
  TIMESTAMP_NS '2024-01-01 00:00:00.000000001' AS ns, 'x'::BLOB AS bl, 170141183460469231731687303715884105727::HUGEINT AS h,
  CAST(i AS DECIMAL(38, 10)) AS d, 18446744073709551615::UBIGINT AS ub, '{"a":1}'::JSON AS js`;

const onehot = (sql: string, name: string): unknown => ({ name, sql, encode: 'onehot' });

export const columnCases: readonly Case[] = [
  {
    name: 'keeps groups of unsigned 64-bit ids apart',
    prepare: fixture('group-uint64-merge'),
    check: scores(
      0.14618210489044592,
      0.3892020398714904,
      -0.2120477631290052,
      -0.28792061412704784,
    ),
  },
  {
    name: 'names categories by every digit they have',
    prepare: table(
      `18446744073709551615 - CAST(i % 2 AS UBIGINT) AS ub, CAST(9007199254740992 + i % 2 AS BIGINT) AS id,
       CAST('12345678901234567.5' AS DECIMAL(20, 2)) + i % 2 AS d, CAST(12.50 + i % 2 AS DECIMAL(6, 2)) AS s,
       CAST(i % 2 AS BOOLEAN) AS b, DATE '2020-02-28' + CAST(i % 2 AS INTEGER) AS dt,
       TIMESTAMPTZ '2020-01-01 00:00:00.5+00' + INTERVAL (i % 2) HOUR AS tz,
       CASE i % 4 WHEN 0 THEN 1e15 WHEN 1 THEN 1e20 WHEN 2 THEN -0.0::DOUBLE ELSE 1.5e-7 END AS f,
       CASE i % 2 WHEN 0 THEN 0.1::FLOAT ELSE 0.25::FLOAT END AS g`,
      {
        features: [
          'x',
          ...['ub', 'id', 'd', 's', 'b', 'dt', 'tz', 'f', 'g'].map((n) => onehot(n, n)),
        ],
      },
    ),
    check: (outcome) => {
      assert.deepEqual(recordOf(outcome).search.model?.columns, [
        'x',
        ...['ub=18446744073709551614', 'ub=18446744073709551615'],
        ...['id=9007199254740992', 'id=9007199254740993'],
        ...['d=12345678901234567.5', 'd=12345678901234568.5', 's=12.5', 's=13.5'],
        ...['b=false', 'b=true', 'dt=2020-02-28', 'dt=2020-02-29'],
        ...['tz=2020-01-01 00:00:00.5', 'tz=2020-01-01 01:00:00.5'],
        ...['f=0', 'f=1.5e-07', 'f=1000000000000000', 'f=1e+20'],
        ...['g=0.10000000149011612', 'g=0.25'],
      ]);
    },
  },
  {
    name: 'refuses folds that are no small whole numbers',
    prepare: table(
      '18446744073709551615 - CAST(i % 2 AS UBIGINT) AS f',
      { features: ['x'] },
      {
        cv: { predefined: 'f' },
      },
    ),
    check: refused(/predefined f: expected whole numbers .* got "1844674407370955161[45]"/),
  },
  {
    name: 'reads files of partition folders by their own columns',
    prepare: fixture('hive1'),
    check: scores(0.979764529166759, 0.9820918816796781, 0.986881254670177, 0.9846127521621921),
  },
  {
    name: 'offers the folders of partitions as columns, of a folder too',
    prepare: async (folder) => {
      await partitioned(folder, ['year=2023/k=a%20b', 'year=2023/k=é', 'year=2024/k=a%20b']);
      mkdirSync(folder.file('data/year=2024/_temporary/k=z'), { recursive: true });
      writeFileSync(folder.file('data/_SUCCESS'), '');
      folder.job({
        data: { path: 'data', target: 'y', features: ['year', onehot('k', 'k'), 'x'] },
        search: { grid: { lambda: [1e-9] } },
      });
    },
    check: (outcome) => {
      const { model, rows } = recordOf(outcome).search;
      assert.equal(rows, 60);
      assert.deepEqual(model?.columns, ['year', 'k=a b', 'k=é', 'x']);
      // y rises by 2 from 2023 to 2024 and by 1 between the categories.
      const [year, plain, accent] = model?.coefficients[0] ?? [];
      assert.ok(Math.abs(year! - 2) < 1e-4, `${year}`);
      assert.ok(Math.abs(accent! - plain! - 1) < 1e-4);
    },
  },
  {
    name: 'leaves the folders alone when told to',
    prepare: async (folder) => {
      await partitioned(folder, ['year=2023', 'year=2024']);
      folder.job({ data: { path: 'data/**/*.parquet', target: 'y', partitions: false } });
    },
    check: (outcome) => assert.deepEqual(recordOf(outcome).search.model?.columns, ['x']),
  },
  {
    name: 'tells the same bytes in two folders apart',
    prepare: async (folder) => {
      await partitioned(folder, ['d=2020-01-01', 'd=2020-01-03']);
      const from = folder.file('data/d=2020-01-01/part.parquet');
      writeFileSync(folder.file('data/d=2020-01-03/part.parquet'), readFileSync(from));
      folder.job({
        data: { path: 'data', target: 'y', features: ['x', { name: 'day', sql: 'day(d)' }] },
      });
    },
    check: (outcome) => {
      const { model } = recordOf(outcome).search;
      // The same rows on both days: the day tells nothing, yet it is no constant.
      assert.ok(Math.abs(model!.coefficients[0]![1]!) < 1e-9);
      assert.ok(outcome.warnings.every((warning) => !/same value/.test(warning)));
    },
  },
  {
    name: 'refuses folders of other names beside one another',
    prepare: async (folder) => {
      await partitioned(folder, ['a=1', 'b=1']);
      folder.job({ data: { path: 'data', target: 'y' } });
    },
    check: refused(
      /same partition folders above every file, got a above .*a=1.* and b above .*b=1/,
    ),
  },
  {
    name: 'reads past nanoseconds nobody asked for',
    prepare: fixture('spark-ns-unused'),
    check: scores(0.999995697395374, 0.9999878978097624, 0.9999953099620219, 0.9999949513612781),
  },
  {
    name: 'reads past columns of every type nobody asked for',
    prepare: table(NASTY, { features: ['x', 'd', 'ub'] }),
    check: (outcome) => assert.equal(recordOf(outcome).search.columns, 3),
  },
  ...(['t', 'st', 'bl'] as const).map((column): Case => {
    return {
      name: `names file, column and type of a feature \`${column}\` none is made of`,
      prepare: table(NASTY, { features: ['x', { name: column, encode: 'onehot' }] }),
      check: refused(
        new RegExp(`feature ${column}: .* got "${column}" of type \\S+.* in .*data.parquet`),
      ),
    };
  }),
  {
    name: 'refuses times finer than Spark keeps',
    engines: ['spark'],
    prepare: table(NASTY, { features: ['x', { name: 'ns', encode: 'onehot' }] }),
    check: refused(/whole microseconds in column `ns`/),
  },
  {
    name: 'tells columns apart whose names differ in case',
    prepare: fixture('parquet-case'),
    check: (outcome) => {
      assert.deepEqual(recordOf(outcome).search.model?.columns, ['Id', 'ID_1']);
      scores(0.999996589939377, 0.9999927875646732, 0.9999962661794193, 0.999995445573134)(outcome);
    },
  },
  {
    name: 'finds columns by names in other case, with dots, quotes and blanks',
    prepare: table('i AS "a.b", i % 3 AS "c `d"" é", i % 5 AS "select"', {
      features: [
        'a.b',
        'c `d" é',
        'select',
        { name: 'sum', sql: 'X + "A.B" + "C `D"" é" + "SELECT"' },
      ],
    }),
    check: (outcome) => assert.equal(recordOf(outcome).search.columns, 4),
  },
  {
    name: 'names a damaged file',
    prepare: async (folder) => {
      await table('i AS n', { features: ['x', 'n'] })(folder);
      const bytes = readFileSync(folder.file('data.parquet'));
      bytes.fill(0xff, 8, 200);
      writeFileSync(folder.file('data.parquet'), bytes);
    },
    check: refused(/data\.parquet/),
  },
  {
    name: 'names a value that does not fit its expression',
    prepare: table("CASE WHEN i = 17 THEN 'oops' ELSE '1' END AS s", {
      features: ['x', { name: 'n', sql: 'CAST(s AS DOUBLE)' }],
    }),
    check: refused(/oops/),
  },
];
