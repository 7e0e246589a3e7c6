/**
 * What columns of CSV and JSON lines are. Such files have no types, so an engine says which kinds
 * of cells each column of each file holds, over every row, and the types follow here: the same for
 * every engine. Invariant: no cell means less in the type chosen than in its text, unless the job's
 * schema says so.
 */
import { DataError } from '../errors.js';
import type { ColumnType } from '../ir/frame-engine.js';
import type { SchemaType } from '../ir/read-options.js';
import { closestText } from '../support/closest.js';

/**
 * Part of what text data are: what was computed under another grammar is another value. 1 was given
 * with the first that looks at every cell.
 */
export const TEXT_GRAMMAR = 1;

/** Kinds of cells, as bits of a set. The grammar of each is in docs/job-file.md. */
export const CELLS = {
  integer: 1,
  /** Whole numbers that 64 bits do not hold. */
  huge: 2,
  decimal: 4,
  boolean: 8,
  date: 16,
  timestamp: 32,
  text: 64,
  /** Objects and lists of JSON. */
  nested: 128,
} as const;

export type TextType = SchemaType | 'nested';

/** What a value of the job's schema may look like. */
export const ALLOWED: Readonly<Record<SchemaType, number>> = {
  integer: CELLS.integer,
  double: CELLS.integer | CELLS.huge | CELLS.decimal,
  boolean: CELLS.boolean,
  date: CELLS.date,
  timestamp: CELLS.date | CELLS.timestamp,
  text: 127,
};

/** Columns of one file; `cells` is the set of kinds of its cells, 0 when every one is missing. */
export interface TextFile {
  readonly path: string;
  readonly columns: readonly { readonly name: string; readonly cells: number }[];
}

export interface TextColumn {
  readonly name: string;
  /** As it stands in the files: another than the name where keys of JSON differ in case only. */
  readonly key: string;
  readonly type: TextType;
}

export interface TextTable {
  readonly columns: readonly TextColumn[];
  /** Whether each file alone has these very types. */
  readonly isUniform: boolean;
  readonly warnings: readonly string[];
}

/** The narrowest type all these cells have. */
export function typeOfCells(cells: number): TextType {
  const within = (kinds: number): boolean => (cells & ~kinds) === 0;
  if (cells & CELLS.nested) return 'nested';
  if (cells === 0) return 'text';
  if (within(CELLS.integer)) return 'integer';
  // Whole numbers of which some are too long keep their digits: they are more likely names than
  // amounts.
  if (within(ALLOWED.double)) return cells & CELLS.decimal ? 'double' : 'text';
  if (within(CELLS.boolean)) return 'boolean';
  if (within(CELLS.date)) return 'date';
  return within(ALLOWED.timestamp) ? 'timestamp' : 'text';
}

/** Class of a type, as features see it. */
export function classOfText(type: TextType): ColumnType {
  if (type === 'integer' || type === 'double') return 'number';
  if (type === 'date' || type === 'timestamp') return 'timestamp';
  return type === 'nested' ? 'other' : type;
}

/**
 * The columns of all files, in the order of the first.
 * @param format in CSV every file has every column; in JSON lines a key that is absent is a missing
 *   value
 * @throws DataError naming two files and the column whose types do not meet, or a column of the
 *   schema that is not there
 */
export function agreeOnText(
  files: readonly TextFile[],
  format: string,
  schema: Readonly<Record<string, SchemaType>> = {},
): TextTable {
  const keys = columnKeys(files, format);
  const names = distinctNames(keys);
  checkSchema(schema, names, files[0]?.path ?? '');
  const cells = files.map((file) => new Map(file.columns.map((one) => [one.name, one.cells])));
  const warnings: string[] = [];
  let isUniform = true;
  const columns = names.map((name, i) => {
    const key = keys[i]!;
    const stated = Object.hasOwn(schema, name) ? schema[name] : undefined;
    if (stated !== undefined) return { name, key, type: stated };
    const own = cells.map((file) => file.get(key) ?? 0);
    const all = own.reduce((sum, one) => sum | one, 0);
    const type = typeOfCells(all);
    if (own.some((one) => typeOfCells(one) !== type)) {
      isUniform = false;
      const said = widened(files, own, name, type);
      if (said !== undefined) warnings.push(said);
    }
    if (type === 'text' && all !== 0 && (all & ~(CELLS.integer | CELLS.huge)) === 0) {
      warnings.push(
        `column "${name}" holds whole numbers beyond 64 bits, so it is read as text; data.schema: {${name}: double} reads it as numbers, rounded`,
      );
    }
    return { name, key, type };
  });
  return { columns, isUniform, warnings };
}

