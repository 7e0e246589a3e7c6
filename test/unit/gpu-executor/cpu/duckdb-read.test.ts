/** Reading is exact and ordered, can be left, repeated, parallel, aborted; profiles count rows. */
import assert from 'node:assert/strict';
import type { DuckDbEngine } from '../../../../gpu-executor/cpu/duckdb/index.js';
import { copyTo, engineInFolder, readAll } from '../../../support/frame-data.js';

/** 5000 rows: i 0.., f with every 7th missing, s of 5 values with every 11th missing, t a time. */
const ROWS = 5000;
const QUERY = `SELECT i, CASE WHEN i % 7 = 3 THEN NULL ELSE i * 0.25 END AS f,
  CASE WHEN i % 11 = 5 THEN NULL ELSE 'k' || (i % 5) END AS s,
  TIMESTAMP '2001-01-01 00:30:00' + to_hours(CAST(i AS INTEGER)) AS t FROM range(${ROWS}) r(i)`;

const NUMBER_I = { kind: 'number', sql: 'i' } as const;
const NUMBER_F = { kind: 'number', sql: 'f' } as const;

describe('duckdb engine', () => {
  const files = engineInFolder();
  const { at } = files;
  let engine: DuckDbEngine;
  before(() => {
    ({ engine } = files);
  });

  describe('reading', () => {
    before(() => copyTo(at('rows.parquet'), QUERY));

    it('gives the same codes from a list, from an ENUM and from numbers', async () => {
      const description = await engine.describe(at('rows.parquet'));
      const many = Array.from({ length: 300 }, (_, i) => `k${(i + 3) % 300}`);
      const read = await readAll(engine, description, [
        { kind: 'category', sql: 's', categories: many },
        { kind: 'category', sql: 'i % 10', categories: ['9', '0', '12'] },
        { kind: 'category', sql: 'f', categories: ['0.25', '2', '1e300'] },
        { kind: 'category', sql: 'i % 2 = 0', categories: ['true'] },
      ]);
      for (let i = 0; i < ROWS; i++) {
        assert.equal(read.columns[0]?.[i], i % 11 === 5 ? -1 : ((i % 5) - 3 + 300) % 300);
        assert.equal(read.columns[1]?.[i], i % 10 === 9 ? 0 : i % 10 === 0 ? 1 : -2);
        assert.equal(read.columns[2]?.[i], i === 1 ? 0 : i === 8 ? 1 : i % 7 === 3 ? -1 : -2);
        assert.equal(read.columns[3]?.[i], i % 2 === 0 ? 0 : -2);
      }
    });

    it('takes quotes and odd characters in categories and names for what they are', async () => {
      await copyTo(
        at('odd.parquet'),
        `SELECT 'it''s "é"' AS "a ""b"" ';--", 1 AS n UNION ALL SELECT 'x', 2`,
      );
      const description = await engine.describe(at('odd.parquet'));
      const sql = `"a ""b"" ';--"`;
      const read = await readAll(engine, description, [
        { kind: 'category', sql, categories: [`it's "é"`, `'); DROP TABLE x; --`] },
      ]);
      assert.deepEqual(read.columns, [[0, -2]]);
    });

    it('computes an expression asked for twice once, and serves both', async () => {
      const description = await engine.describe(at('rows.parquet'));
      const columns = [NUMBER_F, NUMBER_I, NUMBER_F];
      for await (const chunk of engine.read(description.source, columns, { rowsPerChunk: 9000 })) {
        assert.equal(chunk.rows, ROWS);
        assert.equal(chunk.columns[0], chunk.columns[2]);
        assert.notEqual(chunk.columns[0], chunk.columns[1]);
      }
    });

    it('can be left early and read again', async () => {
      const description = await engine.describe(at('rows.parquet'));
      for await (const chunk of engine.read(description.source, [NUMBER_I], { rowsPerChunk: 10 })) {
        assert.equal(chunk.rows, 10);
        break;
      }
      const read = await readAll(engine, description, [NUMBER_I]);
      assert.equal(read.columns[0]?.length, ROWS);
    });

    it('runs several reads at once without mixing them', async () => {
      const description = await engine.describe(at('rows.parquet'));
      const offsets = [0, 1, 2, 3];
      const reads = await Promise.all(
        offsets.map((offset) =>
          readAll(engine, description, [{ kind: 'number', sql: `i + ${offset}` }], 100 + offset),
        ),
      );
      for (const [k, read] of reads.entries()) {
        assert.deepEqual(read.columns[0]?.slice(0, 3), [k, k + 1, k + 2]);
        assert.equal(read.columns[0]?.length, ROWS);
      }
    });

    it('tells missing cells wherever in a vector they are', async () => {
      // One to every bit of a word, none, all, and runs that end inside of vectors.
      const conditions = ['i % 37 = 5', 'false', 'true', 'i BETWEEN 2040 AND 2111', 'i >= 4999'];
      const columns = conditions.map(
        (when) => ({ kind: 'number', sql: `CASE WHEN ${when} THEN NULL ELSE -i END` }) as const,
      );
      const read = await readAll(engine, await engine.describe(at('rows.parquet')), columns, 701);
      const isMissing = [
        (i: number) => i % 37 === 5,
        () => false,
        () => true,
        (i: number) => i >= 2040 && i <= 2111,
        (i: number) => i >= 4999,
      ];
      for (const [c, column] of read.columns.entries()) {
        const expected = Array.from({ length: ROWS }, (_, i) => (isMissing[c]!(i) ? NaN : 0 - i));
        assert.deepEqual(column, expected);
      }
    });

    it('reads on where other reads were left, of more bytes than garbage may have', async () => {
      const { source } = await engine.describe(at('rows.parquet'));
      const columns = Array.from(
        { length: 150 },
        (_, k) => ({ kind: 'number', sql: `i + ${k}` }) as const,
      );
      const firstRows = async (): Promise<number> => {
        for await (const chunk of engine.read(source, columns, { rowsPerChunk: 10 })) {
          return chunk.columns[149]![9]!;
        }
        return Number.NaN;
      };
      const wholeSum = async (): Promise<number> => {
        let sum = 0;
        for await (const chunk of engine.read(source, columns, { rowsPerChunk: 999 })) {
          for (const column of chunk.columns) sum += column.reduce((a, b) => a + b, 0);
          chunk.release?.();
        }
        return sum;
      };
      const expected = 150 * ((ROWS * (ROWS - 1)) / 2) + ROWS * ((150 * 149) / 2);
      for (let round = 0; round < 2; round++) {
        const left = await Promise.all(Array.from({ length: 6 }, firstRows));
        assert.deepEqual(left, Array(6).fill(158));
        assert.deepEqual(await Promise.all([wholeSum(), wholeSum()]), [expected, expected]);
      }
    });

    it('ends with the signal’s reason when aborted', async () => {
      const description = await engine.describe(at('rows.parquet'));
      const controller = new AbortController();
      const reason = new Error('enough');
      await assert.rejects(async () => {
        const options = { rowsPerChunk: 10, signal: controller.signal };
        for await (const chunk of engine.read(description.source, [NUMBER_I], options)) {
          assert.equal(chunk.rows, 10);
          controller.abort(reason);
        }
      }, reason);
    });

    it('notices a file that was written anew under its name since it was described', async () => {
      await copyTo(at('moving.parquet'), 'SELECT 1 AS x');
      const before = await engine.describe(at('moving.parquet'));
      await copyTo(at('moving.parquet'), 'SELECT 2 AS x');
      await assert.rejects(
        readAll(engine, before, [{ kind: 'number', sql: 'x' }]),
        /changed while being read/,
      );
      const after = await engine.describe(at('moving.parquet'));
      const read = await readAll(engine, after, [{ kind: 'number', sql: 'x' }]);
      assert.deepEqual(read.columns, [[2]]);
    });
  });

  describe('profile', () => {
    before(() => copyTo(at('profiled.parquet'), QUERY));

    it('counts exactly', async () => {
      const { source } = await engine.describe(at('profiled.parquet'));
      const [i, f, s, t] = await engine.profile(source, [
        { sql: 'i', top: 0, quantiles: [0, 0.25, 1] },
        { sql: 'f', top: 0, quantiles: [] },
        { sql: 's', top: 2, quantiles: [] },
        { sql: 't', top: 0, quantiles: [] },
      ]);
      assert.deepEqual(i, {
        type: 'number',
        rows: ROWS,
        missing: 0,
        infinite: 0,
        min: 0,
        max: ROWS - 1,
        top: [],
        distinct: 0,
        quantiles: [0, 1249.75, 4999],
      });
      assert.equal(f?.missing, 714);
      assert.equal(f?.min, 0);
      assert.equal(f?.max, 4999 * 0.25);
      assert.equal(s?.type, 'text');
      assert.equal(s?.missing, 455);
      assert.equal(s?.distinct, 5);
      const counts = new Map<string, number>();
      for (let k = 0; k < ROWS; k++) {
        if (k % 11 !== 5) counts.set(`k${k % 5}`, (counts.get(`k${k % 5}`) ?? 0) + 1);
      }
      const ranked = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
      assert.deepEqual(
        s?.top,
        ranked.slice(0, 2).map(([value, count]) => ({ value, count })),
      );
      assert.equal(t?.type, 'timestamp');
    });

    it('tells NaN and infinities from numbers, in plain columns and in vocabularies', async () => {
      await copyTo(
        at('special.parquet'),
        `SELECT unnest(['1', 'nan', NULL, 'inf', '-inf', '-0.0', '0.0', '7'])::DOUBLE AS x`,
      );
      const { source } = await engine.describe(at('special.parquet'));
      for (const top of [0, 10]) {
        const [x] = await engine.profile(source, [{ sql: 'x', top, quantiles: top ? [] : [0.5] }]);
        assert.equal(x?.missing, 2);
        assert.equal(x?.infinite, 2);
        assert.equal(x?.min, 0);
        assert.equal(x?.max, 7);
        if (top) assert.deepEqual(x?.top.find((entry) => entry.count === 2)?.value, '0');
        else assert.deepEqual(x?.quantiles, [0.5]);
      }
    });

    it('writes whole numbers without decimals, whatever their type', async () => {
      await copyTo(
        at('whole.parquet'),
        `SELECT 7::TINYINT AS a, 7::DOUBLE AS b, 7::DECIMAL(9,2) AS c, 7::FLOAT AS d, 0.1::FLOAT AS e, true AS f`,
      );
      const { source } = await engine.describe(at('whole.parquet'));
      const profiles = await engine.profile(
        source,
        ['a', 'b', 'c', 'd', 'f'].map((sql) => ({ sql, top: 5, quantiles: [] })),
      );
      const texts = profiles.map((profile) => profile.top[0]?.value);
      assert.deepEqual(texts, ['7', '7', '7', '7', 'true']);
    });

    it('answers the same for CSV, where all vocabularies come from one scan', async () => {
      await copyTo(at('profiled.csv'), QUERY, 'FORMAT csv, HEADER');
      const requests = [
        { sql: 's', top: 3, quantiles: [] },
        { sql: 'extract(hour from t)', top: 100, quantiles: [] },
        { sql: 'f', top: 0, quantiles: [0.5] },
        { sql: 'i % 3', top: 2, quantiles: [0.5] },
      ];
      const parquet = await engine.describe(at('profiled.parquet'));
      const csv = await engine.describe(at('profiled.csv'));
      assert.deepEqual(
        await engine.profile(csv.source, requests),
        await engine.profile(parquet.source, requests),
      );
    });
  });
});
