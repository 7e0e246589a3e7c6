/**
 * What is known of each file: its columns, its rows, how it is scanned. Layouts are kept by path
 * and content digest, so a file is inspected once per engine. Invariant: a source's columns have
 * one type in all its files (`commonType`).
 */
import { DataError } from '../../../driver/errors.js';
import { verifyUnchanged } from '../../../driver/frame/identity.js';
import { fileKey, partitionColumns, withoutOwn } from '../../../driver/frame/partitions.js';
import { optionsKey, requireTarget } from '../../../driver/frame/read-options.js';
import { agreeOnText } from '../../../driver/frame/text-columns.js';
import type { FrameFile, FrameFormat, FrameSource } from '../../../driver/ir/frame-engine.js';
import type { ReadOptions } from '../../../driver/ir/read-options.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import { type Database, quoteName } from './database.js';
import { countKey, KnownLayouts, layoutKey } from './known-layouts.js';
import { inspectParquet } from './parquet.js';
import { PARTITION_TYPES } from './partition-scan.js';
import {
  type FileLayout,
  fileRelation,
  type LayoutColumn,
  type SourceLayout,
  textColumn,
} from './scan.js';
import { inspectCsv, inspectJsonLines } from './text-files.js';
import { columnType } from './types.js';

/** Layouts remembered, the latest: more than one data set has files. */
const MAX_FILES = 1 << 16;

export class Layouts {
  readonly #database: Database;
  readonly #files = new Map<string, Promise<FileLayout>>();
  readonly #known = new KnownLayouts();
  /** Rows of files without those that are left out. */
  readonly #rows = new Map<string, Promise<number>>();
  readonly #sources = new WeakMap<FrameSource, Promise<SourceLayout>>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** Layout of one file. @throws DataError naming the file */
  file(
    format: FrameFormat,
    file: Pick<FrameFile, 'path' | 'digest' | 'bytes'>,
    options?: ReadOptions,
  ): Promise<FileLayout> {
    const key = `${format}:${file.digest}:${file.path}:${optionsKey(options)}`;
    let layout = this.#files.get(key);
    if (layout === undefined) {
      layout = this.#look(format, file, options);
      layout.catch(() => this.#files.delete(key));
      this.#files.set(key, layout);
      forgetOldest(this.#files, MAX_FILES);
    }
    return layout;
  }

  /** Layout of a source. @throws DataError when files' columns differ or rows do not fit */
  source(source: FrameSource): Promise<SourceLayout> {
    let layout = this.#sources.get(source);
    if (layout === undefined) {
      layout = this.#combine(source);
      layout.catch(() => this.#sources.delete(source));
      this.#sources.set(source, layout);
    }
    return layout;
  }

  async #combine(source: FrameSource): Promise<SourceLayout> {
    const found = await this.agreed(source.format, source.files, source.options);
    for (const [i, file] of source.files.entries()) {
      const { rows } = found.layout.files[i]!;
      if (rows !== file.rows) {
        throw new DataError(
          `data: expected ${file.rows} rows in ${file.path}, got ${rows}; describe it again`,
          { path: file.path, expected: file.rows, got: rows },
        );
      }
    }
    return found.layout;
  }

  /** Files as one table: their shared columns, and their rows without those that are left out. */
  async agreed(
    format: FrameFormat,
    given: readonly Identity[],
    options: ReadOptions = {},
  ): Promise<FileTable> {
    const alone: FileLayout[] = [];
    for (const file of given) alone.push(await this.file(format, file, options));
    const paths = given.map((file) => file.path);
    const own = agreeOnColumns(alone, paths, format, options);
    const { files: identities, warnings } = withoutOwn(
      given,
      own.columns.map((column) => column.name),
    );
    const folders = partitionColumns(identities, PARTITION_TYPES).map(({ name, engineType }) => {
      return { name, type: engineType };
    });
    const table = {
      ...own,
      identities,
      columns: [...own.columns, ...folders],
      warnings: [...own.warnings, ...warnings],
    };
    const files = alone.map((layout, i) => {
      const { partition } = identities[i]!;
      return partition ? { ...layout, partition } : layout;
    });
    if (options.dropMissing === undefined) {
      return { ...table, files, layout: { columns: table.columns, files }, dropped: 0 };
    }
    const where = hasValue(options.dropMissing, table.columns);
    const way = JSON.stringify([format, optionsKey(options), table.columns]);
    const kept: FileLayout[] = [];
    for (const [i, file] of files.entries()) {
      const identity = identities[i]!;
      const key = countKey(fileKey(identity), way);
      const rows = await this.#rowsWhere(key, identity, file, { columns: table.columns, where });
      kept.push({ ...file, rows });
    }
    const sum = (some: readonly FileLayout[]): number => some.reduce((n, file) => n + file.rows, 0);
    const dropped = sum(files) - sum(kept);
    return { ...table, files, layout: { columns: table.columns, files: kept, where }, dropped };
  }

  #rowsWhere(
    key: string,
    file: Identity,
    as: FileLayout,
    layout: Omit<SourceLayout, 'files'>,
  ): Promise<number> {
    let rows = this.#rows.get(key);
    if (rows === undefined) {
      rows = this.#counted(key, file, () =>
        this.#database
          .query(`SELECT count(*) FROM ${fileRelation(as, layout)}`, `data: reading ${file.path}`)
          .then(([row]) => Number(row?.[0])),
      );
      rows.catch(() => this.#rows.delete(key));
      this.#rows.set(key, rows);
      forgetOldest(this.#rows, MAX_FILES);
    }
    return rows;
  }

  async #counted(key: string, file: Identity, count: () => Promise<number>): Promise<number> {
    const known = await this.#known.count(key);
    if (known !== undefined) return known;
    const rows = await count();
    await stayed(file);
    this.#known.noteCount(key, rows);
    return rows;
  }

  /** Keeps what was found out for other processes. Never throws. */
  keep(): Promise<void> {
    return this.#known.save();
  }

  async #look(
    format: FrameFormat,
    file: Pick<FrameFile, 'path' | 'digest' | 'bytes'>,
    options: ReadOptions | undefined,
  ): Promise<FileLayout> {
    requireText(format, options);
    const key = layoutKey(format, file.digest, options);
    const known = await this.#known.get(key, file.path);
    if (known !== undefined) return known;
    const layout = await this.#inspect(format, file, options);
    await stayed(file);
    this.#known.note(key, file.path, layout);
    return layout;
  }

