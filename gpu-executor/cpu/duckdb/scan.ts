/**
 * The SQL that scans files, given what is known of their columns. Invariant: a scan fixes the columns' types instead of
 * letting DuckDB guess them again from another sample.
 */
import type { PartitionValue } from '../../../driver/frame/partitions.js';
import { quoteName, quoteText } from './database.js';
import { partitionItem } from './partition-scan.js';

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
  /** Columns that stand in the names of the file's folders. */
  readonly partition?: readonly PartitionValue[];
}

/** A source ready to be scanned. */
export interface SourceLayout {
  readonly columns: readonly LayoutColumn[];
  readonly files: readonly FileLayout[];
}

/** `FROM` operand over all files of a source, in no promised order of rows. */
export function relation(layout: SourceLayout): string {
  const groups = scanGroups(layout);
  const parts = groups.map((files) => groupCall(files, layout));
  const isPlain = layout.files.every((file) => file.partition === undefined);
  if (parts.length === 1 && isPlain) return parts[0]!;
  const selects = parts.map((part, i) => `SELECT ${columnItems(layout, groups[i]!)} FROM ${part}`);
  return `(${selects.join(' UNION ALL ')})`;
}

/** As `relation`, with a further column `file`: the position of the row's file in the layout. */
export function numberedRelation(layout: SourceLayout, file: string): string {
  const parts = scanGroups(layout).map((files) => {
    const numbers = files.map((one) => layout.files.indexOf(one));
    // DuckDB counts the files of each call from 0; the constant list turns that into places in the layout.
    const inOrder = numbers.every((number, i) => number === i);
    const number = inOrder
      ? 'file_index'
      : `list_extract([${numbers.join(', ')}], CAST(file_index AS BIGINT) + 1)`;
    return `SELECT ${columnItems(layout, files)}, CAST(${number} AS BIGINT) AS ${file} FROM ${groupCall(files, layout)}`;
  });
  return `(${parts.join(' UNION ALL ')})`;
}

/** Select items of the columns over the files of one call. */
function columnItems(layout: SourceLayout, files: readonly FileLayout[]): string {
  const partitions = files.map((file) => file.partition);
  const items = layout.columns.map(
    ({ name }) => partitionItem(name, partitions) ?? quoteName(name),
  );
  return items.join(', ');
}

/** Files that one call scans. */
function scanGroups(layout: SourceLayout): FileLayout[][] {
  // DuckDB tells the files of a call apart by a column of its own, which one of the data of that name hides.
  const isHidden = layout.columns.some(({ name }) => name.toLowerCase() === 'file_index');
  const groups = new Map<string, FileLayout[]>();
  for (const file of layout.files) {
    const key = scanCall([isHidden ? file.path : '?'], file, layout.columns);
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
  const call = scanCall([file.path], file, columns);
  if (file.partition === undefined) return call;
  const items = file.partition.map(({ name }) => partitionItem(name, [file.partition]));
  return `(SELECT *, ${items.join(', ')} FROM ${call})`;
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
