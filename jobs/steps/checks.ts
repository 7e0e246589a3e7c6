/**
 * Checks of data: what each asks of the rows, and what it says of the answer. Invariants: bounds,
 * values and conditions are decided by the engine on the rows themselves, so that no rounding of a
 * printed number counts; all checks of columns and rows are answered by one `FrameEngine.profile`,
 * with one meaning on every engine.
 */
import { columnSql } from '../../driver/frame/feature-spec.js';
import { duckDbLiteral } from '../../driver/frame/sql/literal.js';
import type { ColumnProfile, FrameColumn, ProfileRequest } from '../../driver/ir/frame-engine.js';
import { closestText } from '../../driver/support/closest.js';

export const CHECK_TYPES = ['number', 'integer', 'text', 'boolean', 'date', 'timestamp'] as const;
type CheckType = (typeof CHECK_TYPES)[number];

export interface ColumnChecks {
  readonly type?: CheckType | undefined;
  readonly min?: number | string | undefined;
  readonly max?: number | string | undefined;
  /** Greatest share of rows without a value, 0..1. */
  readonly missing?: number | undefined;
  readonly unique?: boolean | undefined;
  readonly values?: readonly (number | string | boolean)[] | undefined;
}

/** What a check found. */
export interface CheckFinding {
  /** What was looked at: `rows`, a column, a condition. */
  readonly subject: string;
  readonly expected: string;
  readonly got: string;
  readonly holds: boolean;
}

/** A check: what it has to know of the rows, and its judgement. */
export interface Check {
  readonly requests: readonly ProfileRequest[];
  judge(profiles: readonly ColumnProfile[]): CheckFinding;
}

const SHOWN_VALUES = 3;

export function rowsFinding(
  rows: number,
  { min, max }: { readonly min?: number | undefined; readonly max?: number | undefined },
): CheckFinding {
  const bounds = [
    ...(min === undefined ? [] : [`at least ${min}`]),
    ...(max === undefined ? [] : [`at most ${max}`]),
  ];
  const holds = rows >= (min ?? 0) && rows <= (max ?? Number.POSITIVE_INFINITY);
  return { subject: 'rows', expected: bounds.join(', '), got: String(rows), holds };
}

/** The checks of one column. */
export function columnChecks(
  name: string,
  asked: ColumnChecks,
  columns: readonly FrameColumn[],
): Check[] {
  const column = columns.find((one) => one.name === name);
  if (column === undefined) {
    const near = closestText(
      name,
      columns.map((one) => one.name),
    );
    return [
      known({
        subject: name,
        expected: 'a column of the data',
        got: `none; there are ${near}`,
        holds: false,
      }),
    ];
  }
  const { type, min, max, missing, unique, values } = asked;
  return [
    ...(type === undefined ? [] : [typeCheck(column, type)]),
    ...(missing === undefined ? [] : [missingCheck(column, missing)]),
    ...(min === undefined ? [] : [boundCheck(column, 'min', min)]),
    ...(max === undefined ? [] : [boundCheck(column, 'max', max)]),
    ...(values === undefined ? [] : [valuesCheck(column, values)]),
    ...(unique === true ? [uniqueCheck(column)] : []),
  ];
}

/** A condition that must hold in every row; where it is NULL nothing is known against it. */
export function conditionCheck(condition: string): Check {
  return {
    // Alone it must be an expression too: `1) OR (1=1` would be one only inside the other.
    requests: [request(condition), request(failingRows(condition))],
    judge: ([own, profile]) => {
      const failing = present(profile!);
      if (own!.type !== 'boolean' && present(own!) > 0) {
        const got = `values of the type ${own!.type}`;
        return { subject: condition, expected: 'true or false in every row', got, holds: false };
      }
      return {
        subject: condition,
        expected: 'true in every row',
        got: failing === 0 ? 'true' : `false in ${rowsText(failing, profile!.rows)}`,
        holds: failing === 0,
      };
    },
  };
}

/** 1 in rows where a condition is false, else NULL. */
export function failingRows(condition: string): string {
  return `CASE WHEN NOT (${condition}\n) THEN 1 END`;
}

function typeCheck(column: FrameColumn, type: CheckType): Check {
  const { engineType } = column;
  const isInteger = /^(u?(tiny|small|big|huge)?int(eger)?)$/i.test(engineType);
  const isDate = /^date$/i.test(engineType);
  const holds =
    type === 'integer'
      ? isInteger
      : type === 'date' || (type === 'timestamp' && isDate)
        ? type === 'date' && isDate
        : column.type === type;
  const got = isInteger ? 'integer' : isDate ? 'date' : column.type;
  const own = got === engineType.toLowerCase() ? got : `${got} (${engineType})`;
  return known({ subject: column.name, expected: `the type ${type}`, got: own, holds });
}

