/**
 * Frames on Spark against frames on DuckDB: the same columns, statistics and cells, whatever the
 * format, the order of files and the dialect of the expressions. DuckDB's engine with `encodeBlock`
 * is the oracle.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DataError } from '../../driver/errors.js';
import type {
  FrameDescription,
  ProfileRequest,
  TextHashing,
} from '../../driver/ir/frame-engine.js';
import type { EncodedFeature } from '../../driver/operators/encode-block.js';
import { packageRoot } from '../../driver/support/package-root.js';
import { createDuckDbEngine, type DuckDbEngine } from '../../gpu-executor/cpu/duckdb/index.js';
import type { SparkBackend } from '../../spark-bridge/index.js';
import { assertNear } from '../support/close.js';
import { assertSameCells, encodeHere, encodeOnSpark } from '../support/encode-engines.js';
import { copyTo } from '../support/frame-data.js';
import { createTestSpark, TINY_CHUNKS } from '../support/spark.js';
import { temporaryFolder } from './folder.js';

const ROWS = 1000;
const PARQUET = join(packageRoot(), 'test/fixtures/parquet');
const NAN = join(PARQUET, 'nan.parquet');
const PAGES = ['v1', 'v2'].map((version) => join(PARQUET, `pages-${version}.parquet`));

/** Rows `from .. until-1` of a table with every type features are made of, and nulls in each. */
function table(from: number, until: number): string {
  return `SELECT i AS id,
    CASE WHEN i % 7 = 0 THEN NULL ELSE i * 3 - 500 END AS whole,
    CASE WHEN i % 11 = 0 THEN NULL WHEN i % 13 = 0 THEN 'NaN'::DOUBLE ELSE sin(i) * 1e3 END AS real,
    CASE WHEN i % 5 = 0 THEN NULL ELSE ['red', 'green', 'blué', 'it''s'][1 + i % 4] END AS colour,
    CASE WHEN i % 17 = 0 THEN NULL ELSE i % 2 = 0 END AS flag,
    CASE WHEN i % 19 = 0 THEN NULL ELSE TIMESTAMP '2001-01-01 00:00:00' + INTERVAL (i * 7919) MINUTE END AS moment,
    (i % 9) / 4.0 AS quarter,
    CAST((i % 6) / 2.0 AS DECIMAL(6,2)) AS half
    FROM range(${from}, ${until}) t(i)`;
}

const numbers = [
  'whole',
  'real',
  'whole * whole',
  'whole / 3',
  'whole / nullif(id % 4, 0)',
  'id // 7',
  'id % 7',
  '(whole - 4)::double * 2',
  'CAST(flag AS INTEGER)',
  'extract(hour from moment)',
  'extract(dow from moment)',
  'extract(isodow from moment)',
  'extract(doy from moment)',
  'extract(epoch from moment)',
  'dayofweek(moment)',
  'weekday(moment)',
  'month(moment)',
  'year(moment)',
  'quarter(moment)',
  'week(moment)',
  "date_part('dow', moment)",
  'log(id + 1)',
  'ln(id + 1)',
  'sqrt(id)',
  'pow(id, 2)',
  'id ** 2',
  'abs(real)',
  'round(quarter)',
  'coalesce(whole, -1)',
  'CASE WHEN flag THEN 1 ELSE 0 END',
  'length(colour)',
  '"id"',
];

const categories = [
  { sql: 'colour', categories: ['blué', 'green', "it's"] },
  { sql: 'flag', categories: ['true', 'false'] },
  { sql: 'extract(hour from moment)', categories: ['0', '5', '23', '11'] },
  { sql: 'whole', categories: ['-497', '-494', '1.5'] },
  { sql: 'quarter', categories: ['0', '0.25', '1', '1.5'] },
  { sql: 'half', categories: ['0', '0.5', '1', '2.5'] },
  { sql: "colour || '!'", categories: ['red!', 'green!'] },
  { sql: 'upper(colour)', categories: ['RED', 'GREEN'] },
];

/** Every kind of feature, over every kind of column. */
const features: readonly EncodedFeature[] = [
  ...numbers.map((sql): EncodedFeature => ({ kind: 'number', name: sql, sql, missing: 'zero' })),
  { kind: 'missing', name: 'real?', sql: 'real' },
  ...categories.map(
    ({ sql, categories }, i): EncodedFeature => ({
      kind: 'onehot',
      name: sql,
      sql,
      categories,
      other: i % 2 === 0,
      missing: i % 3 === 0,
    }),
  ),
  { kind: 'bin', name: 'bins', sql: 'real', edges: [-500, 0, 250, 900], missing: true },
  { kind: 'bin', name: 'open', sql: 'whole', edges: [-100, 0, 100], missing: false },
  {
    kind: 'map',
    name: 'map',
    sql: 'colour',
    categories: ['red', 'green'],
    values: [1.5, -2],
    fallback: 9,
  },
];

