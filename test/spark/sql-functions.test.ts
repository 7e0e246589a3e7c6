/**
 * Every row of the table of SQL functions, and every cast, on both engines over nasty values: the
 * same values, however each engine computes them. One scan of each engine answers for all of them.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DataError } from '../../driver/errors.js';
import { TABLE } from '../../driver/frame/sql/table.js';
import type { ColumnProfile, FrameEngine, FrameSource } from '../../driver/ir/frame-engine.js';
import { createDuckDbEngine, type DuckDbEngine } from '../../gpu-executor/cpu/duckdb/index.js';
import type { SparkBackend } from '../../spark-bridge/index.js';
import { copyTo } from '../support/frame-data.js';
import { createTestSpark, TINY_CHUNKS } from '../support/spark.js';
import { CAST_EXAMPLES, SQL_TABLE } from '../support/sql-table.js';
import { temporaryFolder } from './folder.js';

const EXAMPLES = [
  ...new Set(
    TABLE.flatMap((chapter) => chapter.rows)
      .flatMap((row) => row.examples)
      .concat(CAST_EXAMPLES),
  ),
];

describe('SQL functions on both engines', function () {
  this.timeout(600_000);
  let spark: SparkBackend;
  let duckdb: DuckDbEngine;
  let here: FrameSource;
  let there: FrameSource;
  let remove: () => Promise<void>;

  before(async function () {
    const made = await createTestSpark({ conf: TINY_CHUNKS });
    if (typeof made === 'string') {
      console.warn(`SKIPPED SQL functions on Spark: ${made}`);
      this.skip();
    }
    spark = made;
    duckdb = createDuckDbEngine();
    const { folder, remove: removeFolder } = await temporaryFolder();
    remove = removeFolder;
    const path = join(folder, 'table.parquet');
    await copyTo(path, SQL_TABLE, 'format parquet');
    here = (await duckdb.describe(path)).source;
    there = (await spark.frames.describe(path)).source;
  });
  after(async () => {
    duckdb?.close();
    await spark?.close();
    await remove?.();
  });

  it('every example has the same values', async () => {
    // NaN counts as missing, so NULL is asked for apart; a time is compared as a number.
    const types = await profiles(duckdb, here, EXAMPLES);
    const asked = EXAMPLES.flatMap((sql, i) => [
      types[i]!.type === 'timestamp' ? `epoch_us(${sql})` : sql,
      `(${sql}) is null`,
    ]);
    const expected = await profiles(duckdb, here, asked);
    const got = await profiles(spark.frames, there, asked);
    const differing = asked.filter((_, i) => !isSame(got[i]!, expected[i]!));
    const shown = differing.map((sql) => {
      const i = asked.indexOf(sql);
      return `${sql}\n  DuckDB ${brief(expected[i]!)}\n  Spark  ${brief(got[i]!)}`;
    });
    assert.deepEqual(shown, [], shown.join('\n'));
  });

  const refused: readonly (readonly [sql: string, message: RegExp])[] = [
    ['hash(s)', /hash\(\), which is not in the table .*nearest are/],
    ['current_user', /columns of the data, got "current_user"/],
    ['current_user()', /current_user\(\), which is not in the table/],
    ['version()', /version\(\), which is not in the table/],
    ['current_timezone()', /current_timezone\(\), which is not in the table/],
    ["regexp_matches(s, '(?=a)')", /invalid perl operator/],
    ["regexp_matches(s, '\\pL')", /the pattern '\\pL' with \\p/],
    ['s collate nocase', /a collation/],
    ['ts - tu', /an interval as a value/],
    ['i::hugeint', /a cast to HUGEINT/],
    ['list_sum([1, i])', /list_sum\(\), which is not in the table/],
    ['sum(i)', /sum\(\), which is not in the table/],
    ['(select 1)', /a sub-query/],
    ['i +', /syntax error/],
  ];
  for (const [sql, message] of refused) {
    it(`neither takes ${sql}`, async () => {
      const errors: string[] = [];
      for (const [engine, source] of [
        [duckdb, here],
        [spark.frames, there],
      ] as const) {
        await assert.rejects(profiles(engine, source, [sql]), (error) => {
          assert.ok(error instanceof DataError);
          assert.match(error.message, message);
          return errors.push(error.message) > 0;
        });
      }
      assert.equal(errors[0], errors[1]);
    });
  }

  for (const sql of ['sqrt(x)', 'ln(x)', 'cast(n as integer)', 'i * 2000000000', 'x::integer']) {
    it(`both stop at a value that ${sql} can't take`, async () => {
      for (const [engine, source] of [
        [duckdb, here],
        [spark.frames, there],
      ] as const) {
        await assert.rejects(profiles(engine, source, ['x', sql]), (error) => {
          assert.ok(error instanceof DataError, String(error));
          assert.equal(error.facts.expression, sql);
          return true;
        });
      }
    });
  }

  it('a job tied to Spark uses what Spark has, but no session', async () => {
    const own = (sql: string) => ({ sql, dialect: 'spark' as const, top: 3, quantiles: [] });
    const [soundex] = await spark.frames.profile(there, [own('soundex(s)')]);
    assert.ok(soundex!.distinct > 1);
    for (const sql of ['current_user()', 'version()', 'rand()', 'current_date', 'nosuch(s)']) {
      await assert.rejects(spark.frames.profile(there, [own(sql)]), DataError, sql);
    }
    const [text] = await spark.frames.profile(there, [own("concat('\u0024{env:HOME}', '')")]);
    assert.deepEqual(text!.top, [{ value: '\u0024{env:HOME}', count: 120 }]);
    await assert.rejects(duckdb.profile(here, [own('soundex(s)')]), /engine spark/);
    const tied = { ...own('hash(s)'), dialect: 'duckdb' as const };
    assert.ok((await duckdb.profile(here, [tied]))[0]!.distinct > 1);
    await assert.rejects(spark.frames.profile(there, [tied]), /this machine for dialect duckdb/);
  });
});

function profiles(
  engine: FrameEngine,
  source: FrameSource,
  sqls: readonly string[],
): Promise<ColumnProfile[]> {
  return engine.profile(
    source,
    sqls.map((sql) => ({ sql, top: 1000, quantiles: [] })),
  );
}

/** The same values as often, numbers up to the last bits of functions such as `log`. */
function isSame(a: ColumnProfile, b: ColumnProfile): boolean {
  if (a.type !== b.type || a.missing !== b.missing || a.infinite !== b.infinite) return false;
  const [left, right] = [sorted(a), sorted(b)];
  return (
    left.length === right.length &&
    left.every(([value, count], i) => {
      const [other, times] = right[i]!;
      return count === times && (value === other || isNear(a, Number(value), Number(other)));
    })
  );
}

function isNear({ type }: ColumnProfile, a: number, b: number): boolean {
  return type === 'number' && Math.abs(a - b) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b));
}

function sorted({ top, type }: ColumnProfile): readonly (readonly [string, number])[] {
  const entries = top.map(({ value, count }) => [value, count] as const);
  return type === 'number'
    ? entries.sort((a, b) => Number(a[0]) - Number(b[0]))
    : entries.sort((a, b) => (a[0] < b[0] ? -1 : 1));
}

function brief({ type, missing, infinite, top }: ColumnProfile): string {
  const values = top.map(({ value, count }) => `${JSON.stringify(value)}x${count}`).sort();
  return `${type} missing ${missing} infinite ${infinite} ${values.join(' ').slice(0, 700)}`;
}
