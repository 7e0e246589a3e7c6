/** One SQL text, one meaning: expressions that Spark once took otherwise than DuckDB. */
import assert from 'node:assert/strict';
import { DataError } from '../../driver/errors.js';
import type { JobFolder } from '../support/job-folder.js';
import { type Case, fixture, type Outcome, recordOf } from './case.js';

/** Scores by scikit-learn on the same folds, the feature computed as DuckDB does. */
function scores(expected: number): (outcome: Outcome) => void {
  return (outcome) => {
    const trial = recordOf(outcome).search.trials[0]!;
    assert.ok(Math.abs(trial.meanScore.r2! - expected) < 1e-9, String(trial.meanScore.r2));
  };
}

/** What differed by engine, silently or by a refusal of one, over the table of `sql-dialect`. */
const EXPRESSIONS: readonly string[] = [
  'cast(a as integer)',
  'try_cast(numtxt as integer)',
  "try_cast('1_000' as integer) + i32",
  "regexp_replace(s, 'a', 'x')",
  'substr(s, 0, 3)',
  'bit_count(i32)',
  "levenshtein(s, 'élan')",
  'round(a * 1.005, 2)',
  "date_diff('hour', t, t2)",
  "datediff('month', d, t2)",
  "d - date '2024-01-01'",
  'a // 2',
  'trunc(a)',
  "strpos(s, 'a')",
  "strftime(t, '%Y-%m %H')",
  'epoch_ms(t) // 86400000',
  'dayname(d)',
  'monthname(d)',
  "regexp_extract(s, '[a-z]+')",
  "regexp_full_match(s, '[a-z]+')",
  "s similar to '.*a'",
  'i32 >> 3',
  'xor(i32, 5)',
  's[1:3]',
  "hour(t at time zone 'Europe/Berlin')",
  'extract(isoyear from d)',
  'extract(decade from d)',
  'extract(century from d)',
  'extract(millisecond from t)',
  'extract(microsecond from t)',
  "'\u0024{env:HOME}'",
];

const answers: { columns: readonly string[]; score: number }[] = [];

/** The categories are the expression's values, so equal columns are equal values. */
function sameAnswers(outcome: Outcome): void {
  const { model, trials } = recordOf(outcome).search;
  answers.push({ columns: model!.columns, score: trials[0]!.meanScore.r2! });
  const text = model!.columns.filter((column) => column.startsWith(`f${EXPRESSIONS.length - 1}=`));
  assert.deepEqual(text, [`f${EXPRESSIONS.length - 1}=\${env:HOME}`]);
  const [first, other = first] = answers;
  assert.deepEqual(other!.columns, first!.columns);
  assert.ok(Math.abs(other!.score - first!.score) < 1e-9);
}

const onDialectTable = (features: readonly unknown[]) => (folder: JobFolder) => {
  fixture('sql-dialect')(folder);
  folder.job({ data: { path: 'data.parquet', target: 'y', features } });
};

/** Both engines say the same, and name the feature. */
function refuses(message: RegExp): (outcome: Outcome) => void {
  return ({ error }) => {
    assert.ok(error instanceof DataError, String(error));
    assert.match(error.message, message);
  };
}

export const SQL: readonly Case[] = [
  {
    name: 'a cast to integer rounds half to even',
    prepare: fixture('cast-integer'),
    check: scores(0.9704832645553593),
  },
  {
    name: 'regexp_replace replaces the first match',
    prepare: fixture('regexp-replace'),
    check: scores(0.9981507977717798),
  },
  {
    name: 'date_diff counts days',
    prepare: fixture('date-diff'),
    check: scores(0.9986917445577661),
  },
  {
    name: 'expressions that differed by engine have one value',
    prepare: onDialectTable(
      EXPRESSIONS.map((text, i) => ({ name: `f${i}`, sql: text, encode: 'onehot' })),
    ),
    check: sameAnswers,
  },
  ...['hash(s)', 'current_user()', 'version()', 'current_timezone()', 'now()'].map(
    (text): Case => ({
      name: `${text} is refused`,
      prepare: onDialectTable([{ name: 'q', sql: text, encode: 'onehot' }]),
      check: refuses(/^feature q: expression .* which is not in the table of functions/),
    }),
  ),
  {
    name: 'the square root of a negative number is refused',
    prepare: onDialectTable([{ name: 'q', sql: 'sqrt(z)', impute: 'zero' }]),
    check: refuses(/^feature q: expression .*sqrt/),
  },
];
