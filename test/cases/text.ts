/**
 * Text as people have it: CSV and JSON lines whose cells change kind late, differ by file, or are
 * written another way. Right values are scikit-learn's on what pandas reads, over the same
 * contiguous folds.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { DataError } from '../../driver/errors.js';
import { duckdb, type JobFolder } from '../support/job-folder.js';
import { type Case, fixture, type Outcome, recordOf } from './case.js';

/** Fractions that look drawn, the same everywhere. */
function draws(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 16807) % 2147483647;
    return state / 2147483647;
  };
}

/** Rows whose `a` is whole until row 21,000 and has quarters afterwards; y = 3a + noise. */
function lateRows(line: (a: number, y: string) => string): string {
  const next = draws(1);
  let text = '';
  for (let i = 0; i < 30_000; i++) {
    const whole = Math.floor(next() * 4);
    const quarter = Math.floor(next() * 4) / 4;
    const a = i < 21_000 ? whole : whole + quarter;
    text += line(a, (3 * a + 0.2 * (next() - 0.5)).toFixed(6));
  }
  return text;
}

function scores(expected: number, of: (outcome: Outcome) => void = () => undefined) {
  return (outcome: Outcome): void => {
    const { trials, bestIndex } = recordOf(outcome).search;
    const got = trials[bestIndex ?? 0]!.meanScore.r2!;
    assert.ok(Math.abs(got - expected) < 1e-8, `expected r2 ${expected}, got ${got}`);
    of(outcome);
  };
}

function refuses(pattern: RegExp) {
  return ({ error }: Outcome): void => {
    assert.ok(error instanceof DataError, String(error?.stack));
    assert.match(error.message, pattern);
  };
}

/** 40 rows of y = 2a + b + noise: `a` with quarters, b one of -1, 0 and 1. */
function smallRows(): { a: number; b: number; y: number }[] {
  const next = draws(7);
  return Array.from({ length: 40 }, () => {
    const [a, b] = [Math.floor(next() * 40) / 4, Math.floor(next() * 3) - 1];
    return { a, b, y: Number((2 * a + b + next() - 0.5).toFixed(4)) };
  });
}

const job = (data: Readonly<Record<string, unknown>>) => ({
  data: { path: 'data.csv', target: 'y', ...data },
  search: { grid: { lambda: [0.1] } },
  scoring: 'r2',
});

function small(
  name: string,
  write: (rows: ReturnType<typeof smallRows>) => string | Uint8Array,
  data: Readonly<Record<string, unknown>>,
  check: Case['check'],
): Case {
  return {
    name,
    prepare: (folder: JobFolder) => {
      folder.write('data.csv', write(smallRows()));
      folder.job(job(data));
    },
    check,
  };
}

const plain = (rows: ReturnType<typeof smallRows>): string =>
  `a,b,y\n${rows.map(({ a, b, y }) => `${a},${b},${y}\n`).join('')}`;
const comma = (value: number): string => String(value).replace('.', ',');
/** Of the small rows, and of them without every fifth. */
const SMALL_R2 = 0.9971208304752698;
const KEPT_R2 = 0.9968980269886305;

