/**
 * Looks at a Parquet file through its footer alone, and refuses one whose footer can't be true
 * before any page is decoded: row counts that disagree, column chunks outside the file, or more
 * rows than the bytes there could hold.
 */
import { open } from 'node:fs/promises';
import { DataError } from '../../../driver/errors.js';
import { type Database, quoteText, toDataError } from './database.js';
import { escapeGlob, type FileLayout, type LayoutColumn } from './scan.js';

/**
 * Rows a byte of column data may stand for. Run-length encoding has no bound of its own, but
 * writers cut pages and row groups, which keeps real files far below: DuckDB writes at most 122,880
 * rows of a constant column in some 50 bytes, pyarrow 1,048,576 rows in some 100.
 */
const MAX_ROWS_PER_BYTE = 65_536;
const MAGIC = 'PAR1';
/** A file's columns are those in it, whatever the folders above it are called. */
const OPTIONS = ', hive_partitioning = false';

/** @throws DataError naming the file, what was expected and what came */
export async function inspectParquet(database: Database, path: string): Promise<FileLayout> {
  await checkEnds(path);
  const literal = quoteText(escapeGlob(path));
  const what = `data: reading the footer of ${path}`;
  const [file] = await database.query(
    `SELECT num_rows, num_row_groups, file_size_bytes FROM parquet_file_metadata(${literal})`,
    what,
  );
  const rows = Number(file?.[0]);
  const bytes = Number(file?.[2]);
  if (!Number.isSafeInteger(rows) || rows < 0) {
    throw lying(path, 'a row count from 0 to 2^53', `${file?.[0]}`);
  }
  const groups = await database.query(
    `SELECT row_group_id, any_value(row_group_num_rows), min(num_values), sum(total_compressed_size),
       max(coalesce(dictionary_page_offset, data_page_offset)), min(total_compressed_size),
       min(total_uncompressed_size), max(num_values)
     FROM parquet_metadata(${literal}) GROUP BY row_group_id ORDER BY row_group_id`,
    what,
  );
  const [nested] = await database.query(
    `SELECT count(*) FROM parquet_schema(${literal}) WHERE repetition_type = 'REPEATED'`,
    what,
  );
  checkRowGroups(path, rows, bytes, groups, Number(nested?.[0]) === 0);
  const columns = await database.query(
    `DESCRIBE SELECT * FROM read_parquet([${literal}]${OPTIONS})`,
    what,
  );
  if (columns.length === 0) throw lying(path, 'at least one column', 'none');
  const named = columns.map(([name, type]) => ({ name: String(name), type: String(type) }));
  return parquetLayout(path, named, rows);
}

/** How a Parquet file with these columns is scanned. */
export function parquetLayout(
  path: string,
  columns: readonly LayoutColumn[],
  rows: number,
): FileLayout {
  return { columns, rows, scan: 'read_parquet', path, options: OPTIONS };
}

function checkRowGroups(
  path: string,
  rows: number,
  bytes: number,
  groups: readonly (readonly unknown[])[],
  flat: boolean,
): void {
  let inGroups = 0;
  for (const group of groups) {
    const [id, ...numbers] = group;
    const [own, values, data, offset, smallest, smallestRaw, most] = numbers.map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    if (!(own >= 0)) throw lying(path, `a row count in row group ${id}`, `${own}`);
    // Without lists, a column has one value (or null) for each row.
    if (values < own || (flat && most > own)) {
      const got = values < own ? values : most;
      throw lying(path, `${own} values a column in row group ${id}`, `${got}`);
    }
    if (smallest < 0 || smallestRaw < 0 || data > bytes || offset > bytes || offset < 0) {
      throw lying(
        path,
        `column data within its ${bytes} bytes in row group ${id}`,
        `${data} bytes at ${offset}`,
      );
    }
    if (own > MAX_ROWS_PER_BYTE * data) {
      throw lying(
        path,
        `at most ${MAX_ROWS_PER_BYTE} rows a byte of data`,
        `${own} rows in ${data} bytes in row group ${id}`,
      );
    }
    inGroups += own;
  }
  if (inGroups !== rows) {
    throw lying(path, `${rows} rows, as the footer says,`, `${inGroups} in its row groups`);
  }
}

/** Checks the magic bytes at both ends, so that the two commonest faults get their own words. */
async function checkEnds(path: string): Promise<void> {
  let head = '';
  let tail = '';
  let size = 0;
  try {
    const file = await open(path, 'r');
    try {
      ({ size } = await file.stat());
      const buffer = Buffer.alloc(8);
      await file.read(buffer, 0, 4, 0);
      await file.read(buffer, 4, 4, Math.max(0, size - 4));
      head = buffer.toString('latin1', 0, 4);
      tail = buffer.toString('latin1', 4, 8);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw toDataError(cause, `data: opening ${path}`);
  }
  if (size < 12 || head !== MAGIC) {
    throw new DataError(
      `data: expected a Parquet file at ${path}, got ${size} bytes that do not begin with ${MAGIC}; say data.format if it is another format`,
      { path, bytes: size },
    );
  }
  if (tail !== MAGIC) {
    throw new DataError(
      `data: expected ${path} to end with a Parquet footer, got none: the file is truncated or still being written (${size} bytes)`,
      { path, bytes: size },
    );
  }
}

function lying(path: string, expected: string, got: string): DataError {
  return new DataError(
    `data: expected ${expected} in the Parquet file ${path}, got ${got}; the file is damaged, write it again`,
    { path, expected, got },
  );
}
