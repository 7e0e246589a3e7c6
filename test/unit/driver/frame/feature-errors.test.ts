/** What features and expressions may not be: one error names the feature and the remedy. */
import assert from 'node:assert/strict';
import { ConfigError, DataError } from '../../../../driver/errors.js';
import type { FeatureSpec } from '../../../../driver/frame/feature-spec.js';
import {
  type FeatureSelection,
  type ResolvedFeatures,
  resolveFeatures,
} from '../../../../driver/frame/features.js';
import type { FrameDescription } from '../../../../driver/ir/frame-engine.js';
import { encodeBlock, rawColumn } from '../../../../driver/operators/encode-block.js';
import type { DuckDbEngine } from '../../../../gpu-executor/cpu/duckdb/index.js';
import { copyTo, engineInFolder } from '../../../support/frame-data.js';

const ROWS = 900;
/** city: Ada 1/2, Bo 1/4, Cy 1/8, Di 1/8; age; n: 0..9; w: 10 n + 0.5; when: hours. Some gaps. */
const QUERY = `SELECT i,
  CASE WHEN i % 13 = 4 THEN NULL ELSE ['Ada', 'Bo', 'Ada', 'Cy', 'Ada', 'Bo', 'Ada', 'Di'][i % 8 + 1] END AS city,
  CASE WHEN i % 9 = 2 THEN NULL ELSE 20 + i % 50 END AS age,
  CAST(i % 10 AS DOUBLE) AS n, i % 2 = 0 AS even, TIMESTAMP '2001-01-01' + to_hours(i::INTEGER) AS "when",
  CASE WHEN i = 5 THEN 'inf'::DOUBLE ELSE i END AS inf, 7 AS seven, NULL::DOUBLE AS none,
  i * 2.0 + 1 AS y, i % 4 AS grp, i % 5 - 1 AS fold FROM range(${ROWS}) r(i)`;

