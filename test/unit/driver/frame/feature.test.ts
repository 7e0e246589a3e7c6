/** Features are resolved from all rows, and encode as a plain loop over these rows does. */
import assert from 'node:assert/strict';
import { columnPrefixes, featureColumns } from '../../../../driver/frame/column-names.js';
import type { FeatureSpec } from '../../../../driver/frame/feature-spec.js';
import {
  type FeatureSelection,
  type ResolvedFeatures,
  resolveFeatures,
} from '../../../../driver/frame/features.js';
import type { ResolvedCategories } from '../../../../driver/frame/folds.js';
import type { FrameDescription, FrameEngine } from '../../../../driver/ir/frame-engine.js';
import {
  type EncodedFeature,
  encodeBlock,
  featureWidth,
  rawColumn,
} from '../../../../driver/operators/encode-block.js';
import type { DuckDbEngine } from '../../../../gpu-executor/cpu/duckdb/index.js';
import { balancedGroups } from '../../../../jobs/search/splits/rules.js';
import { copyTo, engineInFolder } from '../../../support/frame-data.js';

const ROWS = 900;
/** city: Ada 1/2, Bo 1/4, Cy 1/8, Di 1/8; age; n: 0..9; w: 10 n + 0.5; when: hours. Some gaps. */
const QUERY = `SELECT i,
  CASE WHEN i % 13 = 4 THEN NULL ELSE ['Ada', 'Bo', 'Ada', 'Cy', 'Ada', 'Bo', 'Ada', 'Di'][i % 8 + 1] END AS city,
  CASE WHEN i % 9 = 2 THEN NULL ELSE 20 + i % 50 END AS age,
  CAST(i % 10 AS DOUBLE) AS n, i % 2 = 0 AS even, TIMESTAMP '2001-01-01' + to_hours(i::INTEGER) AS "when",
  CASE WHEN i = 5 THEN 'inf'::DOUBLE ELSE i END AS inf, 7 AS seven, NULL::DOUBLE AS none,
  i * 2.0 + 1 AS y, i / 4 AS quarter, i % 4 AS grp, i % 5 - 1 AS fold FROM range(${ROWS}) r(i)`;

const CITIES = ['Ada', 'Bo', 'Ada', 'Cy', 'Ada', 'Bo', 'Ada', 'Di'];
const city = (i: number): string | null => (i % 13 === 4 ? null : CITIES[i % 8]!);
const age = (i: number): number | null => (i % 9 === 2 ? null : 20 + (i % 50));
const bit = (condition: boolean): number => (condition ? 1 : 0);

