/** The DuckDB engine describes, profiles and reads real files of all formats, in row order. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import {
  createDuckDbEngine,
  type DuckDbEngine,
} from '../../../../gpu-executor/cpu/duckdb/index.js';
import { copyTo, engineInFolder, readAll } from '../../../support/frame-data.js';

/** 5000 rows: i 0.., f with every 7th missing, s of 5 values with every 11th missing, t a time. */
const ROWS = 5000;
const QUERY = `SELECT i, CASE WHEN i % 7 = 3 THEN NULL ELSE i * 0.25 END AS f,
  CASE WHEN i % 11 = 5 THEN NULL ELSE 'k' || (i % 5) END AS s,
  TIMESTAMP '2001-01-01 00:30:00' + to_hours(CAST(i AS INTEGER)) AS t FROM range(${ROWS}) r(i)`;

const NUMBER_I = { kind: 'number', sql: 'i' } as const;
const NUMBER_F = { kind: 'number', sql: 'f' } as const;
const CATEGORY_S = { kind: 'category', sql: 's', categories: ['k3', 'k1'] } as const;
const HOUR = { kind: 'number', sql: 'extract(hour from t)' } as const;

const expectedF = (i: number): number => (i % 7 === 3 ? Number.NaN : i * 0.25);
const expectedS = (i: number): number =>
  i % 11 === 5 ? -1 : i % 5 === 3 ? 0 : i % 5 === 1 ? 1 : -2;

async function checkRows(engine: DuckDbEngine, path: string): Promise<void> {
  const description = await engine.describe(path);
  assert.equal(description.rows, ROWS);
  const types = description.columns.map((column) => `${column.name}:${column.type}`);
  assert.deepEqual(types, ['i:number', 'f:number', 's:text', 't:timestamp']);
  const read = await readAll(engine, description, [NUMBER_I, NUMBER_F, CATEGORY_S, HOUR], 700);
  assert.deepEqual(read.chunks, [700, 700, 700, 700, 700, 700, 700, 100]);
  const all = Array.from({ length: ROWS }, (_, i) => i);
  assert.deepEqual(read.columns[0], all);
  assert.deepEqual(read.columns[1], all.map(expectedF));
  assert.deepEqual(read.columns[2], all.map(expectedS));
  assert.deepEqual(
    read.columns[3],
    all.map((i) => i % 24),
  );
}

