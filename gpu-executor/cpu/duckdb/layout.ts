/**
 * What is known of each file: its columns, its rows, how it is scanned. Layouts are kept by path and content digest, so
 * a file is inspected once per engine. Invariant: a source's columns have one type in all its files (`commonType`).
 */
import { DataError } from '../../../driver/errors.js';
import type { FrameFile, FrameFormat, FrameSource } from '../../../driver/frame/engine.js';
import { partitionColumns } from '../../../driver/frame/partitions.js';
import { optionsKey, type ReadOptions } from '../../../driver/frame/read-options.js';
import type { Database } from './database.js';
import { KnownLayouts } from './known-layouts.js';
import { inspectParquet, parquetLayout } from './parquet.js';
import { PARTITION_TYPES } from './partition-scan.js';
import type { FileLayout, LayoutColumn, SourceLayout } from './scan.js';
import { inspectCsv, inspectJsonLines } from './text-files.js';
import { columnType, commonType } from './types.js';

export class Layouts {
  readonly #database: Database;
  readonly #files = new Map<string, Promise<FileLayout>>();
  readonly #known = new KnownLayouts();
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
      layout = this.#inspect(format, file);
      layout.catch(() => this.#files.delete(key));
      this.#files.set(key, layout);
    }
    return layout;
  }

  /** Layout of a source. @throws DataError when the files' columns differ or rows are not those of the source */
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
    const files: FileLayout[] = [];
    for (const file of source.files) {
      const layout = await this.file(source.format, file, source.options);
      if (layout.rows !== file.rows) {
        throw new DataError(
          `data: expected ${file.rows} rows in ${file.path}, got ${layout.rows}; describe it again`,
          { path: file.path, expected: file.rows, got: layout.rows },
        );
      }
      files.push(file.partition ? { ...layout, partition: file.partition } : layout);
    }
    const paths = source.files.map((file) => file.path);
    const folders = partitionColumns(source.files, PARTITION_TYPES);
    const columns = agreeOnColumns(files, paths, source.format);
    return { columns: [...columns, ...folders.map(folderColumn)], files };
  }

  /**
   * Keeps the layouts of these files for other processes; the files are known to have stayed as their digests say meanwhile.
   * Never throws.
   */
  async keep(
    files: readonly Pick<FrameFile, 'digest'>[],
    layouts: readonly FileLayout[],
  ): Promise<void> {
    for (const [i, layout] of layouts.entries()) {
      if (layout.scan === 'read_parquet') await this.#known.note(files[i]!.digest, layout);
    }
    await this.#known.save();
  }

  async #parquet({ path, digest }: Pick<FrameFile, 'path' | 'digest'>): Promise<FileLayout> {
    const known = await this.#known.get(digest);
    if (known !== undefined) return parquetLayout(path, known.columns, known.rows);
    return inspectParquet(this.#database, path);
  }

  #inspect(
    format: FrameFormat,
    file: Pick<FrameFile, 'path' | 'digest' | 'bytes'>,
  ): Promise<FileLayout> {
    switch (format) {
      case 'parquet':
        return this.#parquet(file);
      case 'csv':
        return inspectCsv(this.#database, file.path);
      case 'jsonl':
        return inspectJsonLines(this.#database, file.path);
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

function folderColumn(column: {
  readonly name: string;
  readonly engineType: string;
}): LayoutColumn {
  return { name: column.name, type: column.engineType };
}

/** The columns all files share, in the first file's order. @throws DataError naming file and column */
export function agreeOnColumns(
  files: readonly FileLayout[],
  paths: readonly string[],
  format: FrameFormat,
): LayoutColumn[] {
  const textFormat = format === 'csv' || format === 'jsonl';
  const [first] = files;
  let columns = [...(first?.columns ?? [])];
  for (let f = 1; f < files.length; f++) {
    const own = new Map(files[f]!.columns.map((column) => [column.name, column]));
    columns = columns.map((column) => {
      const other = own.get(column.name);
      own.delete(column.name);
      if (other === undefined) throw differs(paths, f, column.name, column.type, 'no such column');
      if (textFormat && other.empty) return column;
      if (textFormat && column.empty) return other;
      const type = commonType(column.type, other.type, textFormat);
      if (type === undefined) throw differs(paths, f, column.name, column.type, other.type);
      return { name: column.name, type };
    });
    const [extra] = own.values();
    if (extra !== undefined) throw differs(paths, f, extra.name, 'no such column', extra.type);
  }
  return columns;
}

/** Whether a file has these columns with these very types, in any order. */
export function hasColumns(file: FileLayout, columns: readonly LayoutColumn[]): boolean {
  const own = new Map(file.columns.map((column) => [column.name, column.type]));
  return columns.every(({ name, type }) => own.get(name) === type);
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
