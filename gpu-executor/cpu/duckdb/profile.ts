/**
 * Exact statistics of feature expressions over all rows: one statement for the counts and ranges of
 * all of them, a sort for each one's quantiles, and a grouping for each vocabulary asked for.
 * Columnar formats read only that column for a grouping; for text formats, where every scan parses
 * everything, all vocabularies come from one statement with grouping sets.
 */
import { DataError } from '../../../driver/errors.js';
import type {
  ColumnProfile,
  FrameSource,
  ProfileRequest,
} from '../../../driver/ir/frame-engine.js';
import { inGroups } from './column-groups.js';
import type { Database, Row } from './database.js';
import { expressionTypes, notUsable, type ProfileContext } from './expression-types.js';
import { exactQuantiles } from './quantiles.js';
import { relation } from './scan.js';
import { columnType, textOf } from './types.js';

/** How DuckDB's messages begin about a value an expression can't take, rather than a file. */
const VALUE_ERROR =
  /^(Conversion|Out of Range|Invalid Input|Mismatch Type) Error: (?!Failed to read|Perfect hash)/i;

/** A request with what DuckDB knows of its expression. */
export interface TypedRequest extends ProfileRequest {
  readonly engineType: string;
  readonly operand: string;
}

/** What is scanned. */
export interface ProfileScan {
  readonly database: Database;
  /** `FROM` operand. */
  readonly from: string;
  /** The files, for messages. */
  readonly files: string;
  /** Rows the files declare. */
  readonly rows: number;
  /** A statement reads the columns it names only. */
  readonly isColumnar: boolean;
}

interface Vocabulary {
  readonly top: ColumnProfile['top'];
  readonly distinct: number;
}

/** See `FrameEngine.profile`. */
export async function profileSource(
  context: ProfileContext,
  source: FrameSource,
  requests: readonly ProfileRequest[],
): Promise<ColumnProfile[]> {
  if (requests.length === 0) return [];
  const layout = await context.layouts.source(source);
  const asked = await askedOf(context, source, requests);
  const scan = scanOf(context, source, relation(layout));
  const columnar = scan.isColumnar;
  const grouped = asked.filter((request) => request.top > 0);
  const profiles = new Map<TypedRequest, Partial<ColumnProfile>>();
  if (columnar) {
    for (const request of grouped) profiles.set(request, await vocabulary(scan, request));
  } else if (grouped.length > 0) {
    const all = await vocabulariesAtOnce(scan, grouped);
    for (const [at, request] of grouped.entries()) profiles.set(request, all[at]!);
  }
  const rest = columnar
    ? asked.filter((request) => !profiles.has(request) || request.quantiles.length > 0)
    : asked;
  const stats = await statistics(scan, rest);
  for (const [at, request] of rest.entries()) {
    profiles.set(request, { ...profiles.get(request), ...stats[at]! });
  }
  return asked.map((request) => completed(request, profiles.get(request) ?? {}, scan.rows));
}

/** The requests with types of their expressions, checked first. @throws as `expressionTypes` */
export async function askedOf(
  context: ProfileContext,
  source: FrameSource,
  requests: readonly ProfileRequest[],
): Promise<TypedRequest[]> {
  const types = await expressionTypes(context, source, requests);
  return requests.map((request, i) => {
    return { ...request, engineType: types[i]!, operand: `(${request.sql}\n)` };
  });
}

/** A scan of a source by this `FROM` operand. */
export function scanOf(
  { database }: ProfileContext,
  source: FrameSource,
  from: string,
): ProfileScan {
  const isColumnar = source.format !== 'csv' && source.format !== 'jsonl';
  const rows = source.files.reduce((sum, file) => sum + file.rows, 0);
  const more = source.files.length > 1 ? ` and ${source.files.length - 1} more` : '';
  return { database, from, files: `${source.files[0]?.path}${more}`, rows, isColumnar };
}

