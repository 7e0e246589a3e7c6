/** Values of a column that is stored as places in a list, in each engine's SQL. */
import { valuesType } from '../../ir/table-aggregates.js';
import { duckDbLiteral, textLiteral } from './literal.js';

type Value = string | number | boolean;

/** @param cell the place, from 0, as a double */
export function duckDbValue(values: readonly Value[], cell: string): string {
  const items = itemsOf(values, duckDbLiteral);
  return `list_extract([${items.join(', ')}], CAST(${cell} AS BIGINT) + 1)`;
}

export function sparkValue(values: readonly Value[], cell: string): string {
  return `element_at(array(${itemsOf(values, textLiteral).join(', ')}), CAST(${cell} AS INT) + 1)`;
}

/** All of one type: texts where they differ in it. */
function itemsOf(values: readonly Value[], quoted: (text: string) => string): string[] {
  const type = valuesType(values);
  if (type === 'VARCHAR') return values.map((value) => quoted(String(value)));
  if (type === 'BOOLEAN') return values.map(String);
  return values.map((value) => `CAST('${value}' AS ${type})`);
}
