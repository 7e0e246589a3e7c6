/** A row of the table of functions, and what rows are made of. */
import { refuse } from './refusal.js';
import { type SqlCall, type SqlNode, typeName } from './tree.js';

export type Print = (node: SqlNode) => string;

export interface SqlFunction {
  /** Lower case, as DuckDB's binder names it; an operator by its sign. */
  readonly names: readonly string[];
  /** How it is written. */
  readonly usage: string;
  /** What may not be expected of it, for the page of functions. */
  readonly means: string;
  /** Expressions over `test/support/sql-table.ts`, each of which both engines are tried on. */
  readonly examples: readonly string[];
  /** The call as Spark SQL of the same meaning. @throws SqlRefusal */
  readonly spark: (call: SqlCall, print: Print) => string;
}

/** A call of Spark that means the same: `template` has its arguments as `$1`, `$2`, .. */
export function as(template: string): SqlFunction['spark'] {
  return (call, print) => castFill(template, call.args.map(print));
}

/** As `as`, the value being cast to the type that DuckDB gives the call. */
export function castFill(template: string, args: readonly string[]): string {
  return template.replace(/\$(\d)/g, (_, n) => args[Number(n) - 1] ?? 'NULL');
}

/** The text of a constant argument. @throws SqlRefusal when it is not constant */
export function constantText(call: SqlCall, at: number, what: string): string {
  const node = call.args[at];
  if (node?.kind !== 'constant' || typeof node.value !== 'string') {
    throw refuse(`${call.name}() with ${what} that is not constant`, `write ${what} as text`);
  }
  return node.value;
}

/** The value of a constant whole argument, through the casts the binder puts around it. */
export function constantWhole(call: SqlCall, at: number, what: string): number {
  let node = call.args[at];
  while (node?.kind === 'cast') node = node.child;
  const value = node?.kind === 'constant' ? Number(node.value) : Number.NaN;
  if (!Number.isInteger(value)) {
    throw refuse(`${call.name}() with ${what} that is not constant`, `write ${what} as a number`);
  }
  return value;
}

/** @throws SqlRefusal unless every argument's type passes */
export function requireTypes(call: SqlCall, test: (id: string) => boolean, expected: string): void {
  const bad = call.args.find((arg) => !test(arg.type.id));
  if (bad !== undefined) {
    throw refuse(`${call.name} of ${typeName(bad.type)}`, `it takes ${expected}`);
  }
}