/** A profile of what is known, and defaults for what was not asked. */
export function completed(
  request: TypedRequest,
  known: Partial<ColumnProfile>,
  rows: number,
): ColumnProfile {
  return {
    missing: 0,
    infinite: 0,
    min: null,
    max: null,
    top: [],
    distinct: 0,
    quantiles: [],
    ...known,
    rows,
    type: columnType(request.engineType),
  };
}

export type ValueCounts = Pick<ColumnProfile, 'missing' | 'infinite' | 'min' | 'max'>;
type Statistics = ValueCounts & Pick<ColumnProfile, 'quantiles' | 'fromStatistics'>;

/**
 * Counts and ranges in one statement, quantiles by a sort each. NaN and infinities are the largest
 * values in DuckDB's order, so plain minima and maxima tell whether a column has any; only then is
 * it scanned again with filters, which cost five times more.
 */
async function statistics(
  scan: ProfileScan,
  asked: readonly TypedRequest[],
): Promise<Statistics[]> {
  const known = await fromStatistics(scan, asked);
  const rest = asked.filter((request) => !known.has(request));
  const plain = await inGroups(rest, scan, (some) => aggregate(scan, some, 'all rows'));
  for (const [i, request] of rest.entries()) known.set(request, plain[i]!);
  const doubtful = asked.filter((request) => isDoubtful(known.get(request)!));
  const filtered = await inGroups(doubtful, scan, (some) => aggregate(scan, some, 'finite rows'));
  for (const [i, request] of doubtful.entries()) known.set(request, filtered[i]!);
  const out: Statistics[] = [];
  for (const request of asked) {
    const { missing, infinite, min, max, ...spared } = known.get(request)!;
    const { operand, quantiles } = request;
    const finite = min === null ? 0 : scan.rows - missing - infinite;
    const { database, from, files } = scan;
    const values = quantiles.length
      ? await exactQuantiles(database, from, operand, finite, quantiles, `data: reading ${files}`)
      : [];
    out.push({ missing, infinite, min, max, quantiles: values, ...spared });
  }
  return out;
}

/**
 * Counts and ranges that DuckDB takes from the files' own statistics, of those that may be; without
 * columns that lack values or have infinite ones, which are to be counted.
 */
async function fromStatistics(
  scan: ProfileScan,
  asked: readonly TypedRequest[],
): Promise<Map<TypedRequest, Omit<Statistics, 'quantiles'>>> {
  const known = new Map<TypedRequest, Omit<Statistics, 'quantiles'>>();
  const some = asked.filter((request) => request.fromStatistics && scan.isColumnar);
  if (some.length === 0) return known;
  const plan = await scan.database.query(
    `EXPLAIN ${aggregateSql(scan, some, 'statistics')}`,
    `data: reading ${scan.files}`,
  );
  // An answer that is known already is the only leaf of the plan.
  if (!/COLUMN_DATA_SCAN|DUMMY_SCAN/.test(String(plan[0]?.[1]))) return known;
  const found = await inGroups(some, scan, (group) => aggregate(scan, group, 'statistics'));
  for (const [i, counts] of found.entries()) {
    if (counts.missing > 0 || isDoubtful(counts)) continue;
    known.set(some[i]!, { ...counts, fromStatistics: true });
  }
  return known;
}

/** Whether plain minima and maxima met a NaN or an infinity. */
export function isDoubtful({ min, max }: ValueCounts): boolean {
  return (max !== null && !Number.isFinite(max)) || (min !== null && !Number.isFinite(min));
}

/** What is aggregated: finite values of every row, all of them, or what statistics say. */
type Aggregated = 'finite rows' | 'all rows' | 'statistics';

function aggregateSql(scan: ProfileScan, asked: readonly TypedRequest[], over: Aggregated): string {
  const { inner, outer } = aggregateItems(asked, over === 'finite rows');
  const real = asked.findIndex(isFloat);
  // Statistics in files, which DuckDB answers from where they suffice, know no NaN.
  const all = over === 'all rows' && real >= 0 ? [...outer, `bool_or(isnan(c${real}))`] : outer;
  return `SELECT count(*), ${all.join(', ')} FROM (SELECT ${inner.join(', ')} FROM ${scan.from})`;
}

