/**
 * The SQL that scans files, given what is known of their columns. Invariant: a scan fixes the
 * columns' types instead of letting DuckDB guess them again from another sample, and leaves out the
 * rows the source leaves out.
 */

import { DataError } from '../../../driver/errors.js';
import { CELLS, type TextType } from '../../../driver/frame/text-columns.js';
import type { PartitionValue } from '../../../driver/ir/frame-engine.js';
import { quoteName, quoteText } from './database.js';
import { partitionItem } from './partition-scan.js';
import { DUCKDB_TYPES, type NumberStyle, textOfJson, valueOfText } from './text-cells.js';

export interface LayoutColumn {
  readonly name: string;
  /** DuckDB's name of the type. */
  readonly type: string;
  /** Text formats: the type as cells are read, and the name as it stands in the files. */
  readonly text?: { readonly type: TextType; readonly key: string };
}

export interface FileLayout {
  readonly columns: readonly LayoutColumn[];
  readonly rows: number;
  /** Table function; `path` may be a converted copy of the file. */
  readonly scan: 'read_parquet' | 'read_csv' | 'read_json';
  readonly path: string;
  /** Further arguments of the call, without the types. */
  readonly options: string;
  /** Text formats only. */
  readonly text?: TextLayout;
  /** Columns that stand in the names of the file's folders. */
  readonly partition?: readonly PartitionValue[];
}

/** What is known of the cells of a text file. */
export interface TextLayout {
  /** By name or key, in the file's order: the kinds of its cells (`CELLS`). */
  readonly cells: ReadonlyMap<string, number>;
  readonly style: NumberStyle;
  /** Columns whose type the job says, whatever their values are in JSON. */
  readonly stated: ReadonlySet<string>;
  /** Keys of JSON that differ in case only, which DuckDB can't take as columns. */
  readonly hasTwins?: boolean;
}

/** A source ready to be scanned. */
export interface SourceLayout {
  readonly columns: readonly LayoutColumn[];
  readonly files: readonly FileLayout[];
  /** Condition on rows; those that do not meet it are no rows of the source. */
  readonly where?: string;
}

/** `FROM` operand over all files of a source, in no promised order of rows. */
export function relation(layout: SourceLayout): string {
  const parts = scanGroups(layout).map((files) => groupCall(files, layout));
  if (parts.length === 1) return parts[0]!;
  const names = columnNames(layout);
  return `(${parts.map((part) => `SELECT ${names} FROM ${part}`).join(' UNION ALL ')})`;
}

/** As `relation`, rows in the order of the files and in theirs where the database keeps order. */
export function orderedRelation(layout: SourceLayout): string {
  if (scanGroups(layout).length === 1) return relation(layout);
  const names = columnNames(layout);
  const parts = layout.files.map((file) => `SELECT ${names} FROM ${fileRelation(file, layout)}`);
  return `(${parts.join(' UNION ALL ')})`;
}

/** As `relation`, with a further column `file`: the position of the row's file in the layout. */
export function numberedRelation(layout: SourceLayout, file: string): string {
  const names = columnNames(layout);
  // A column of that name hides DuckDB's own.
  const isHidden = layout.columns.some(({ name }) => name.toLowerCase() === 'file_index');
  if (isHidden) {
    const each = layout.files.map(
      (one, at) => `SELECT ${names}, ${at} AS ${file} FROM ${groupCall([one], layout)}`,
    );
    return `(${each.join(' UNION ALL ')})`;
  }
  const parts = scanGroups(layout).map((files) => {
    const numbers = files.map((one) => layout.files.indexOf(one));
    // DuckDB counts the files of each call from 0; the constant list turns that into places in the
    // layout.
    const inOrder = numbers.every((number, i) => number === i);
    const number = inOrder
      ? 'file_index'
      : `list_extract([${numbers.join(', ')}], CAST(file_index AS BIGINT) + 1)`;
    return `SELECT ${names}, CAST(${number} AS BIGINT) AS ${file} FROM ${groupCall(files, layout, ['file_index'])}`;
  });
  return `(${parts.join(' UNION ALL ')})`;
}

function columnNames(layout: SourceLayout): string {
  return layout.columns.map((column) => quoteName(column.name)).join(', ');
}