function columnKeys(files: readonly TextFile[], format: string): string[] {
  const [first] = files;
  const names = first?.columns.map((column) => column.name) ?? [];
  const known = new Set(names);
  for (const file of files.slice(1)) {
    const own = new Set(file.columns.map((column) => column.name));
    const extra = [...own].filter((name) => !known.has(name));
    const absent = names.filter((name) => !own.has(name));
    if (format === 'jsonl') {
      for (const name of extra) names.push(name);
      for (const name of extra) known.add(name);
    } else if (extra.length > 0 || absent.length > 0) {
      const what =
        absent[0] === undefined
          ? `no column "${extra[0]}" in ${first!.path} and one in ${file.path}`
          : `a column "${absent[0]}" in ${first!.path} and none in ${file.path}`;
      throw new DataError(
        `data: expected the files to have the same columns, got ${what}; make them agree or give a glob that leaves one out`,
        { path: file.path, column: absent[0] ?? extra[0] },
      );
    }
  }
  return names;
}

function checkSchema(
  schema: Readonly<Record<string, SchemaType>>,
  names: readonly string[],
  path: string,
): void {
  for (const name of Object.keys(schema)) {
    if (names.includes(name)) continue;
    throw new DataError(
      `data.schema: expected columns of ${path}, got "${name}"; the columns are ${closestText(name, names)}`,
      { path, column: name },
    );
  }
}

/**
 * What to say of a column whose files differ; nothing where one merely has no value.
 * @throws DataError when it would be text although one file has numbers, or nested
 */
function widened(
  files: readonly TextFile[],
  cells: readonly number[],
  name: string,
  type: TextType,
): string | undefined {
  const firstOf = new Map<TextType, string>();
  for (const [i, one] of cells.entries()) {
    const own = typeOfCells(one);
    if (one !== 0 && !firstOf.has(own)) firstOf.set(own, files[i]!.path);
  }
  if (firstOf.size < 2) return undefined;
  const [[a, inA], [b, inB]] = [...firstOf] as [[TextType, string], [TextType, string]];
  const found = `"${name}" ${a} in ${inA} and ${b} in ${inB}`;
  const isText = type === 'text' || type === 'nested';
  const narrow = cells.find((_, i) => {
    const own = typeOfCells(cells[i]!);
    return own === 'integer' || own === 'double' || own === 'boolean' || own === 'nested';
  });
  const isWhole = cells.every((one) => (one & ~(CELLS.integer | CELLS.huge)) === 0);
  if (isText && narrow !== undefined && !isWhole) {
    throw new DataError(
      `data: expected the files to have columns of the same types, got ${found}; make them agree, give a glob that leaves one out, or say data.schema: {${name}: text}`,
      { paths: [inA, inB], column: name },
    );
  }
  return `the files have ${found}; all are read as ${type}`;
}

/** Names of columns as a CSV file gives them: trimmed, and all distinct when case is ignored. */
export function headerNames(cells: readonly string[]): string[] {
  return distinctNames(cells.map((cell) => cell.replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '')));
}

/** Empty names are `column0`, .. by place; one already there, in any case, gets `_1`, `_2`, .. */
export function distinctNames(given: readonly string[]): string[] {
  const all = new Set(given.map((name) => name.toLowerCase()));
  const taken = new Set<string>();
  return given.map((own, i) => {
    const base = own === '' ? `column${i}` : own;
    let name = base;
    const isTaken = (): boolean =>
      taken.has(name.toLowerCase()) || (name !== own && all.has(name.toLowerCase()));
    for (let k = 1; isTaken(); k++) name = `${base}_${k}`;
    taken.add(name.toLowerCase());
    return name;
  });
}