function missingCheck(column: FrameColumn, most: number): Check {
  return {
    requests: [request(columnSql(column.name))],
    judge: ([profile]) => {
      const { missing, rows } = profile!;
      return {
        subject: column.name,
        expected: most === 0 ? 'a value in every row' : `at most ${percent(most)} missing`,
        got: missing === 0 ? 'none missing' : `missing in ${rowsText(missing, rows)}`,
        holds: missing <= most * rows,
      };
    },
  };
}

function boundCheck(column: FrameColumn, which: 'min' | 'max', bound: number | string): Check {
  const own = columnSql(column.name);
  const isTime = column.type === 'timestamp';
  const word = which === 'min' ? 'at least' : 'at most';
  const expected = `${word} ${bound}`;
  const fits = isTime
    ? typeof bound === 'string'
    : column.type === 'number' && typeof bound === 'number';
  if (!fits) {
    const wanted = typeof bound === 'number' ? 'a column of numbers' : 'a column of dates or times';
    return known({
      subject: column.name,
      expected: `${expected}: ${wanted}`,
      got: `${column.type} (${column.engineType})`,
      holds: false,
    });
  }
  const literal = isTime ? `CAST(${duckDbLiteral(String(bound))} AS TIMESTAMP)` : String(bound);
  const cell = isTime ? `CAST(${own} AS TIMESTAMP)` : own;
  const beyond = `CASE WHEN ${cell} ${which === 'min' ? '<' : '>'} ${literal} THEN 1 END`;
  return {
    requests: [request(beyond), request(isTime ? `epoch(${cell})` : own)],
    judge: ([outside, all]) => {
      const failing = present(outside!);
      const extreme = extremeOf(all!, which, isTime);
      return {
        subject: column.name,
        expected,
        got:
          failing === 0 ? extreme : `${extreme}; beyond it in ${rowsText(failing, outside!.rows)}`,
        holds: failing === 0,
      };
    },
  };
}

function extremeOf(profile: ColumnProfile, which: 'min' | 'max', isTime: boolean): string {
  const value = profile[which];
  if (value === null) return profile.infinite > 0 ? 'infinity' : 'no values';
  if (!isTime) return profile.infinite > 0 ? `${value} and infinity` : String(value);
  return new Date(value * 1000)
    .toISOString()
    .replace(/T00:00:00\.000Z$/, '')
    .replace(/\.000Z$/, 'Z');
}

function valuesCheck(column: FrameColumn, values: readonly (number | string | boolean)[]): Check {
  const own = columnSql(column.name);
  const list = values.slice(0, SHOWN_VALUES).join(', ');
  const more = values.length - SHOWN_VALUES;
  const expected = `one of ${list}${more > 0 ? ` and ${more} more` : ''}`;
  const kind = { number: 'number', text: 'string', boolean: 'boolean' }[column.type as string];
  const other = values.find((value) => typeof value !== kind);
  if (other !== undefined) {
    const got = `${column.type} (${column.engineType}), and ${JSON.stringify(other)} among the values`;
    return known({
      subject: column.name,
      expected: `${expected}: values of its type`,
      got,
      holds: false,
    });
  }
  const literals = values.map((value) =>
    typeof value === 'string' ? duckDbLiteral(value) : String(value),
  );
  const strange = `CASE WHEN NOT (${own} IN (${literals.join(', ')})) THEN ${own} END`;
  return {
    requests: [{ ...request(strange), top: SHOWN_VALUES }],
    judge: ([profile]) => {
      const failing = present(profile!);
      const shown = profile!.top.map(({ value }) => value).join(', ');
      const rest = profile!.distinct > SHOWN_VALUES ? ', ..' : '';
      return {
        subject: column.name,
        expected,
        got:
          failing === 0 ? 'only these' : `${shown}${rest} in ${rowsText(failing, profile!.rows)}`,
        holds: failing === 0,
      };
    },
  };
}

function uniqueCheck(column: FrameColumn): Check {
  return {
    requests: [{ ...request(columnSql(column.name)), top: 1 }],
    judge: ([profile]) => {
      const { distinct, top } = profile!;
      const extra = present(profile!) - distinct;
      const [most] = top;
      return {
        subject: column.name,
        expected: 'each value once',
        got:
          extra === 0 ? 'each once' : `${most?.value} ${most?.count} times; ${extra} rows too many`,
        holds: extra === 0,
      };
    },
  };
}

/** A check that needs no row. */
function known(finding: CheckFinding): Check {
  return { requests: [], judge: () => finding };
}

function request(sql: string): ProfileRequest {
  return { sql, top: 0, quantiles: [] };
}

function present({ rows, missing }: ColumnProfile): number {
  return rows - missing;
}

function rowsText(some: number, all: number): string {
  return `${some} of ${all} rows (${percent(some / all)})`;
}

function percent(share: number): string {
  const text = `${Number((100 * share).toPrecision(3))}%`;
  return text === '100%' && share < 1 ? 'over 99.9%' : text;
}
