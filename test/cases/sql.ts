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

/** 200 rows of x and y, and a job for a target that is made of y. */
function withTarget(
  target: { readonly name: string; readonly sql: string },
  type: string,
  metric: string,
): (folder: JobFolder) => void {
  return (folder) => {
    const rows = Array.from({ length: 200 }, (_, i) => {
      return `${i % 37},${3 * (i % 37) + 40 * Math.sin(i * 1.7)},${target.name}`;
    });
    // Equal files of one session are read where the first of them lies, which is gone by then.
    folder.write('data.csv', `x,y,t\n${rows.join('\n')}\n`);
    folder.job({
      data: { path: 'data.csv', target, features: ['x'] },
      model: type === 'ridge' ? { type, lambda: 1 } : { type, C: 1, tol: 1e-10 },
      search: undefined,
      cv: { folds: 3 },
      scoring: [metric],
    });
  };
}

/** By scikit-learn on the same folds of a column with the expression's values. */
function sameScores(
  metric: string,
  expected: readonly number[],
  classes?: readonly boolean[],
): (outcome: Outcome) => void {
  return (outcome) => {
    const { trials, model } = recordOf(outcome).search;
    const got = trials[0]!.splitScores[metric]!;
    for (const [i, score] of expected.entries())
      assert.ok(Math.abs(got[i]! - score) < 1e-8, `${got[i]} for ${score}`);
    assert.deepEqual(model?.classes, classes);
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
  {
    name: 'a target is classes of an expression',
    prepare: withTarget({ name: 'high', sql: 'y > 60' }, 'logistic', 'neg_log_loss'),
    check: sameScores('neg_log_loss', [-0.3998377292295624, -0.5143437179252587, -0.5082654836568716], [false, true]), // biome-ignore format: a case a line
  },
  {
    name: 'a target is numbers of an expression',
    prepare: withTarget({ name: 'half', sql: 'y / 2' }, 'ridge', 'r2'),
    check: sameScores('r2', [0.49655755754110653, 0.5458061859743988, 0.5570432171771943]),
  },
  {
    name: 'a target of a wrong expression is refused by its name',
    prepare: withTarget({ name: 'half', sql: 'now() > t' }, 'ridge', 'r2'),
    check: refuses(/^target half: expression .* which is not in the table of functions/),
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