/** Files written by pyarrow: see `generate.py` there. */
const ARROW = fileURLToPath(new URL('../../../test/fixtures/arrow', import.meta.url));

const arrowFeatures: readonly EncodedFeature[] = [
  ...['tiny', 'byte', 'word', 'long', 'real', 'single', 'price', 'CAST(flag AS INTEGER)'],
  ...['s', 'ms', 'us', 'ns', 'day'].flatMap((column) => [
    `year(${column})`,
    `extract(doy from ${column})`,
  ]),
  ...['s', 'ms', 'us', 'ns'].map((column) => `extract(hour from ${column})`),
]
  .map((sql): EncodedFeature => ({ kind: 'number', name: sql, sql, missing: 'zero' }))
  .concat(
    ['colour', 'wide', 'kind', 'flag'].map((sql) => ({
      kind: 'onehot',
      name: sql,
      sql,
      categories: ['red', 'blué', 'k1', 'k2', 'a', 'b', 'true'],
      other: true,
      missing: true,
    })),
  );

describe('frames on Spark', () => {
  let spark: SparkBackend;
  let duckdb: DuckDbEngine;
  let folder: string;
  let remove: () => Promise<void>;

  before(async function () {
    this.timeout(600_000);
    const made = await createTestSpark({ conf: TINY_CHUNKS });
    if (typeof made === 'string') {
      console.warn(`SKIPPED frames on Spark: ${made}`);
      this.skip();
    }
    spark = made;
    duckdb = createDuckDbEngine();
    ({ folder, remove } = await temporaryFolder());
    // The first file is the smallest: Spark would read the largest one first, were it asked for all
    // at once.
    const parts = join(folder, 'parts');
    await mkdir(parts);
    await copyTo(join(parts, 'a.parquet'), table(0, 100), 'format parquet');
    const grouped = 'format parquet, row_group_size 2048';
    await copyTo(join(parts, 'b.parquet'), table(100, 800), grouped);
    await copyTo(join(parts, 'c.parquet'), table(800, ROWS), 'format parquet');
    await copyTo(join(folder, 'large.parquet'), table(0, 50_000), grouped);
    const texts = `SELECT id, whole, real, colour, flag, moment FROM (${table(0, ROWS)})`;
    await copyTo(join(folder, 'text.csv'), texts, `format csv, header true, delimiter ';'`);
    await copyTo(join(folder, 'text.jsonl'), texts, 'format json');
  });
  after(async () => {
    duckdb?.close();
    await spark?.close();
    await remove?.();
  });

  for (const path of ['parts', 'large.parquet', 'text.csv', 'text.jsonl']) {
    it(`describes ${path} as DuckDB does`, async () => {
      const expected = await duckdb.describe(join(folder, path));
      const actual = await spark.frames.describe(join(folder, path));
      const { columns: _, ...source } = actual.source;
      assert.deepEqual(source, expected.source);
      assert.equal(actual.rows, expected.rows);
      const named = (d: FrameDescription): unknown =>
        d.columns.map(({ name, type }) => [name, type]);
      assert.deepEqual(named(actual), named(expected));
    });
  }

  for (const path of ['parts', 'large.parquet']) {
    it(`encodes ${path} as DuckDB and the driver do, row for row`, async () => {
      const description = await duckdb.describe(join(folder, path));
      const together = await encodeOnSpark(spark, description, features);
      assertSameCells(together, await encodeHere(duckdb, description, features), features);
    }).timeout(600_000);
  }

  for (const path of ['text.csv', 'text.jsonl']) {
    it(`encodes ${path} as DuckDB and the driver do`, async () => {
      const description = await duckdb.describe(join(folder, path));
      const wanted: readonly EncodedFeature[] = [
        { kind: 'number', name: 'whole', sql: 'whole', missing: 'zero' },
        { kind: 'number', name: 'real', sql: 'real', missing: 'zero' },
        { kind: 'number', name: 'hour', sql: 'extract(hour from moment)', missing: 'zero' },
        {
          kind: 'onehot',
          name: 'colour',
          sql: 'colour',
          categories: ['red', 'blué', "it's"],
          other: true,
          missing: true,
        },
        {
          kind: 'onehot',
          name: 'flag',
          sql: 'flag',
          categories: ['true', 'false'],
          other: false,
          missing: true,
        },
      ];
      const actual = await encodeOnSpark(spark, description, wanted);
      assertSameCells(actual, await encodeHere(duckdb, description, wanted), wanted);
    }).timeout(120_000);
  }

  for (const codec of ['plain', 'lz4', 'zstd']) {
    it(`reads Arrow files (${codec}) as they are read here`, async () => {
      const here = await duckdb.describe(join(ARROW, 'plain.arrow'));
      const there = await spark.frames.describe(join(ARROW, `${codec}.arrow`));
      const named = (d: FrameDescription): unknown =>
        d.columns.map(({ name, type }) => [name, type]);
      assert.deepEqual(named(there), named(here));
      assert.equal(there.rows, here.rows);
      const actual = await encodeOnSpark(spark, there, arrowFeatures);
      assertSameCells(actual, await encodeHere(duckdb, here, arrowFeatures), arrowFeatures);
    }).timeout(120_000);
  }

  it('reads an Arrow stream like the file it is part of', async () => {
    const bytes = await readFile(join(ARROW, 'plain.arrow'));
    // A file is its stream between eight bytes and a footer, whose length stands before the last
    // magic word.
    const footer = bytes.readInt32LE(bytes.length - 10);
    const stream = join(folder, 'plain.arrows');
    await writeFile(stream, bytes.subarray(8, bytes.length - 10 - footer));
    const file = await spark.frames.describe(join(ARROW, 'plain.arrow'));
    const actual = await encodeOnSpark(spark, await spark.frames.describe(stream), arrowFeatures);
    assertSameCells(actual, await encodeOnSpark(spark, file, arrowFeatures), arrowFeatures);
  }).timeout(120_000);

  it('refuses an Arrow file that was cut off', async () => {
    const bytes = await readFile(join(ARROW, 'plain.arrow'));
    const cut = join(folder, 'cut.arrow');
    await writeFile(cut, bytes.subarray(0, bytes.length >> 1));
    await assert.rejects(
      spark.frames.describe(cut),
      (error) =>
        error instanceof DataError && /whole Arrow IPC file at .*cut\.arrow/.test(error.message),
    );
  });

  it('profiles expressions as DuckDB does', async () => {
    const description = await duckdb.describe(join(folder, 'parts'));
    const requests: ProfileRequest[] = [
      ...numbers.map((sql) => ({ sql, top: 0, quantiles: [0, 0.25, 0.5, 0.9, 1] })),
      ...categories.map(({ sql }) => ({ sql, top: 3, quantiles: [] })),
      { sql: 'CASE WHEN id = 3 THEN 1 / 0 ELSE id END', top: 0, quantiles: [] },
      { sql: 'moment', top: 2, quantiles: [] },
    ];
    const actual = await spark.frames.profile(description.source, requests);
    const expected = await duckdb.profile(description.source, requests);
    for (const [i, { sql }] of requests.entries()) {
      const { quantiles, min, max, ...exact } = actual[i]!;
      const { quantiles: quantiles2, min: min2, max: max2, ...exact2 } = expected[i]!;
      assert.deepEqual(exact, exact2, sql);
      assertNear([min ?? 0, max ?? 0], [min2 ?? 0, max2 ?? 0], sql);
      assertNear(quantiles, quantiles2, sql);
    }
  }).timeout(300_000);

  it('takes ranges from statistics where NaN may be overlooked, and only there', async () => {
    const { source } = await duckdb.describe(NAN);
    const asked = { top: 0, quantiles: [], fromStatistics: true };
    const sqls = ['"a"', '"b"', 'a + 1'];
    const profiles = await spark.frames.profile(
      source,
      sqls.map((sql) => ({ sql, ...asked })),
    );
    const here = await duckdb.profile(
      source,
      sqls.slice(0, 2).map((sql) => ({ sql, ...asked })),
    );
    assert.deepEqual(profiles.slice(0, 2), here);
    const known = profiles.map((profile) => profile.fromStatistics);
    assert.deepEqual(known, [true, true, undefined]);
    assert.ok(profiles.every(({ missing }) => missing === 0));
    const [files] = await spark.frames.profileFiles!(source, [{ sql: '"b"', ...asked }]);
    assert.deepEqual(files, [profiles[1]]);
    const [read] = await spark.frames.profile(source, [{ sql: '"b"', top: 0, quantiles: [] }]);
    assert.deepEqual([read!.missing, read!.fromStatistics], [2, undefined]);
  });

  const numberFiles = async (): Promise<number> =>
    (await spark.channel.call('status', {})).result.numberFiles;

  it('decodes number columns of any kind and encoding as they are read here', async () => {
    const kinds = join(folder, 'kinds.parquet');
    await copyTo(
      kinds,
      `SELECT (i % 100)::TINYINT AS tiny, (i % 30000)::SMALLINT AS small, i::INTEGER * 7 AS whole, i::BIGINT * 11 AS big,
         CASE WHEN i % 5 = 0 THEN NULL ELSE (i / 3)::FLOAT END AS single, i / 7 AS wide, i % 4 / 4 AS few
       FROM range(100000) t(i)`,
      'ROW_GROUP_SIZE 10240',
    );
    for (const path of [kinds, ...PAGES]) {
      const description = await duckdb.describe(path);
      const wanted = description.columns.flatMap(({ name }): EncodedFeature[] => [
        { kind: 'number', name, sql: name, missing: 'zero' },
        { kind: 'missing', name: `${name}?`, sql: name },
      ]);
      const before = await numberFiles();
      const { data } = await encodeOnSpark(spark, description, wanted);
      assert.deepEqual(data, (await encodeHere(duckdb, description, wanted)).data, path);
      assert.equal(await numberFiles(), before + 1, `${path}: read without rows`);
    }
    const texts = await duckdb.describe(join(folder, 'large.parquet'));
    const before = await numberFiles();
    await encodeOnSpark(spark, texts, features.slice(0, 3));
    assert.equal(await numberFiles(), before, 'expressions are read by rows');
  });

  it('hashes texts of any script to the same bits, beside other features', async () => {
    const fixture = join(packageRoot(), 'test/fixtures/sklearn/hashing.json');
    const { texts, cases } = JSON.parse(await readFile(fixture, 'utf8')) as {
      readonly texts: readonly string[];
      readonly cases: readonly { readonly options: TextHashing }[];
    };
    const path = join(folder, 'notes.jsonl');
    const lines = [...texts, null].map((note, id) => JSON.stringify({ id, note }));
    await writeFile(path, lines.join('\n'));
    const hashed = cases.map(({ options }, i): EncodedFeature => {
      return { kind: 'hash', name: `note${i}`, sql: 'note', ...options };
    });
    const wanted: EncodedFeature[] = [
      ...hashed.slice(0, 2),
      { kind: 'number', name: 'id', sql: 'id', missing: 'error' },
      { kind: 'bin', name: 'bin', sql: 'id', edges: [0, 5, 20], missing: false },
      ...hashed.slice(2),
    ];
    const description = await duckdb.describe(path);
    const expected = await encodeHere(duckdb, description, wanted);
    assert.deepEqual((await encodeOnSpark(spark, description, wanted)).data, expected.data);
    await assert.rejects(
      encodeOnSpark(spark, description, [{ ...hashed[0]!, sql: 'id' }]),
      /expected text to hash, got bigint/,
    );
  });

  it('names the feature, row and remedy where a number is missing', async () => {
    const description = await duckdb.describe(join(folder, 'parts'));
    await assert.rejects(
      encodeOnSpark(spark, description, [
        { kind: 'number', name: 'whole', sql: 'whole', missing: 'error' },
      ]),
      (error) => {
        assert.ok(error instanceof DataError);
        // Partitions race, so the row, counted from 1, is the first missing one of any of them.
        assert.match(error.message, /`whole`.*row \d+.*impute/);
        assert.equal(Number(/row (\d+)/.exec(error.message)?.[1]) % 7, 1);
        return true;
      },
    );
  });

  for (const sql of ['nosuch + 1', 'id +', '(SELECT 1)', 'sum(id)', 'id; DROP TABLE x', 'colour']) {
    it(`refuses the number feature \`${sql}\` as a mistake in the data`, async () => {
      const description = await duckdb.describe(join(folder, 'parts'));
      await assert.rejects(
        encodeOnSpark(spark, description, [{ kind: 'number', name: 'bad', sql, missing: 'zero' }]),
        DataError,
      );
    });
  }

  it('notices that a file is another, or has other rows, than when it was opened', async () => {
    const description = await duckdb.describe(join(folder, 'parts'));
    const { source } = description;
    const lies = [
      [{ rows: 300 }, /expected 1100 rows.*got 1000/],
      [{ rows: 300, digest: 'other' }, /c\.parquet to stay as it was, .*other content/],
    ] as const;
    for (const [lie, message] of lies) {
      const files = source.files.map((file, i) => (i === 2 ? { ...file, ...lie } : file));
      const lying = { ...description, rows: 1100, source: { ...source, files } };
      await assert.rejects(
        encodeOnSpark(spark, lying, [{ kind: 'number', name: 'id', sql: 'id', missing: 'zero' }]),
        (error) => error instanceof DataError && message.test(error.message),
      );
    }
  });
});
