/**
 * The SQL that scans files, given what is known of their columns. Invariant: a scan fixes the columns' types instead of
 * letting DuckDB guess them again from another sample.
 */
import { quoteName, quoteText } from './database.js';

export interface LayoutColumn {
  readonly name: string;
  /** DuckDB's name of the type. */
  readonly type: string;
  /** The file holds no value in this column, so its type is only a guess (text formats). */
  readonly empty?: boolean;
}

export interface FileLayout {
  readonly columns: readonly LayoutColumn[];
  readonly rows: number;
  /** Table function; `path` may be a converted copy of the file. */
  readonly scan: 'read_parquet' | 'read_csv' | 'read_json';
  readonly path: string;
  /** Further arguments of the call, without the types. */
  readonly options: string;
}

/** A source ready to be scanned. */
export interface SourceLayout {
  readonly columns: readonly LayoutColumn[];
  readonly files: readonly FileLayout[];
}

/** `FROM` operand over all files of a source, in no promised order of rows. */
export function relation(layout: SourceLayout): string {
  const parts = scanGroups(layout).map((files) => groupCall(files, layout));
  if (parts.length === 1) return parts[0]!;
  const names = columnNames(layout);
  return `(${parts.map((part) => `SELECT ${names} FROM ${part}`).join(' UNION ALL ')})`;
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
    // DuckDB counts the files of each call from 0; the constant list turns that into places in the layout.
    const inOrder = numbers.every((number, i) => number === i);
    const number = inOrder ? 'file_index' : `list_extract([${numbers.join(', ')}], file_index + 1)`;
    return `SELECT ${names}, CAST(${number} AS BIGINT) AS ${file} FROM ${groupCall(files, layout)}`;
  });
  return `(${parts.join(' UNION ALL ')})`;
}

function columnNames(layout: SourceLayout): string {
  return layout.columns.map((column) => quoteName(column.name)).join(', ');
}

/** Files that one call scans. */
function scanGroups(layout: SourceLayout): FileLayout[][] {
  const groups = new Map<string, FileLayout[]>();
  for (const file of layout.files) {
    const key = scanCall(['?'], file, layout.columns);
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  return [...groups.values()];
}

function groupCall(files: readonly FileLayout[], layout: SourceLayout): string {
  return scanCall(
    files.map((file) => file.path),
    files[0]!,
    layout.columns,
  );
}

/** `FROM` operand over one file, rows in file order. */
export function fileRelation(file: FileLayout, columns: readonly LayoutColumn[]): string {
  return scanCall([file.path], file, columns);
}

function scanCall(
  paths: readonly string[],
  file: FileLayout,
  columns: readonly LayoutColumn[],
): string {
  const list = `[${paths.map((path) => quoteText(escapeGlob(path))).join(', ')}]`;
  if (file.scan === 'read_parquet') return `read_parquet(${list}${file.options})`;
  const types = new Map(columns.map((column) => [column.name, column.type]));
  const own = file.columns
    .map(({ name, type }) => `${quoteText(name)}: ${quoteText(types.get(name) ?? type)}`)
    .join(', ');
  return `${file.scan}(${list}${file.options}, columns = {${own}})`;
}

/** DuckDB takes every path as a glob; a bracket around a glob character makes it mean itself. */
export function escapeGlob(path: string): string {
  return path.replace(/[*?[]/g, (char) => `[${char}]`);
}
