/**
 * DuckDB's types of feature expressions over the columns of a source. Invariant: an expression is
 * checked before DuckDB plans a statement with it, once for all files that have the same columns.
 */
import { DataError } from '../../../driver/errors.js';
import { columnSql } from '../../../driver/frame/feature-spec.js';
import type { FrameSource, SqlText } from '../../../driver/ir/frame-engine.js';
import { sqlText } from '../../../driver/operators/encode-block.js';
import type { ExpressionChecker } from './checker.js';
import { briefly, type Database } from './database.js';
import type { Layouts } from './layout.js';
import { relation, type SourceLayout } from './scan.js';

/** What profiles and reads have in common. */
export interface ProfileContext {
  readonly database: Database;
  readonly layouts: Layouts;
  readonly checker: ExpressionChecker;
}

/**
 * DuckDB's types of the expressions, which are checked first.
 * @throws DataError with `expression` for the first one that is not a scalar expression over the
 *   columns
 */
export async function expressionTypes(
  context: ProfileContext,
  source: FrameSource,
  expressions: readonly SqlText[],
): Promise<string[]> {
  const layout = await context.layouts.source(source);
  const distinct = [...new Map(expressions.map((one) => [textKey(one), sqlText(one)])).values()];
  if (distinct.length === 0) return [];
  // Files of one data set have the same columns, and reading each asks for the types of the same
  // expressions.
  const key = JSON.stringify([layout.columns, distinct]);
  const known = typesKnown.get(context.database) ?? new Map<string, Promise<string[]>>();
  typesKnown.set(context.database, known);
  let types = known.get(key);
  if (types === undefined) {
    if (known.size >= MAX_TYPES_KNOWN) known.clear();
    types = findTypes(context, layout, distinct);
    types.catch(() => known.delete(key));
    known.set(key, types);
  }
  const found = await types;
  const positions = new Map(distinct.map((one, i) => [textKey(one), i]));
  return expressions.map((one) => found[positions.get(textKey(one))!]!);
}

function textKey({ sql, dialect }: SqlText): string {
  return `${dialect ?? ''} ${sql}`;
}

const MAX_TYPES_KNOWN = 256;
const typesKnown = new WeakMap<Database, Map<string, Promise<string[]>>>();

async function findTypes(
  context: ProfileContext,
  layout: SourceLayout,
  distinct: readonly SqlText[],
): Promise<string[]> {
  // Columns as they are need no statement each: wide data have thousands.
  const known = new Map(layout.columns.map(({ name, type }) => [columnSql(name), type]));
  const others = distinct.filter(({ sql, dialect }) => dialect !== undefined || !known.has(sql));
  await context.checker.check(others, layout.columns);
  const sqls = others.map(({ sql }) => sql);
  const types = await describe(context.database, layout, sqls).catch(async (cause) => {
    for (const sql of sqls) {
      await describe(context.database, layout, [sql]).catch((own: Error) => {
        throw notUsable(sql, own);
      });
    }
    throw cause;
  });
  for (const [i, sql] of sqls.entries()) known.set(sql, types[i]!);
  return distinct.map(({ sql }) => known.get(sql)!);
}

async function describe(
  database: Database,
  layout: SourceLayout,
  expressions: readonly string[],
): Promise<string[]> {
  if (expressions.length === 0) return [];
  const items = expressions.map((sql, i) => `(${sql}\n) AS c${i}`).join(', ');
  const rows = await database.query(
    `DESCRIBE SELECT ${items} FROM ${relation(layout)}`,
    'expression',
  );
  return rows.map((row) => String(row[1]));
}

export function notUsable(sql: string, cause: Error): DataError {
  const inner = cause.cause instanceof Error ? cause.cause : cause;
  const message = briefly(inner.message);
  return new DataError(
    `expression ${JSON.stringify(sql)}: expected one DuckDB can compute from the row's columns, got ${message}`,
    { expression: sql },
    { cause },
  );
}