describe('duckdb engine', () => {
  const files = engineInFolder();
  const { at } = files;
  let engine: DuckDbEngine;
  before(() => {
    ({ engine } = files);
  });

  describe('formats', () => {
    for (const codec of ['uncompressed', 'snappy', 'gzip', 'zstd', 'lz4_raw', 'brotli']) {
      it(`reads Parquet with ${codec}`, async () => {
        await copyTo(
          at(`${codec}.parquet`),
          QUERY,
          `FORMAT parquet, CODEC '${codec}', ROW_GROUP_SIZE 2048`,
        );
        await checkRows(engine, at(`${codec}.parquet`));
      });
    }

    it('reads Parquet of version 2 pages', async () => {
      await copyTo(at('v2.parquet'), QUERY, 'FORMAT parquet, PARQUET_VERSION v2');
      await checkRows(engine, at('v2.parquet'));
    });

    it('reads CSV with comma, semicolon and tab, plain and gzipped', async () => {
      for (const [name, delimiter, compression] of [
        ['a.csv', ',', ''],
        ['b.csv', ';', ''],
        ['c.tsv', '\t', ''],
        ['d.csv.gz', ',', ', COMPRESSION gzip'],
      ] as const) {
        await copyTo(at(name), QUERY, `FORMAT csv, HEADER, DELIMITER '${delimiter}'${compression}`);
        await checkRows(engine, at(name));
      }
    });

    it('reads JSON lines, plain and gzipped', async () => {
      await copyTo(at('a.jsonl'), QUERY, 'FORMAT json');
      await copyTo(at('b.ndjson.gz'), QUERY, 'FORMAT json, COMPRESSION gzip');
      await checkRows(engine, at('a.jsonl'));
      await checkRows(engine, at('b.ndjson.gz'));
    });

    it('reads Arrow IPC files and streams', async () => {
      const i = BigInt64Array.from({ length: ROWS }, (_, k) => BigInt(k));
      const start = Date.UTC(2001, 0, 1, 0, 30);
      const table = tableFromArrays({
        i,
        f: Array.from({ length: ROWS }, (_, k) => (k % 7 === 3 ? null : k * 0.25)),
        s: Array.from({ length: ROWS }, (_, k) => (k % 11 === 5 ? null : `k${k % 5}`)),
        t: Array.from({ length: ROWS }, (_, k) => new Date(start + k * 3_600_000)),
      });
      await writeFile(at('a.arrow'), tableToIPC(table, 'file'));
      await writeFile(at('a.arrows'), tableToIPC(table, 'stream'));
      await checkRows(engine, at('a.arrow'));
      await checkRows(engine, at('a.arrows'));
    });

    it('reads CSV with quotes, line breaks in fields, empty fields and a byte order mark', async () => {
      const text = '\uFEFFa,"b, c",d\r\n1,"x ""y""\nz",\r\n,,2.5\r\n';
      await writeFile(at('quoted.csv'), text);
      const description = await engine.describe(at('quoted.csv'));
      assert.deepEqual(
        description.columns.map((column) => [column.name, column.type]),
        [
          ['a', 'number'],
          ['b, c', 'text'],
          ['d', 'number'],
        ],
      );
      const read = await readAll(engine, description, [
        { kind: 'number', sql: 'a' },
        { kind: 'category', sql: '"b, c"', categories: ['x "y"\nz'] },
        { kind: 'number', sql: 'd' },
      ]);
      assert.deepEqual(read.columns, [
        [1, Number.NaN],
        [0, -1],
        [Number.NaN, 2.5],
      ]);
    });

    it('infers types from every row when the first ones mislead', async () => {
      const numbers = Array.from({ length: 30_000 }, (_, i) => i);
      await writeFile(
        at('late.csv'),
        `a,b\n${numbers.map((i) => `${i},${i}`).join('\n')}\n0.5,x\n`,
      );
      const csv = await engine.describe(at('late.csv'));
      assert.deepEqual(
        csv.columns.map((column) => column.type),
        ['number', 'text'],
      );
      assert.equal(csv.rows, 30_001);
      const lines = numbers.map((i) => `{"a":${-i}}`).join('\n');
      await writeFile(at('late.jsonl'), `${lines}\n{"a":1.5,"late":7}\n`);
      const json = await engine.describe(at('late.jsonl'));
      assert.deepEqual(
        json.columns.map((column) => column.name),
        ['a', 'late'],
      );
      const read = await readAll(engine, json, [{ kind: 'number', sql: 'a + late' }]);
      assert.equal(read.columns[0]?.at(-1), 8.5);
      assert.ok(Number.isNaN(read.columns[0]?.[0]));
    });
  });

  describe('several files', () => {
    before(async () => {
      await mkdir(at('many', 'sub'), { recursive: true });
      for (const [name, from, to] of [
        ['part-2', 4000, 5000],
        ['part-0', 0, 2500],
        ['part-1', 2500, 4000],
      ] as const) {
        await copyTo(
          at('many', `${name}.parquet`),
          `SELECT * FROM (${QUERY}) WHERE i >= ${from} AND i < ${to}`,
        );
      }
      await writeFile(at('many', '_SUCCESS'), '');
      await writeFile(at('many', '.part-9.parquet.crc'), 'x');
      await writeFile(at('many', 'notes.txt'), 'x');
    });

    it('reads a folder in the order of its names and skips what is no data', async () => {
      await checkRows(engine, at('many'));
      const { source } = await engine.describe(at('many'));
      assert.deepEqual(
        source.files.map((file) => file.rows),
        [2500, 1500, 1000],
      );
    });

    it('reads a glob', async () => {
      await checkRows(engine, at('many', 'part-*.parquet'));
      await checkRows(engine, at('m?ny', 'part-[0-2].{parquet,pq}'));
      await checkRows(engine, at('**', 'part-?.parquet'));
      assert.equal((await engine.describe(at('many', 'part-[!0].parquet'))).rows, 2500);
    });

    it('takes a file whose name looks like a glob as itself', async () => {
      await copyTo(at('x.parquet'), 'SELECT 7 AS odd');
      await copyTo(at('[x].parquet'), 'SELECT 5 AS even');
      const description = await engine.describe(at('[x].parquet'));
      const read = await readAll(engine, description, [{ kind: 'number', sql: 'even' }]);
      assert.deepEqual(read.columns, [[5]]);
    });

    it('reads CSV files whose columns stand in another order or have wider numbers', async () => {
      await mkdir(at('csvs'));
      await writeFile(at('csvs', '1.csv'), 'a,b,c\n1,x,\n2,y,\n');
      await writeFile(at('csvs', '2.csv'), 'c,b,a\n7,z,0.5\n');
      const description = await engine.describe(at('csvs'));
      assert.deepEqual(
        description.columns.map((column) => column.type),
        ['number', 'text', 'number'],
      );
      const read = await readAll(engine, description, [
        { kind: 'number', sql: 'a' },
        { kind: 'number', sql: 'c' },
        { kind: 'category', sql: 'b', categories: ['x', 'z'] },
      ]);
      assert.deepEqual(read.columns, [
        [1, 2, 0.5],
        [Number.NaN, Number.NaN, 7],
        [0, -2, 1],
      ]);
      const [profile] = await engine.profile(description.source, [
        { sql: 'a', top: 9, quantiles: [0.5] },
      ]);
      assert.deepEqual(
        profile?.top.map((entry) => entry.value),
        ['0.5', '1', '2'],
      );
      assert.deepEqual(profile?.quantiles, [1]);
    });
  });

  it('is safe to close twice, and says so when used after', async () => {
    const other = createDuckDbEngine();
    await writeFile(at('tiny.csv'), 'a\n1\n');
    assert.equal((await other.describe(at('tiny.csv'))).rows, 1);
    other.close();
    other.close();
    await writeFile(at('tiny2.csv'), 'a\n1\n');
    await assert.rejects(other.describe(at('tiny2.csv')), /expected an open engine/);
  });

  it('reads a CSV a gzip of which was cut short with a clear error', async () => {
    const bytes = gzipSync(`a,b\n${'1,2\n'.repeat(50_000)}`);
    await writeFile(at('cut.csv.gz'), bytes.subarray(0, bytes.length - 20));
    await assert.rejects(engine.describe(at('cut.csv.gz')), { name: 'DataError' });
  });
});