export const TEXT: readonly Case[] = [
  {
    name: 'csv-late-decimals',
    prepare: (folder) => {
      fixture('csv-late-decimals')(folder);
      folder.write('data.csv', `a,y\n${lateRows((a, y) => `${a},${y}\n`)}`);
    },
    check: scores(0.9997134790424577),
  },
  {
    name: 'jsonl-late-decimals',
    prepare: (folder) => {
      fixture('jsonl-late-decimals')(folder);
      folder.write(
        'data.jsonl',
        lateRows((a, y) => `{"a":${a},"y":${y}}\n`),
      );
    },
    check: scores(0.9997132529114121),
  },
  { name: 'csv-two-delims', prepare: fixture('csv-two-delims'), check: scores(0.9833376044197015) },
  {
    name: 'drift-csv-int-dec',
    prepare: fixture('drift-csv-int-dec'),
    check: scores(0.9170826085241861, ({ warnings }) => {
      assert.ok(warnings.some((one) => /"x0" integer in .* double in .* read as double/.test(one)));
    }),
  },
  {
    name: 'files of one folder in another order, one of them with a header only',
    prepare: (folder) => {
      mkdirSync(folder.file('data'));
      const rows = smallRows();
      folder.write('data/1.csv', plain(rows.slice(0, 15)));
      folder.write('data/2.csv', 'a;y;b\n');
      const turned = rows.slice(15).map(({ a, b, y }) => `${y};${b};${a}\n`);
      folder.write('data/3.csv', `y;b;a\n${turned.join('')}`);
      folder.job(job({ path: 'data' }));
    },
    check: scores(SMALL_R2),
  },
  small(
    'windows-1252 with a decimal comma, a comment and lines to skip',
    (rows) =>
      Buffer.from(
        `R\xe9sum\xe9 "1\n\na;b;y\n# \x80\n${rows.map(({ a, b, y }) => `${comma(a)};${b};${comma(y)}\n`).join('')}`,
        'latin1',
      ),
    { csv: { encoding: 'windows-1252', decimal: ',', comment: '#', skip: 1 } },
    scores(SMALL_R2),
  ),
  small(
    'UTF-16 with tabs',
    (rows) => Buffer.from(`\ufeff${plain(rows).replaceAll(',', '\t')}`, 'utf16le'),
    { csv: { encoding: 'utf-16' } },
    scores(SMALL_R2),
  ),
  small(
    'rows without a target are dropped when the job says so',
    (rows) =>
      `a,b,y\n${rows.map(({ a, b, y }, i) => `${a},${b},${i % 5 === 0 ? 'NA' : y}\n`).join('')}`,
    { csv: { null: 'pandas' }, drop_missing_target: true },
    scores(KEPT_R2, ({ warnings }) => {
      assert.ok(warnings.includes('8 of 40 rows have no y and are left out'), String(warnings));
    }),
  ),
  {
    name: 'rows without a target of several Parquet files are dropped',
    prepare: async (folder) => {
      mkdirSync(folder.file('data'));
      const values = smallRows().map(
        ({ a, b, y }, i) =>
          `(${i}, ${a}, ${b}, ${i % 5 > 0 ? `${y}::DOUBLE` : i % 2 ? 'NULL' : "'NaN'::DOUBLE"})`,
      );
      const rows = `(SELECT * FROM (VALUES ${values.join(', ')}) t(i, a, b, y))`;
      for (const [name, where] of Object.entries({ 1: 'i < 17', 2: 'i >= 17' })) {
        await duckdb(
          `COPY (SELECT a::DOUBLE AS a, b::INTEGER AS b, y::DOUBLE AS y FROM ${rows} WHERE ${where} ORDER BY i) TO '${folder.file(`data/${name}.parquet`)}' (FORMAT parquet)`,
        );
      }
      folder.job(job({ path: 'data', drop_missing_target: true }));
    },
    check: scores(KEPT_R2, (outcome) => assert.equal(recordOf(outcome).rowsDropped, 8)),
  },
  small(
    'a value that is not of the type the job states',
    (rows) => plain(rows).replace(/\n[^\n]*\n$/, '\nten,0,1\n'),
    { schema: { a: 'double' } },
    refuses(/data.schema: expected double values in "a" of .*data.csv, got "ten" in row 40/),
  ),
  small(
    'bytes that are not UTF-8',
    () => Buffer.from('a,b,y\n1,\xe9,1\n', 'latin1'),
    {},
    refuses(/expected utf-8 text in .*data.csv, .*data.csv.encoding/),
  ),
  small(
    'names that are there twice or differ in case',
    (rows) => plain(rows).replace('a,b,y', 'a,A,y'),
    { features: ['a', 'A_1'] },
    scores(SMALL_R2, (outcome) => {
      assert.match(JSON.stringify(recordOf(outcome).search), /"A_1"/);
    }),
  ),
];
