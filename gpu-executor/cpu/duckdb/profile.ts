/**
 * Exact statistics of feature expressions over all rows: one statement for the counts, ranges and quantiles of all of
 * them, and one grouping for each vocabulary asked for (columnar formats read only that column for it; for text formats,
 * where every scan parses everything, all vocabularies come from one statement with grouping sets).
 */
import { DataError } from '../../../driver/errors.js';
import type { ColumnProfile, FrameSource, ProfileRequest } from '../../../driver/frame/engine.js';
import { briefly, type Database, type Row } from './database.js';
import type { ExpressionChecker } from './expression.js';
import type { Layouts } from './layout.js';
import { relation, type SourceLayout } from './scan.js';
import { columnType, textOf } from './types.js';

interface ProfileContext {
  readonly database: Database;
  readonly layouts: Layouts;
  readonly checker: ExpressionChecker;
}

interface Asked extends ProfileRequest {
  readonly engineType: string;
  readonly operand: string;
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
  const types = await expressionTypes(
    context,
    source,
    requests.map((request) => request.sql),
  );
  const asked = requests.map((request, i) => ({
    ...request,
    engineType: types[i]!,
    operand: `(${request.sql}\n)`,
  }));
  const from = relation(layout);
  const stats = await statistics(context.database, from, asked);
  const wanted = asked.map((_, i) => i).filter((i) => asked[i]!.top > 0);
  const vocabularies = new Map<number, Vocabulary>();
  if (layout.files[0]?.scan === 'read_parquet' || wanted.length < 2) {
    for (const i of wanted) {
      vocabularies.set(i, await vocabulary(context.database, from, asked[i]!));
    }
  } else {
    const all = await vocabulariesAtOnce(
      context.database,
      from,
      wanted.map((i) => asked[i]!),
    );
    for (const [at, i] of wanted.entries()) vocabularies.set(i, all[at]!);
  }
  return asked.map((request, i) => ({
    ...stats[i]!,
    ...(vocabularies.get(i) ?? { top: [], distinct: 0 }),
    type: columnType(request.engineType),
  }));
}

/**
 * DuckDB's types of the expressions, which are checked first.
 * @throws DataError with `expression` for the first one that is not a scalar expression over the columns
 */
export async function expressionTypes(
  context: ProfileContext,
  source: FrameSource,
  expressions: readonly string[],
): Promise<string[]> {
  const layout = await context.layouts.source(source);
  const names = layout.columns.map((column) => column.name);
  const distinct = [...new Set(expressions)];
  for (const sql of distinct) await context.checker.check(sql, names);
  if (distinct.length === 0) return [];
  const types = await describe(context.database, layout, distinct).catch(async (cause) => {
    for (const sql of distinct) {
      await describe(context.database, layout, [sql]).catch((own: Error) => {
        throw notUsable(sql, own);
      });
    }
    throw cause;
  });
  return expressions.map((sql) => types[distinct.indexOf(sql)]!);
}

async function describe(
  database: Database,
  layout: SourceLayout,
  expressions: readonly string[],
): Promise<string[]> {
  const items = expressions.map((sql, i) => `(${sql}\n) AS c${i}`).join(', ');
  const rows = await database.query(
    `DESCRIBE SELECT ${items} FROM ${relation(layout)}`,
    'expression',
  );
  return rows.map((row) => String(row[1]));
}

function notUsable(sql: string, cause: Error): DataError {
  const inner = cause.cause instanceof Error ? cause.cause : cause;
  const message = briefly(inner.message).replace(/^\w+ Error: /, '');
  return new DataError(
    `expression ${JSON.stringify(sql)}: expected one DuckDB can compute from the row's columns, got ${message}`,
    { expression: sql },
    { cause },
  );
}