  #inspect(
    format: FrameFormat,
    file: Pick<FrameFile, 'path' | 'digest' | 'bytes'>,
    options: ReadOptions | undefined,
  ): Promise<FileLayout> {
    switch (format) {
      case 'parquet':
        return inspectParquet(this.#database, file.path);
      case 'csv':
        return inspectCsv(this.#database, file, options);
      case 'jsonl':
        return inspectJsonLines(this.#database, file, options);
      case 'orc':
        throw new DataError(
          `data: expected parquet, csv, arrow or jsonl on this machine, got ORC (${file.path}); run with --engine spark`,
          { path: file.path },
        );
      case 'arrow':
        // Loaded when needed: it brings DuckDB's and Arrow's libraries with it.
        return import('./arrow.js').then(({ inspectArrow }) =>
          inspectArrow(this.#database, file.path, file.digest),
        );
    }
  }
}

type Identity = Pick<FrameFile, 'path' | 'digest' | 'bytes' | 'partition'>;

/** @throws DataError when the file is another than its digest says: then what was found is not kept */
function stayed({ path, digest, bytes }: Identity): Promise<void> {
  return verifyUnchanged({ files: [{ path, digest, bytes, rows: 0 }] });
}

/** Files as one table. */
export interface FileTable extends Table {
  /** As they are, rows that are left out among them. */
  readonly files: readonly FileLayout[];
  readonly layout: SourceLayout;
  /** Without the folders whose columns the files have themselves. */
  readonly identities: readonly Identity[];
  /** Rows left out. */
  readonly dropped: number;
}

interface Table {
  readonly columns: LayoutColumn[];
  /** Whether each file alone has these very columns. */
  readonly isUniform: boolean;
  readonly warnings: readonly string[];
}

/** The columns all files share, in the first file's order. @throws DataError, naming both */
function agreeOnColumns(
  files: readonly FileLayout[],
  paths: readonly string[],
  format: FrameFormat,
  { schema }: ReadOptions,
): Table {
  if (format === 'csv' || format === 'jsonl') {
    const cells = files.map((file, i) => ({
      path: paths[i]!,
      columns: [...file.text!.cells].map(([name, kinds]) => ({ name, cells: kinds })),
    }));
    const { columns, ...table } = agreeOnText(cells, format, schema);
    return { ...table, columns: columns.map(({ name, key, type }) => textColumn(name, key, type)) };
  }
  const [first] = files;
  const columns = first?.columns ?? [];
  for (let f = 1; f < files.length; f++) {
    const own = new Map(files[f]!.columns.map((column) => [column.name, column.type]));
    for (const { name, type } of columns) {
      const other = own.get(name) ?? 'no such column';
      own.delete(name);
      if (other !== type) throw differs(paths, f, name, type, other);
    }
    const [extra] = own;
    if (extra !== undefined) throw differs(paths, f, extra[0], 'no such column', extra[1]);
  }
  return { columns: [...columns], isUniform: true, warnings: [] };
}

/** @throws DataError when options say how text is read and the files are none */
function requireText(format: FrameFormat, { csv, schema }: ReadOptions = {}): void {
  if (csv !== undefined && format !== 'csv') {
    throw new DataError(`data.csv: expected CSV files, got ${format}; remove it`, { format });
  }
  if (schema === undefined || format === 'csv' || format === 'jsonl') return;
  throw new DataError(
    `data.schema: expected CSV or JSON lines, got ${format}, whose files say their types; remove it`,
    { format },
  );
}

/** Condition of rows with a value in a column. @throws DataError when there is no such column */
function hasValue(name: string, columns: readonly LayoutColumn[]): string {
  const names = columns.map((one) => one.name);
  requireTarget(name, names);
  const column = columns[names.indexOf(name)]!;
  const isFloat = column.type === 'DOUBLE' || column.type === 'FLOAT';
  const present = `${quoteName(name)} IS NOT NULL`;
  return isFloat ? `${present} AND NOT isnan(${quoteName(name)})` : present;
}

function differs(
  paths: readonly string[],
  file: number,
  column: string,
  expected: string,
  got: string,
): DataError {
  return new DataError(
    `data: expected the files to have the same columns, got ${expected} for "${column}" in ${paths[0]} and ${got} in ${paths[file]}; make them agree or give a glob that leaves one out`,
    { path: paths[file], column, expected, got },
  );
}

/** What `describe` says of a column. */
export function frameColumn(column: LayoutColumn): {
  readonly name: string;
  readonly type: ReturnType<typeof columnType>;
  readonly engineType: string;
} {
  return { name: column.name, type: columnType(column.type), engineType: column.type };
}