describe('features', () => {
  const files = engineInFolder(QUERY);
  let engine: DuckDbEngine;
  let description: FrameDescription;
  before(() => {
    ({ engine, description } = files);
  });

  const resolve = (
    features: readonly FeatureSpec[],
    more: Partial<FeatureSelection> = {},
  ): Promise<ResolvedFeatures> =>
    resolveFeatures(engine, description, { target: 'y', features, ...more });

  describe('refuses', () => {
    const cases: [string, FeatureSpec, typeof DataError | typeof ConfigError, RegExp][] = [
      [
        'an unknown column',
        'agee',
        DataError,
        /feature agee: expected a column of the data, got "agee"; the columns are age, /,
      ],
      [
        'an unknown column in an expression',
        { name: 'q', sql: 'agee + 1' },
        DataError,
        /feature q: .*got "agee"; the columns are age, /,
      ],
      [
        'text as a number',
        'city',
        DataError,
        /feature city: expected numbers, got text values such as "Ada" and "Bo"; say encode: onehot/,
      ],
      [
        'a time as a number',
        'when',
        DataError,
        /feature when: expected numbers, got timestamp values .* say sql, such as extract/,
      ],
      [
        'missing values',
        'age',
        DataError,
        /feature age: expected no missing values, got 100 in 900 rows; say impute/,
      ],
      [
        'infinite values',
        'inf',
        DataError,
        /feature inf: expected finite values, got 1 infinite value in 900 rows/,
      ],
      [
        'a column without values',
        'none',
        DataError,
        /feature none: expected some values, got none/,
      ],
      [
        'the mean of nothing',
        { name: 'none', impute: 'mean' },
        DataError,
        /feature none: expected values to take the mean of/,
      ],
      ['the target', 'y', ConfigError, /feature y: expected something other than the target/],
      [
        'an expression that does not parse',
        { name: 'q', sql: 'n +' },
        DataError,
        /feature q: expression "n \+": .* got syntax error/,
      ],
      [
        'an unknown function',
        { name: 'q', sql: 'foo(n)' },
        DataError,
        /feature q: .*foo\(\), which is not in the table .*nearest are/,
      ],
      [
        'a value an expression can’t take',
        { name: 'q', sql: 'CAST(city AS INTEGER)' },
        DataError,
        /feature q: expression .*Could not convert string '.*' to INT32/,
      ],
      [
        'the mean of categories',
        { name: 'city', encode: 'onehot', impute: 'mean' },
        ConfigError,
        /feature city: expected a category to impute/,
      ],
      [
        'edges out of order',
        { name: 'n', encode: 'bin', bins: [3, 2] },
        ConfigError,
        /ascending edges, got \[3,2\]/,
      ],
      ['top without one-hot', { name: 'n', top: 3 }, ConfigError, /`encode: onehot` only/],
    ];
    for (const [what, spec, type, message] of cases) {
      it(what, async () => {
        await assert.rejects(resolve(['i', spec]), (error: Error) => {
          assert.ok(error instanceof type, `${error.name}: ${error.message}`);
          assert.match(error.message, message);
          return true;
        });
      });
    }

    it('two features of one name', async () => {
      await assert.rejects(
        resolve(['n', { name: 'n', sql: 'i' }]),
        /feature n: expected a name of its own/,
      );
    });

    it('targets that are text, missing or infinite', async () => {
      await assert.rejects(
        resolve(['n'], { target: 'city' }),
        /target city: expected numbers, got text values such as "Ada"/,
      );
      await assert.rejects(
        resolve(['n'], { target: 'age' }),
        /target age: expected a finite number in every row, got 100 missing in 900 rows/,
      );
      await assert.rejects(resolve(['n'], { target: 'inf' }), /target inf: .* got 1 infinite/);
      await assert.rejects(
        resolve(['n'], { target: 'yy' }),
        /target: expected a column of the data, got "yy"; the columns are y, /,
      );
    });

    it('missing classes, but no text', async () => {
      const classesOf = async (target: string) =>
        (await resolve(['w'], { target, classes: true, features: [{ name: 'w', sql: 'i' }] }))
          .classes;
      assert.deepEqual(await classesOf('even'), [false, true]);
      assert.deepEqual(await classesOf('n'), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      await assert.rejects(classesOf('city'), /target city: expected a class in every row/);
    });

    it('more than 100,000 categories, unless cut', async () => {
      const path = files.at('wide.parquet');
      await copyTo(path, `SELECT 'id' || i AS id, i AS y FROM range(100001) r(i)`);
      const wide = await engine.describe(path);
      const select = (top?: number): Promise<ResolvedFeatures> =>
        resolveFeatures(engine, wide, {
          target: 'y',
          features: [{ name: 'id', encode: 'onehot', top }],
        });
      await assert.rejects(
        select(),
        /feature id: expected at most 100000 categories, got 100001; say top/,
      );
      assert.equal((await select(5)).columns.length, 6);
    });
  });

  describe('expressions', () => {
    const refused = [
      'sum(n)',
      'random()',
      'now()',
      'current_date',
      // DuckDB calls these constant, and they look at the clock.
      'epoch(current_localtimestamp())',
      'hour(current_localtime())',
      'epoch(age("when"))',
      'epoch("when".age())',
      '(SELECT 1)',
      'n IN (SELECT 1)',
      "n + (SELECT count(*) FROM read_csv('/etc/passwd'))",
      'n; DROP TABLE x',
      'n, i',
      'n AS z',
      '1) + (2',
      "1) FROM read_csv('/etc/passwd') --",
      'n FROM range(3)',
      '*',
      'COLUMNS(*)',
      '$1',
      '#1',
      'row_number() OVER ()',
      'unnest([1, 2])',
      "read_text('/etc/passwd')",
      "getvariable('x')",
      "current_setting('threads')",
      'pg_sleep(1)',
      '',
    ];
    for (const sql of refused) {
      it(`are not ${JSON.stringify(sql)}`, async () => {
        await assert.rejects(resolve([{ name: 'q', sql }]), DataError);
      });
    }

    it('of a job tied to DuckDB may use more, but neither clock nor session', async () => {
      const tied = (sql: string) =>
        resolve([{ name: 'q', sql }], { dialect: 'duckdb', features: [{ name: 'q', sql }] });
      await tied('list_sum(list_transform([n, i], lambda x: x + 1))');
      await tied(
        'epoch(age("when", TIMESTAMP \'2001-01-01\')) + epoch("when".age("when")) + hash(n)',
      );
      for (const sql of refused) await assert.rejects(tied(sql), DataError, sql);
    });

    it('may stand in one another forty deep, and are looked at once each', async () => {
      let sql = 'city';
      for (let i = 0; i < 40; i++) sql = `replace(${sql}, '${i % 10}', '${(i + 1) % 10}')`;
      const [profile] = await engine.profile(description.source, [
        { sql: `length(${sql})`, top: 0, quantiles: [] },
      ]);
      assert.equal(profile?.type, 'number');
      const grown = `length(${sql.replace('city', "repeat('ab', 60000)")})`;
      const request = { sql: grown, top: 0, quantiles: [] };
      await assert.rejects(engine.profile(description.source, [request]), /120000 characters/);
    });

    it('may be any function of the row', async () => {
      const allowed = [
        'n -- with a comment',
        "CASE WHEN city LIKE 'A%' THEN 1 ELSE 0 END",
        'coalesce(nullif(age, 21), 0)',
        "date_diff('day', TIMESTAMP '2001-01-01', \"when\")",
        'try_cast(city AS DOUBLE) IS NULL',
        'N * "I"',
      ];
      const resolved = await resolve(allowed.map((sql, k) => ({ name: `f${k}`, sql })));
      const { features } = resolved;
      const out = new Float64Array(ROWS * features.length);
      const columns = features.map(rawColumn);
      for await (const chunk of engine.read(description.source, columns, { rowsPerChunk: ROWS })) {
        assert.equal(encodeBlock(features, chunk, out, features.length, 0), undefined);
      }
      const row = out.subarray(8 * features.length, 9 * features.length);
      assert.deepEqual([...row], [8, 1, 28, 0, 1, 64]);
    });
  });
});
