/**
 * Every function, operator and condition an expression may have, the meanings of which were
 * compared: what is not here is refused by every engine. One row a function;
 * `docs/sql-functions.md` is printed from it and a test runs its examples.
 */
import { closestNames } from '../../support/closest.js';
import { aggregates } from './functions/aggregates.js';
import { dates } from './functions/dates.js';
import { logic } from './functions/logic.js';
import { numbers } from './functions/numbers.js';
import { textFunctions } from './functions/texts.js';
import { refuse } from './refusal.js';
import type { SqlFunction } from './row.js';

export interface SqlChapter {
  readonly title: string;
  readonly rows: readonly SqlFunction[];
}

export const TABLE: readonly SqlChapter[] = [
  { title: 'Comparisons and conditions', rows: logic },
  { title: 'Numbers', rows: numbers },
  { title: 'Texts', rows: textFunctions },
  { title: 'Dates and times', rows: dates },
];

/** Of metrics, over the rows of a test set; no feature may use them. */
export const AGGREGATES: SqlChapter = { title: 'Aggregates of metrics', rows: aggregates };

/** Macros of DuckDB that it writes out by functions of the table. */
const MACROS =
  'nullif ifnull if split_part fdiv fmod days_in_month date_add round_even roundbankers';

const rows = new Map(
  TABLE.flatMap((chapter) => chapter.rows).flatMap((row) => row.names.map((name) => [name, row])),
);
const written: ReadonlySet<string> = new Set([...rows.keys(), ...MACROS.split(' ')]);

const aggregateRows = new Map(
  aggregates.flatMap((row) => row.names.map((name) => [name, row] as const)),
);

export const AGGREGATE_NAMES: readonly string[] = [...aggregateRows.keys()].filter(
  (name) => name !== 'count_star',
);

/** Whether a function may be written in a metric as an aggregate. */
export function isAggregate(name: string): boolean {
  return aggregateRows.has(name);
}

/** Whether a function may be written in an expression. */
export function isWritten(name: string): boolean {
  return written.has(name);
}

/** @throws SqlRefusal naming the nearest functions of the table */
export function functionNamed(name: string): SqlFunction {
  const row = rows.get(name) ?? aggregateRows.get(name);
  if (row === undefined) throw notInTable(name);
  return row;
}

/** Names that are no functions to be called. */
const WORDS = /^(and|or|not|in|between|case|\w*like_escape|add|subtract|multiply)$/;

export function notInTable(name: string, others: Iterable<string> = []): Error {
  const names = [...others, ...written].filter((one) => /^[a-z]\w+$/.test(one) && !WORDS.test(one));
  return refuse(
    `${name}(), which is not in the table of functions (docs/sql-functions.md)`,
    `the nearest are ${closestNames(name, names, 3).join(', ')}`,
  );
}