/** Files that one call scans. */
function scanGroups(layout: SourceLayout): FileLayout[][] {
  // DuckDB tells the files of a call apart by a column of its own, which one of the data of that
  // name hides.
  const isHidden = layout.columns.some(({ name }) => name.toLowerCase() === 'file_index');
  const groups = new Map<string, FileLayout[]>();
  for (const file of layout.files) {
    const key = ownCall([isHidden ? file.path : '?'], file, withoutFolders(file, layout), []);
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  return [...groups.values()];
}

function groupCall(
  files: readonly FileLayout[],
  layout: SourceLayout,
  also: readonly string[] = [],
): string {
  return scanCall(files, layout, also);
}

/** `FROM` operand over one file, rows in file order. */
export function fileRelation(file: FileLayout, layout: Omit<SourceLayout, 'files'>): string {
  return scanCall([file], layout, []);
}

/** The files' own columns and those of their folders. */
function scanCall(
  files: readonly FileLayout[],
  layout: Omit<SourceLayout, 'files'>,
  also: readonly string[],
): string {
  const file = files[0]!;
  const paths = files.map((one) => one.path);
  if (file.partition === undefined) return ownCall(paths, file, layout, also);
  const partitions = files.map((one) => one.partition);
  const items = layout.columns.map(({ name }) => {
    return partitionItem(name, partitions) ?? quoteName(name);
  });
  const index = files.length > 1 ? ['file_index'] : [];
  const inner = [...new Set([...also, ...index])];
  const call = ownCall(paths, file, withoutFolders(file, layout), inner);
  const rows = `(SELECT ${[...items, ...also].join(', ')} FROM ${call})`;
  return layout.where === undefined ? rows : `(SELECT * FROM ${rows} WHERE ${layout.where})`;
}

function withoutFolders(
  { partition = [] }: FileLayout,
  layout: Omit<SourceLayout, 'files'>,
): Omit<SourceLayout, 'files'> {
  if (partition.length === 0) return layout;
  const names = new Set(partition.map(({ name }) => name));
  return { columns: layout.columns.filter(({ name }) => !names.has(name)) };
}

function ownCall(
  paths: readonly string[],
  file: FileLayout,
  { columns, where }: Omit<SourceLayout, 'files'>,
  also: readonly string[],
): string {
  const list = pathList(paths);
  const chosen = where === undefined ? '' : ` WHERE ${where}`;
  if (file.scan === 'read_parquet') {
    const call = `read_parquet(${list}${file.options})`;
    return where === undefined
      ? call
      : `(SELECT ${['*', ...also].join(', ')} FROM ${call}${chosen})`;
  }
  const raw = columns.map((column) => rawColumn(file, column));
  const call =
    file.text?.hasTwins === true
      ? `read_ndjson_objects(${list})`
      : `${file.scan}(${list}${file.options}, columns = {${callColumns(file, raw)}})`;
  if (where === undefined && raw.every(({ sql }) => sql === undefined)) return call;
  const items = raw.map(
    ({ column, sql }) => `${sql ?? quoteName(column.name)} AS ${quoteName(column.name)}`,
  );
  const rows = `(SELECT ${[...items, ...also].join(', ')} FROM ${call})`;
  return where === undefined ? rows : `(SELECT * FROM ${rows}${chosen})`;
}

interface RawColumn {
  readonly column: LayoutColumn;
  /** Key in the file and the type it is scanned as; absent for a column the file has not. */
  readonly scanned?: { readonly key: string; readonly type: string };
  /** Makes the value; absent: what is scanned is the value. */
  readonly sql?: string;
}

function rawColumn(file: FileLayout, column: LayoutColumn): RawColumn {
  const { type, key } = column.text ?? { type: 'text', key: column.name };
  const own = file.text?.cells.get(key);
  const as = (scanned: string, sql?: string): RawColumn => ({
    column,
    scanned: { key, type: scanned },
    ...(sql !== undefined || key !== column.name ? { sql: sql ?? quoteName(key) } : {}),
  });
  const { style = {} } = file.text ?? {};
  if (file.scan === 'read_csv') {
    const isPlain = style.decimal === undefined && style.thousands === undefined;
    const isDirect = type === 'text' || (type !== 'timestamp' && (isPlain || !isNumber(type)));
    return isDirect ? as(column.type) : as('VARCHAR', valueOfText(quoteName(key), type, style));
  }
  if (own === undefined || own === 0) return { column, sql: `CAST(NULL AS ${column.type})` };
  const operand =
    file.text?.hasTwins === true
      ? `nullif(json->${quoteText(jsonPointer(key))}, CAST('null' AS JSON))`
      : quoteName(key);
  const strings = CELLS.text | CELLS.date | CELLS.timestamp;
  const isStrings = (own & ~strings) === 0;
  if (type === 'nested') return as('JSON', operand);
  if (type === 'text') {
    const isDirect = isStrings && file.text?.hasTwins !== true;
    return isDirect ? as('VARCHAR') : as('JSON', textOfJson(operand));
  }
  const isDirect = type === 'integer' || type === 'boolean' || type === 'date';
  const isStated = file.text?.stated.has(key) === true;
  if (isDirect && file.text?.hasTwins !== true && !isStated) return as(column.type);
  // As DOUBLE, DuckDB would make nothing of a number too large for one.
  const isBare = type === 'double' && !isStated;
  const text = isBare ? `CAST(${operand} AS VARCHAR)` : `(${operand}->>'$')`;
  return as('JSON', valueOfText(text, type));
}

/** Every column a CSV file has, whether it is wanted or not: they are told apart by their place. */
function callColumns(file: FileLayout, raw: readonly RawColumn[]): string {
  const types = new Map(
    raw.flatMap(({ scanned }) => (scanned ? [[scanned.key, scanned.type]] : [])),
  );
  const names = file.scan === 'read_csv' ? [...(file.text?.cells.keys() ?? [])] : [...types.keys()];
  // DuckDB wants one column at least.
  if (names.length === 0) names.push('column0');
  return names
    .map((name) => `${quoteText(name)}: ${quoteText(types.get(name) ?? 'VARCHAR')}`)
    .join(', ');
}

function isNumber(type: TextType): boolean {
  return type === 'integer' || type === 'double';
}

/** JSON pointer of a key. */
export function jsonPointer(key: string): string {
  return `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

export function pathList(paths: readonly string[]): string {
  return `[${paths.map((path) => quoteText(escapeGlob(path))).join(', ')}]`;
}

/**
 * DuckDB takes every path as a glob; a bracket around a glob character makes it mean itself, but
 * nothing does so for a backslash beside one.
 * @throws DataError for a path that has both
 */
export function escapeGlob(path: string): string {
  if (path.includes('\\') && /[*?[]/.test(path)) {
    throw new DataError(
      `data: expected a path without backslashes where it has *, ? or [, got ${path}; rename it, or run with --engine spark`,
      { path },
    );
  }
  return path.replace(/[*?[]/g, (char) => `[${char}]`);
}

/** A column of a text file as it is read. */
export function textColumn(name: string, key: string, type: TextType): LayoutColumn {
  return { name, type: DUCKDB_TYPES[type], text: { type, key } };
}