async function statistics(
  database: Database,
  from: string,
  asked: readonly Asked[],
): Promise<Omit<ColumnProfile, 'top' | 'distinct' | 'type'>[]> {
  const numeric = asked.map(({ engineType }) => {
    const type = columnType(engineType);
    return type === 'number' || type === 'boolean';
  });
  const inner = asked.map((request, i) =>
    numeric[i]
      ? `CAST(${request.operand} AS DOUBLE) AS c${i}`
      : `${request.operand} IS NULL AS c${i}`,
  );
  const outer = asked.map((request, i) => {
    const c = `c${i}`;
    if (!numeric[i]) return `{m: count(*) FILTER (${c})}`;
    const quantiles = request.quantiles.length
      ? `quantile_cont(${c}, [${request.quantiles.join(', ')}]) FILTER (isfinite(${c}))`
      : 'NULL';
    return `{m: count(*) FILTER (${c} IS NULL OR isnan(${c})), i: count(*) FILTER (isinf(${c})), lo: min(${c}) FILTER (isfinite(${c})), hi: max(${c}) FILTER (isfinite(${c})), q: ${quantiles}}`;
  });
  const [row] = await run(
    database,
    `SELECT count(*), ${outer.map((item) => `to_json(${item})`).join(', ')} FROM (SELECT ${inner.join(', ')} FROM ${from})`,
    asked,
  );
  const rows = Number(row?.[0]);
  return asked.map((_, i) => {
    const cell = JSON.parse(String(row?.[i + 1])) as {
      readonly m: number;
      readonly i?: number;
      readonly lo?: number | null;
      readonly hi?: number | null;
      readonly q?: readonly number[] | null;
    };
    return {
      rows,
      missing: cell.m,
      infinite: cell.i ?? 0,
      min: cell.lo ?? null,
      max: cell.hi ?? null,
      quantiles: cell.q ?? [],
    };
  });
}

/** Value to group by: -0 and 0 are one, and so are all NaN. */
function groupKey(request: Asked): string {
  return /^(FLOAT|DOUBLE)/.test(request.engineType)
    ? `nullif(CAST(${request.operand} AS DOUBLE) + 0, CAST('NaN' AS DOUBLE))`
    : request.operand;
}

async function vocabulary(database: Database, from: string, request: Asked): Promise<Vocabulary> {
  const rows = await run(
    database,
    `WITH groups AS MATERIALIZED (SELECT ${groupKey(request)} AS k, count(*) AS n FROM ${from} GROUP BY k)
     SELECT ${textOf('k', request.engineType)} AS v, n, (SELECT count(k) FROM groups)
     FROM groups WHERE k IS NOT NULL ORDER BY n DESC, v LIMIT ${request.top}`,
    [request],
  );
  return {
    top: rows.map((row) => ({ value: String(row[0]), count: Number(row[1]) })),
    distinct: Number(rows[0]?.[2] ?? 0),
  };
}

async function vocabulariesAtOnce(
  database: Database,
  from: string,
  asked: readonly Asked[],
): Promise<Vocabulary[]> {
  const keys = asked.map((_, i) => `k${i}`);
  const inner = asked.map((request, i) => `${groupKey(request)} AS k${i}`).join(', ');
  const sets = keys.map((key) => `(${key})`).join(', ');
  // GROUPING() of one key is 0 in its own set alone.
  const which = `CASE ${keys.map((key, i) => `WHEN grouping(${key}) = 0 THEN ${i}`).join(' ')} END`;
  const text = `CASE w ${asked.map((request, i) => `WHEN ${i} THEN ${textOf(`k${i}`, request.engineType)}`).join(' ')} END`;
  const limit = `CASE w ${asked.map((request, i) => `WHEN ${i} THEN ${request.top}`).join(' ')} END`;
  const rows = await run(
    database,
    `WITH groups AS MATERIALIZED (SELECT ${keys.join(', ')}, ${which} AS w, count(*) AS n
       FROM (SELECT ${inner} FROM ${from}) GROUP BY GROUPING SETS (${sets})),
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
async function run(database: Database, sql: string, asked: readonly Asked[]): Promise<Row[]> {
  database.scans++;
  try {
    return await database.query(sql, 'data: computing the features');
  } catch (cause) {
    if (!(cause instanceof DataError) || asked.length !== 1) throw cause;
    throw notUsable(asked[0]!.sql, cause);
  }
}