/** Folds by scikit-learn 1.9.1 `GroupKFold(5)`; HASH: high half of a 32-bit multiplicative hash. */
const SKLEARN_GROUPS = [
  {
    rows: 400,
    sql: 'HASH % 23 - 5',
    folds: {
      '-5': 0,
      '6': 0,
      '13': 0,
      '14': 0,
      '16': 0,
      '-4': 1,
      '-3': 1,
      '-1': 1,
      '9': 1,
      '15': 1,
      '1': 2,
      '5': 2,
      '10': 2,
      '11': 2,
      '0': 3,
      '2': 3,
      '3': 3,
      '8': 3,
      '-2': 4,
      '4': 4,
      '7': 4,
      '12': 4,
      '17': 4,
    },
  },
  {
    rows: 120,
    sql: 'i % 12',
    folds: {
      '1': 0,
      '6': 0,
      '11': 0,
      '0': 1,
      '5': 1,
      '10': 1,
      '4': 2,
      '9': 2,
      '3': 3,
      '8': 3,
      '2': 4,
      '7': 4,
    },
  },
  {
    rows: 300,
    sql: "CASE WHEN HASH % 2 = 1 THEN 'ü' || HASH % 9 ELSE 'Z' || HASH % 7 END",
    folds: {
      Z4: 0,
      Z5: 0,
      ü8: 0,
      Z0: 1,
      ü3: 1,
      ü5: 2,
      ü6: 2,
      ü7: 2,
      Z1: 3,
      ü1: 3,
      ü4: 3,
      Z2: 4,
      Z3: 4,
      Z6: 4,
    },
  },
];

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

  /** Rows of the encoded matrix, read in chunks of 128. */
  async function encodeAll(features: readonly EncodedFeature[]): Promise<number[][]> {
    const width = features.reduce((sum, feature) => sum + featureWidth(feature), 0);
    const rows: number[][] = [];
    const read = engine.read(description.source, features.map(rawColumn), { rowsPerChunk: 128 });
    for await (const chunk of read) {
      const out = new Float64Array(chunk.rows * width);
      assert.equal(encodeBlock(features, chunk, out, width, 0), undefined);
      for (let i = 0; i < chunk.rows; i++) rows.push([...out.subarray(i * width, (i + 1) * width)]);
    }
    assert.equal(rows.length, ROWS);
    return rows;
  }

  it('encodes numbers, categories, bins and missing values as a plain loop does', async () => {
    const resolved = await resolve([
      'n',
      { name: 'double', sql: 'n * 2' },
      { name: 'city', encode: 'onehot' },
      { name: 'age', impute: 'mean' },
      { name: 'aged', sql: 'age', impute: -1 },
      { name: 'zeroed', sql: 'age', impute: 'zero' },
      { name: 'hour', sql: 'extract(hour from "when")', encode: 'onehot', top: 24 },
      { name: 'level', sql: 'n', encode: 'bin', bins: [2.5, 5] },
      'even',
    ]);
    assert.deepEqual(resolved.columns, [
      'n',
      'double',
      'city=Ada',
      'city=Bo',
      'city=Cy',
      'city=Di',
      'city=(missing)',
      'age',
      'aged',
      'zeroed',
      ...Array.from({ length: 24 }, (_, h) => `hour=${h}`),
      'level=[0,2.5)',
      'level=[2.5,5)',
      'level=[5,9)',
      'even',
    ]);
    assert.deepEqual(resolved.imputations, [{ kind: 'mean', column: 7, indicator: 8 }]);
    const rows = await encodeAll(resolved.features);
    for (const [i, row] of rows.entries()) {
      const n = i % 10;
      assert.deepEqual(row, [
        n,
        2 * n,
        ...['Ada', 'Bo', 'Cy', 'Di', null].map((name) => bit(city(i) === name)),
        age(i) ?? 0,
        bit(age(i) === null),
        age(i) ?? -1,
        age(i) ?? 0,
        ...Array.from({ length: 24 }, (_, h) => bit(i % 24 === h)),
        bit(n < 2.5),
        bit(n >= 2.5 && n < 5),
        bit(n >= 5),
        bit(i % 2 === 0),
      ]);
    }
  });

  it('names design columns without the indicators of mean imputation', async () => {
    const resolved = await resolve([{ name: 'age', impute: 'mean' }, 'n']);
    const encoded = resolved.features.flatMap((feature) => featureColumns(feature));
    assert.deepEqual(encoded, ['age', 'age=(missing)', 'n']);
    assert.deepEqual(resolved.columns, ['age', 'n']);
  });

  it('names no two columns alike, whatever categories and features are called', () => {
    const sql = 'x';
    const onehot = (name: string, categories: string[]): EncodedFeature => ({
      ...{ kind: 'onehot', name, sql, categories, other: true, missing: true },
    });
    const features: EncodedFeature[] = [
      onehot('c', ['(missing)', '(other)', '"(other)"', 'a', 'x=a', '']),
      onehot('c=x', ['a']),
      { kind: 'number', name: 'c=a', sql, missing: 'error' },
      { kind: 'number', name: '"c=a"', sql, missing: 'error' },
      { kind: 'number', name: 'd=a', sql, missing: 'error' },
    ];
    const encode = (kind: string): string => (kind === 'number' ? 'number' : 'onehot');
    const prefixes = columnPrefixes(
      features.map(({ name, kind }) => ({ name, encode: encode(kind) })),
    );
    const names = features.flatMap((feature) => featureColumns(feature, prefixes));
    assert.equal(new Set(names).size, names.length, names.join(' '));
    assert.deepEqual(names.slice(0, 8), [
      'c="(missing)"',
      'c="(other)"',
      'c="\\"(other)\\""',
      'c=a',
      'c=x=a',
      'c=',
      'c=(other)',
      'c=(missing)',
    ]);
    assert.deepEqual(names.slice(8), [
      '"c=x"=a',
      '"c=x"=(other)',
      '"c=x"=(missing)',
      '"c=a"',
      '"\\"c=a\\""',
      'd=a',
    ]);
  });

  it('keeps the top categories by count then name, and gives the rest a column', async () => {
    const resolved = await resolve([{ name: 'city', encode: 'onehot', top: 3 }]);
    assert.deepEqual(resolved.columns, [
      'city=Ada',
      'city=Bo',
      'city=Cy',
      'city=(other)',
      'city=(missing)',
    ]);
    assert.match(
      resolved.warnings[0] ?? '',
      /^feature city: 3 of 4 categories kept, the rest share/,
    );
    const rows = await encodeAll(resolved.features);
    for (const [i, row] of rows.entries()) assert.equal(row[3], bit(city(i) === 'Di'));
  });

  it('leaves unlisted categories without a column when told so', async () => {
    const resolved = await resolve([{ name: 'city', encode: 'onehot', top: 1, other: false }]);
    assert.deepEqual(resolved.columns, ['city=Ada', 'city=(missing)']);
    const rows = await encodeAll(resolved.features);
    for (const [i, row] of rows.entries()) {
      assert.deepEqual(row, [bit(city(i) === 'Ada'), bit(city(i) === null)]);
    }
  });

  it('puts a category in place of missing ones', async () => {
    const resolved = await resolve([{ name: 'city', encode: 'onehot', impute: "Bo's" }]);
    assert.deepEqual(resolved.columns, ['city=Ada', 'city=Bo', "city=Bo's", 'city=Cy', 'city=Di']);
    const rows = await encodeAll(resolved.features);
    for (const [i, row] of rows.entries()) assert.equal(row[2], bit(city(i) === null));
  });

  it('orders numeric categories by value and prints whole numbers without decimals', async () => {
    const resolved = await resolve([{ name: 'k', sql: 'n + 5', encode: 'onehot' }]);
    assert.deepEqual(
      resolved.columns,
      Array.from({ length: 10 }, (_, k) => `k=${k + 5}`),
    );
  });

  it('cuts bins of equal count at quantiles, and fewer where values repeat', async () => {
    const three = await resolve([{ name: 'i', encode: 'bin', bins: 3 }]);
    const rows = await encodeAll(three.features);
    const counts = [0, 1, 2].map((bin) => rows.reduce((sum, row) => sum + row[bin]!, 0));
    assert.deepEqual(counts, [300, 300, 300]);
    const few = await resolve([
      { name: 'even', sql: 'CAST(even AS INTEGER)', encode: 'bin', bins: 4 },
    ]);
    assert.deepEqual(few.columns, ['even=[0,0.5)', 'even=[0.5,1)']);
    assert.match(few.warnings[0] ?? '', /2 of 4 bins kept/);
  });

  it('warns of constant columns and a constant target', async () => {
    const resolved = await resolve(['seven', { name: 's', sql: "'x'", encode: 'onehot' }], {
      target: 'seven',
      features: [
        'n',
        { name: 'seven7', sql: 'seven + 0' },
        { name: 's', sql: "'x'", encode: 'onehot' },
      ],
    });
    assert.deepEqual(resolved.warnings, [
      'target seven: every row has the same value (7)',
      'feature seven7: every row has the same value (7), which tells the model nothing',
      'feature s: every row has the same value (x), which tells the model nothing',
    ]);
  });

  it('takes every column but target and fold column by default', async () => {
    await copyTo(
      files.at('b.parquet'),
      'SELECT 1 AS a, 2.5 AS b, 3 AS f, 4 AS y UNION ALL SELECT 2, 3, 4, 5',
    );
    const plain = await engine.describe(files.at('b.parquet'));
    const resolved = await resolveFeatures(engine, plain, {
      target: 'y',
      categories: [{ role: 'group', column: 'f' }],
    });
    assert.deepEqual(resolved.columns, ['a', 'b']);
  });

  it('asks the engine once, and for each expression once', async () => {
    const asked: number[] = [];
    const counting: FrameEngine = {
      name: 'counting',
      describe: (path) => engine.describe(path),
      profile: (source, requests) => {
        asked.push(requests.length);
        return engine.profile(source, requests);
      },
    };
    await resolveFeatures(counting, description, {
      target: 'y',
      features: ['n', { name: 'm', sql: 'n' }, { name: 'o', sql: 'n', encode: 'onehot' }],
    });
    assert.deepEqual(asked, [3]);
  });

  describe('folds', () => {
    it('by group equal scikit-learn’s GroupKFold', async () => {
      const hash = '(CAST((i * 2654435761) % 4294967296 AS BIGINT) >> 16)';
      for (const { rows, sql, folds } of SKLEARN_GROUPS) {
        const path = files.at(`g${rows}.parquet`);
        await copyTo(
          path,
          `SELECT ${sql.replaceAll('HASH', hash)} AS g, i AS x, i AS y FROM range(${rows}) r(i)`,
        );
        const grouped = await engine.describe(path);
        const { categories } = await resolveFeatures(engine, grouped, {
          target: 'y',
          features: ['x'],
          categories: [{ role: 'group', column: 'g' }],
        });
        const [{ feature, counts }] = categories as [ResolvedCategories];
        const foldOf = balancedGroups(counts, 5);
        const got = Object.fromEntries(feature.categories.map((name, k) => [name, foldOf[k]]));
        assert.deepEqual(got, folds);
      }
    });

    it('number groups in order and count their rows', async () => {
      const categories = [{ role: 'group', column: 'grp' }] as const;
      const [group] = (await resolve(['n'], { categories })).categories;
      const rows = await encodeAll([group!.feature]);
      const sizes = group!.counts.map((_, k) => rows.filter(([number]) => number === k).length);
      assert.deepEqual(group!.counts, sizes);
      assert.equal(sizes.length, 4);
    });

    it('predefined number the values in order, and -1 after the last fold', async () => {
      const resolved = await resolve(['n'], { predefined: { column: 'fold' } });
      assert.equal(resolved.folds?.count, 4);
      assert.equal(resolved.folds?.alwaysTraining, 180);
      const rows = await encodeAll([resolved.folds!.feature]);
      for (const [i, [fold]] of rows.entries()) assert.equal(fold, i % 5 === 0 ? 4 : (i % 5) - 1);
    });

    it('refuse missing, odd or too few values', async () => {
      await assert.rejects(
        resolve(['n'], { categories: [{ role: 'group', column: 'age' }] }),
        /group age: expected no missing values, got 100/,
      );
      await assert.rejects(
        resolve(['n'], { categories: [{ role: 'stratify', column: 'quarter' }] }),
        /stratify quarter: expected classes \(whole numbers, text or booleans\), got the number/,
      );
      await assert.rejects(
        resolve(['n'], { predefined: { column: 'city' } }),
        /expected no missing values/,
      );
      await assert.rejects(
        resolve(['i'], { predefined: { column: 'seven' } }),
        /expected two folds, .* only 7/,
      );
    });
  });
});
