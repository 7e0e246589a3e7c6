/** DuckDB's types and what Spark holds for them; and Spark's names of types as DuckDB's. */
import { refuse } from './refusal.js';
import { type SqlType, typeName } from './tree.js';

const SPARK: Readonly<Record<string, string>> = {
  BOOLEAN: 'BOOLEAN',
  TINYINT: 'TINYINT',
  SMALLINT: 'SMALLINT',
  INTEGER: 'INT',
  BIGINT: 'BIGINT',
  // Spark has no unsigned types: each is held in the next larger one.
  UTINYINT: 'SMALLINT',
  USMALLINT: 'INT',
  UINTEGER: 'BIGINT',
  UBIGINT: 'DECIMAL(20,0)',
  HUGEINT: 'DECIMAL(38,0)',
  FLOAT: 'FLOAT',
  DOUBLE: 'DOUBLE',
  VARCHAR: 'STRING',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMP_NTZ',
  'TIMESTAMP WITH TIME ZONE': 'TIMESTAMP',
};

/** Bits of the types that whole numbers of expressions have. */
export const BITS: Readonly<Record<string, number>> = {
  TINYINT: 8,
  SMALLINT: 16,
  INTEGER: 32,
  BIGINT: 64,
};

/** Spark's name of the type that holds it. @throws SqlRefusal */
export function sparkType(type: SqlType): string {
  if (type.id === 'DECIMAL') return `DECIMAL(${type.width},${type.scale})`;
  const name = SPARK[type.id];
  if (name === undefined) throw refuse(`a value of type ${typeName(type)}`, TYPES_TAKEN);
  return name;
}

const TYPES_TAKEN =
  'the types are boolean, tinyint to bigint, decimal, float, double, varchar, date, timestamp and timestamptz';

export function isWholeType({ id }: SqlType): boolean {
  return /^(U?(TINY|SMALL|BIG)INT|U?INTEGER|HUGEINT)$/.test(id);
}

export function isFloating({ id }: SqlType): boolean {
  return id === 'FLOAT' || id === 'DOUBLE';
}

/** Decimal digits that hold every value of a whole type. */
export function digitsOf({ id, width }: SqlType): number {
  const digits: Readonly<Record<string, number>> = {
    TINYINT: 3,
    UTINYINT: 3,
    SMALLINT: 5,
    USMALLINT: 5,
    INTEGER: 10,
    UINTEGER: 10,
    BIGINT: 19,
    UBIGINT: 20,
    HUGEINT: 38,
  };
  return id === 'DECIMAL' ? width : (digits[id] ?? 38);
}

/** A column's engine type as the DuckDB type to bind; undefined if no expression takes it. */
export function columnSqlType(engineType: string): string | undefined {
  const name = engineType.toUpperCase();
  const decimal = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(name);
  if (decimal) return `DECIMAL(${decimal[1]},${decimal[2]})`;
  if (/^(STRING|VARCHAR|CHAR|UUID|JSON)\b/.test(name) || /^ENUM\(/.test(name)) return 'VARCHAR';
  if (/^TIMESTAMP_(S|MS|NS|NTZ)$/.test(name)) return 'TIMESTAMP';
  if (name === 'INT') return 'INTEGER';
  return name in SPARK ? name : undefined;
}

/** Whether an expression may cast to a type of this name. */
export function isTaken(id: string): boolean {
  const hasSpark = id in SPARK && !id.startsWith('U') && id !== 'HUGEINT';
  return hasSpark || id === 'DECIMAL' || id === 'INTERVAL';
}
