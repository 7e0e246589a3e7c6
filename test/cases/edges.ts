/** Scores that don't exist, names that are ours too, folds without values, unusable addresses. */
import assert from 'node:assert/strict';
import { ConfigError } from '../../driver/errors.js';
import { duckdb, type JobFolder } from '../support/job-folder.js';
import { type Case, fixture, recordOf } from './case.js';

const ADDRESSES: readonly (readonly [string, RegExp])[] = [
  ['s3://bucket/data.parquet', /write s3a:\/\/bucket\/data\.parquet.*hadoop-aws/],
  ['s3a://bucket/data.parquet', /hadoop-aws/],
  ['gs://bucket/data/*.csv', /gcs-connector/],
  ['abfss://box@account.dfs.core.windows.net/data', /hadoop-azure/],
  ['stow://shelf/data.csv', /stow:\/\//],
  ['https://example.org/data.csv', /download it/],
];
const ENGINE_WORDS = { local: /--engine spark/, spark: /Spark can open.*no client/ };

export const EDGES: readonly Case[] = [
  {
    name: 'names no best candidate when no score is finite, and says which scorer needs what',
    prepare: fixture('loo'),
    check: (outcome) => {
      const { search } = recordOf(outcome);
      assert.deepEqual([search.bestIndex, search.model], [null, null]);
      assert.deepEqual(
        search.trials.map(({ rank }) => [rank.r2, rank.neg_mean_squared_error]),
        [
          [1, 1],
          [1, 2],
        ],
        'as scikit-learn ranks them',
      );
      const means = search.trials.map(({ meanScore }) => meanScore.neg_mean_squared_error!);
      closeTo(means, [-3.8253210185828554, -3.902201900008426]);
      assert.match(
        outcome.warnings.join('\n'),
        /one or more of the test scores are non-finite: the mean r2 of every candidate; r2 needs at least 2 rows in each test fold, fold 0 has 1/,
      );
      assert.match(outcome.warnings.join('\n'), /say refit: neg_mean_squared_error/);
    },
  },
  {
    name: 'ranks what has no score last, names the best of the rest',
    prepare: (folder) => {
      const row = (i: number): string => `${i % 7},${i % 7},${(i * i) % 11}`;
      const rows = Array.from({ length: 40 }, (_, i) => row(i));
      folder.write('data.csv', `a,b,y\n${rows.join('\n')}\n`);
      folder.job({ search: { grid: { lambda: [0, 1, 10] } } });
    },
    check: (outcome) => {
      const { search } = recordOf(outcome);
      assert.ok(Object.keys(search.trials[0]!.errors ?? {}).length > 0, 'columns are equal');
      assert.equal(search.trials[0]!.rank.r2, 3);
      assert.ok(search.bestIndex !== null && search.bestIndex > 0 && search.model !== null);
      assert.match(outcome.warnings.join('\n'), /r2 of 1 of 3 candidates; their fits failed/);
    },
  },
  {
    name: 'tells categories that are our own words from ours',
    prepare: fixture('cat-other'),
    check: (outcome) => {
      const { model } = recordOf(outcome).search;
      assert.deepEqual(model?.columns, [
        'x0',
        ...['"(missing)"', '"(other)"', 'missing', 'other', 'x', 'y', 'z', '(missing)'].map(
          (category) => `c=${category}`,
        ),
      ]);
    },
  },
  {
    name: 'leaves a feature out of a fold whose training rows all miss it, as SimpleImputer does',
    prepare: (folder) => {
      fixture('impute-std')(folder);
      folder.job({
        data: {
          path: 'd2.parquet',
          target: 'y',
          standardize: true,
          features: [{ name: 'x0', impute: 'mean' }, 'x1'],
        },
        search: { grid: { lambda: [0, 0.1, 10] } },
        scoring: ['r2', 'neg_mean_absolute_error'],
      });
    },
    check: (outcome) => {
      const { search } = recordOf(outcome);
      const scores = search.trials.map(({ splitScores }) => splitScores.r2!);
      closeTo(scores.flat(), [
        ...[0.7748998804959681, 0.7978014527265103, 0.8748822527791068, 0.6692406995509921],
        ...[0.7753653732660994, 0.7979197776926565, 0.874571295814731, 0.6696184058209539],
        ...[0.7785585028152328, 0.7782672881111479, 0.8238487286924199, 0.6697132437510662],
      ]);
      assert.match(outcome.warnings.join('\n'), /^feature x0: fold 0 is fitted without it: /m);
    },
  },
  {
    name: 'reads columns that are called as engines call their own',
    prepare: async (folder) => {
      await ownNames(folder, '1.parquet', 60);
      await ownNames(folder, '2.parquet', 50);
      folder.job({
        data: {
          path: '*.parquet',
          target: 'rowid',
          features: [...OWN_NAMES, { name: 'w', encode: 'onehot' }],
        },
        search: { grid: { lambda: [1e-9] } },
      });
    },
    check: (outcome) => {
      const { search } = recordOf(outcome);
      assert.deepEqual(search.model?.columns, [...OWN_NAMES, 'w=0', 'w=1', 'w=2']);
      closeTo(search.model.coefficients[0]!.slice(0, SLOPES.length), SLOPES, 1e-6);
    },
  },
  ...ADDRESSES.map(
    ([path, onSpark]): Case => ({
      name: `says what it takes to read ${path}`,
      prepare: (folder) => folder.job({ data: { path, target: 'y' } }),
      check: ({ error, engine }) => {
        assert.ok(error instanceof ConfigError, String(error));
        assert.match(error.message, onSpark);
        if (!path.startsWith('https')) assert.match(error.message, ENGINE_WORDS[engine]);
      },
    }),
  ),
];

/** Names that DuckDB, Spark or our own statements give to columns of theirs. */
const OWN_NAMES = [
  ...['filename', 'file_index', 'file_row_number', '_metadata', 'row_index'],
  ...['k', 'n', 'c0', 'v', 'file', 'target'],
];
const SLOPES = OWN_NAMES.map((_, j) => j - 4.5);

/** The target is the sum of the columns times `SLOPES`. */
async function ownNames(folder: JobFolder, name: string, rows: number): Promise<void> {
  const cell = (j: number): string => `round(sin((i + ${rows}) * ${j + 1} + ${j}), 3)`;
  const columns = OWN_NAMES.map((column, j) => `${cell(j)} AS "${column}"`);
  const sum = SLOPES.map((slope, j) => `${slope} * ${cell(j)}`).join(' + ');
  const select = `SELECT ${columns.join(', ')}, i % 3 AS w, ${sum} AS rowid FROM range(${rows}) t(i)`;
  await duckdb(`COPY (${select}) TO '${folder.file(name)}'`);
}

function closeTo(got: readonly number[], wanted: readonly number[], tolerance = 1e-9): void {
  assert.equal(got.length, wanted.length);
  for (const [i, value] of got.entries()) {
    assert.ok(
      Math.abs(value - wanted[i]!) <= tolerance * Math.max(1, Math.abs(wanted[i]!)),
      `${i}: expected ${wanted[i]}, got ${value}`,
    );
  }
}