async function aggregate(
  scan: ProfileScan,
  asked: readonly TypedRequest[],
  over: Aggregated,
): Promise<ValueCounts[]> {
  if (asked.length === 0) return [];
  const sql = aggregateSql(scan, asked, over);
  const [row] = await runScan(scan, sql, asked).catch(async (cause) => {
    // One expression's values broke the statement for all; alone, it says so itself.
    if (cause instanceof DataError && asked.length > 1) {
      for (const request of asked) await aggregate(scan, [request], over);
    }
    throw cause;
  });
  const rows = Number(row?.[0]);
  if (rows !== scan.rows) throw otherRows(scan.rows, rows);
  return countsOf(asked, row!, rows);
}

/** Select items: the expressions, and four cells for each (present, infinite, least, greatest). */
export function aggregateItems(
  asked: readonly TypedRequest[],
  filtered: boolean,
): { readonly inner: readonly string[]; readonly outer: readonly string[] } {
  const inner = asked.map((request, i) => {
    const plain = isNumeric(request) && columnType(request.engineType) === 'number';
    const value = plain ? request.operand : `CAST(${request.operand} AS INTEGER)`;
    return `${isNumeric(request) ? value : `nullif(${request.operand} IS NULL, true)`} AS c${i}`;
  });
  const outer = asked.map((request, i) => {
    const c = `c${i}`;
    if (!isNumeric(request)) return `count(${c}), 0, NULL, NULL`;
    const finite = filtered ? ` FILTER (isfinite(CAST(${c} AS DOUBLE)))` : '';
    const [present, infinite] = filtered
      ? [`count(*) FILTER (NOT isnan(${c}))`, `count(*) FILTER (isinf(${c}))`]
      : [`count(${c})`, '0'];
    return `${present}, ${infinite}, CAST(min(${c})${finite} AS DOUBLE), CAST(max(${c})${finite} AS DOUBLE)`;
  });
  return { inner, outer };
}

/** The cells of `aggregateItems`, which follow one other cell. */
export function countsOf(asked: readonly TypedRequest[], row: Row, rows: number): ValueCounts[] {
  return asked.map((_, i) => {
    const [present, infinite, min, max] = row.slice(1 + 4 * i, 5 + 4 * i);
    return {
      missing: rows - Number(present),
      infinite: Number(infinite),
      min: unsigned(min),
      max: unsigned(max),
    };
  });
}

/** A cell as a number, without the sign of zero. */
function unsigned(cell: unknown): number | null {
  return cell === null || cell === undefined ? null : Number(cell) + 0;
}

/** The files hold other rows than they declare. */
export function otherRows(expected: number, got: number): DataError {
  return new DataError(
    `data: expected ${expected} rows, as the files declare, got ${got}; a file is damaged, write it again`,
    { expected, got },
  );
}

function isNumeric({ engineType }: TypedRequest): boolean {
  const type = columnType(engineType);
  return type === 'number' || type === 'boolean';
}

function isFloat({ engineType }: TypedRequest): boolean {
  return engineType === 'FLOAT' || engineType === 'DOUBLE';
}

/** Value to group by: -0 and 0 are one, and so are all NaN. */
export function groupKey(request: TypedRequest): string {
  return isFloat(request)
    ? `nullif(CAST(${request.operand} AS DOUBLE) + 0, CAST('NaN' AS DOUBLE))`
    : request.operand;
}

