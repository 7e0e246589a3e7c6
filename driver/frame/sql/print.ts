/**
 * Prints a tree as Spark SQL that means the same. Invariant: a printed operand is complete
 * (parenthesised or a call), and has the Spark type its DuckDB type stands for.
 */
import { castToSpark } from './casts.js';
import { textLiteral } from './literal.js';
import { refuse } from './refusal.js';
import { functionNamed } from './table.js';
import { type SqlCall, type SqlColumn, type SqlConstant, type SqlNode, typeName } from './tree.js';
import { isWholeType, sparkType } from './types.js';

/** Prints columns: their names and what they have to be cast to are the engine's. */
export type PrintColumn = (column: SqlColumn) => string;

export class Printer {
  readonly #column: PrintColumn;

  constructor(column: PrintColumn) {
    this.#column = column;
  }

  /** @throws SqlRefusal when the tree means nothing, or another thing, on Spark */
  print = (node: SqlNode): string => {
    switch (node.kind) {
      case 'constant':
        return constantToSpark(node);
      case 'column':
        return this.#column(node);
      case 'cast':
        return castToSpark(node, this.print);
      case 'call':
        return this.#call(node);
    }
  };

  #call(node: SqlCall): string {
    return functionNamed(node.name).spark(node, this.print);
  }
}

function constantToSpark({ type, value }: SqlConstant): string {
  if (value === null) return type.id === 'NULL' ? 'NULL' : `CAST(NULL AS ${sparkType(type)})`;
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (type.id === 'VARCHAR') return textLiteral(value);
  if (isWholeType(type)) return `CAST('${value}' AS ${sparkType(type)})`;
  if (type.id === 'DECIMAL') return `CAST('${value}E-${type.scale}' AS ${sparkType(type)})`;
  if (type.id === 'DOUBLE' || type.id === 'FLOAT') {
    const double = `CAST('${value.replace(/^(-?)inf.*$/i, '$1Infinity').replace(/^-?nan$/i, 'NaN')}' AS DOUBLE)`;
    return type.id === 'DOUBLE' ? double : `CAST(${double} AS FLOAT)`;
  }
  if (type.id === 'BOOLEAN') return /^(t|1)/i.test(value) ? 'true' : 'false';
  throw refuse(`a constant of type ${typeName(type)}`, 'write it as text with a cast');
}