/** The vocabulary of one expression and, from the same groups, its counts and range. */
async function vocabulary(
  scan: ProfileScan,
  request: TypedRequest,
): Promise<Partial<ColumnProfile>> {
  const float = isFloat(request);
  const range = (name: string): string =>
    isNumeric(request)
      ? `CAST(${name}(${columnType(request.engineType) === 'boolean' ? 'CAST(k AS INTEGER)' : 'k'})${float ? ' FILTER (isfinite(k))' : ''} AS DOUBLE)`
      : 'NULL';
  const rows = await runScan(
    scan,
    `WITH groups AS MATERIALIZED (SELECT k, count(*) AS n FROM (SELECT ${groupKey(request)} AS k FROM ${scan.from}) GROUP BY k),
     totals AS (SELECT count(k) AS kinds, coalesce(sum(n) FILTER (k IS NULL), 0) AS missing,
       ${float ? 'coalesce(sum(n) FILTER (isinf(k)), 0)' : '0'} AS infinite, ${range('min')} AS low, ${range('max')} AS high FROM groups),
     listed AS (SELECT ${textOf('k', request.engineType)} AS v, n FROM groups WHERE k IS NOT NULL ORDER BY n DESC, v LIMIT ${request.top})
     SELECT v, n, kinds, missing, infinite, low, high FROM totals LEFT JOIN listed ON true ORDER BY n DESC, v`,
    [request],
  );
  const [, , kinds, missing, infinite, min, max] = rows[0]!;
  return {
    top: rows
      .filter((row) => row[0] !== null)
      .map((row) => ({ value: String(row[0]), count: Number(row[1]) })),
    distinct: Number(kinds),
    missing: Number(missing),
    infinite: Number(infinite),
    min: unsigned(min),
    max: unsigned(max),
  };
}

async function vocabulariesAtOnce(
  scan: ProfileScan,
  asked: readonly TypedRequest[],
): Promise<Vocabulary[]> {
  const keys = asked.map((_, i) => `k${i}`);
  const inner = asked.map((request, i) => `${groupKey(request)} AS k${i}`).join(', ');
  const sets = keys.map((key) => `(${key})`).join(', ');
  // GROUPING() of one key is 0 in its own set alone.
  const which = `CASE ${keys.map((key, i) => `WHEN grouping(${key}) = 0 THEN ${i}`).join(' ')} END`;
  const text = `CASE w ${asked.map((request, i) => `WHEN ${i} THEN ${textOf(`k${i}`, request.engineType)}`).join(' ')} END`;
  const limit = `CASE w ${asked.map((request, i) => `WHEN ${i} THEN ${request.top}`).join(' ')} END`;
  const rows = await runScan(
    scan,
    `WITH groups AS MATERIALIZED (SELECT ${keys.join(', ')}, ${which} AS w, count(*) AS n
       FROM (SELECT ${inner} FROM ${scan.from}) GROUP BY GROUPING SETS (${sets})),
     named AS (SELECT w, n, ${text} AS v FROM groups)
     SELECT w, v, n, count(*) OVER (PARTITION BY w) FROM named WHERE v IS NOT NULL
     QUALIFY row_number() OVER (PARTITION BY w ORDER BY n DESC, v) <= ${limit} ORDER BY w, n DESC, v`,
    asked,
  );
  return asked.map((_, i) => {
    const own = rows.filter((row) => Number(row[0]) === i);
    return {
      top: own.map((row) => ({ value: String(row[1]), count: Number(row[2]) })),
      distinct: Number(own[0]?.[3] ?? 0),
    };
  });
}

/** Runs a scan; an error in one expression's values names that expression. */
export async function runScan(
  scan: ProfileScan,
  sql: string,
  asked: readonly TypedRequest[],
): Promise<Row[]> {
  scan.database.scans++;
  try {
    return await scan.database.query(sql, `data: reading ${scan.files}`);
  } catch (cause) {
    const text =
      cause instanceof DataError && cause.cause instanceof Error ? cause.cause.message : '';
    if (asked.length !== 1 || !VALUE_ERROR.test(text)) throw cause;
    throw notUsable(asked[0]!.sql, cause as DataError);
  }
}
