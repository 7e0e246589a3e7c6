/**
 * Looks at CSV and JSON lines files, whose columns and types have to be inferred. A file is scanned once, whole, with
 * the types a sample suggests; if a later value does not fit them the types are inferred again from every row. So a
 * type found here holds for all rows and a read can't fail on one.
 * CSV is RFC 4180 with a header line and the delimiter (comma, semicolon, tab or bar) that this line uses most; an
 * empty field is a missing value. JSON lines: one object a line; an absent key is a missing value.
 */
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { DataError } from '../../../driver/errors.js';
import { type Database, quoteName, quoteText } from './database.js';
import { escapeGlob, type FileLayout, fileRelation, type LayoutColumn } from './scan.js';

const HEADER_BYTES = 1 << 20;
const WHOLE_FILE = -1;
const DEFAULT_SAMPLE = 20_480;

/** @throws DataError naming the file and, where DuckDB knows it, the line */
export async function inspectCsv(database: Database, path: string): Promise<FileLayout> {
  const header = await firstLine(path);
  if (header.trim() === '') {
    throw new DataError(
      `data: expected a header line with column names in ${path}, got none: it is empty or begins with a blank line`,
      { path },
    );
  }
  if (header.includes('\0')) {
    throw new DataError(
      `data: expected text in ${path}, got binary data; say data.format if it is another format`,
      { path },
    );
  }
  const delimiter = delimiterOf(header, path);
  const dialect = `, header = true, delim = ${quoteText(delimiter)}, quote = '"', escape = '"'`;
  const base = { rows: 0, scan: 'read_csv', path } as const;
  const options = `, auto_detect = false${dialect}`;
  const infer = async (sample: number): Promise<FileLayout> => {
    const [row] = await database.query(
      `SELECT to_json(Columns), DateFormat, TimestampFormat
       FROM sniff_csv(${quoteText(escapeGlob(path))}${dialect}, sample_size = ${sample})`,
      `data: reading ${path}`,
    );
    const formats =
      (row?.[1] ? `, dateformat = ${quoteText(String(row[1]))}` : '') +
      (row?.[2] ? `, timestampformat = ${quoteText(String(row[2]))}` : '');
    const columns = JSON.parse(String(row?.[0])) as LayoutColumn[];
    return { ...base, columns, options: options + formats };
  };
  return fitted(database, path, async (sample) => {
    try {
      return await infer(sample);
    } catch (cause) {
      // DuckDB then says no more than that it could not tell; read as text, the file shows the line that is wrong.
      const columns = headerNames(header, delimiter).map((name) => ({ name, type: 'VARCHAR' }));
      await counted(database, path, { ...base, columns, options });
      throw cause;
    }
  });
}

/** @throws DataError naming the file and, where DuckDB knows it, the line */
export async function inspectJsonLines(database: Database, path: string): Promise<FileLayout> {
  const first = await firstLine(path);
  if (first.trim() !== '' && !first.trimStart().startsWith('{')) {
    throw new DataError(
      `data: expected one JSON object a line in ${path}, got a first line that begins with ${JSON.stringify(first.slice(0, 20))}`,
      { path },
    );
  }
  const what = `data: reading ${path}`;
  const literal = quoteText(escapeGlob(path));
  const options = ", format = 'newline_delimited'";
  const infer = async (sample: number): Promise<FileLayout> => {
    const rows = await database.query(
      `DESCRIBE SELECT * FROM read_json([${literal}]${options}, sample_size = ${sample})`,
      what,
    );
    const columns = rows.map((row) => ({
      name: String(row[0]),
      // DuckDB takes negative whole numbers for 128 bits wide; if they are, the count fails and all rows are looked at.
      type: row[1] === 'HUGEINT' && sample !== WHOLE_FILE ? 'BIGINT' : String(row[1]),
    }));
    return { columns, rows: 0, scan: 'read_json', path, options };
  };
  const layout = await fitted(database, path, infer);
  const keys = await database.query(
    `SELECT DISTINCT unnest(json_keys(json)) FROM read_ndjson_objects(${literal})`,
    what,
  );
  const known = new Set(layout.columns.map((column) => column.name));
  const allKnown = keys.every((row) => known.has(String(row[0])));
  return allKnown ? layout : counted(database, path, await infer(WHOLE_FILE));
}

/** Names in a header line, as RFC 4180 quotes them. */
function headerNames(header: string, delimiter: string): string[] {
  const names: string[] = [''];
  let quoted = false;
  for (const char of header) {
    if (char === '"') quoted = !quoted;
    else if (char === delimiter && !quoted) names.push('');
    else names[names.length - 1] += char;
  }
  return names.map((name, i) => (name === '' || names.indexOf(name) < i ? `column${i}` : name));
}

/** The layout whose types hold for every row, with row count and empty columns filled in. */
async function fitted(
  database: Database,
  path: string,
  infer: (sample: number) => Promise<FileLayout>,
): Promise<FileLayout> {
  const guess = await infer(DEFAULT_SAMPLE);
  try {
    return await counted(database, path, guess);
  } catch (cause) {
    if (!(cause instanceof DataError)) throw cause;
    const whole = await infer(WHOLE_FILE);
    if (JSON.stringify(whole) === JSON.stringify(guess)) throw cause;
    return counted(database, path, whole);
  }
}

async function counted(database: Database, path: string, layout: FileLayout): Promise<FileLayout> {
  const counts = layout.columns.map((column) => `count(${quoteName(column.name)})`);
  const [row] = await database.query(
    `SELECT ${['count(*)', ...counts].join(', ')} FROM ${fileRelation(layout, layout.columns)}`,
    `data: reading ${path}`,
  );
  database.scans++;
  const columns = layout.columns.map(({ name, type }, i) => ({
    name,
    type,
    ...(Number(row?.[i + 1]) === 0 ? { empty: true } : {}),
  }));
  return { ...layout, columns, rows: Number(row?.[0]) };
}

/** The delimiter that occurs most outside quotes in the header line; comma when none does. */
function delimiterOf(header: string, path: string): string {
  if (/\.tsv(\.gz)?$/i.test(path)) return '\t';
  const plain = header.replace(/"[^"]*"/g, '');
  let best = ',';
  let most = plain.split(',').length;
  for (const candidate of [';', '\t', '|']) {
    const parts = plain.split(candidate).length;
    if (parts > most) {
      best = candidate;
      most = parts;
    }
  }
  return best;
}

async function firstLine(path: string): Promise<string> {
  const file = createReadStream(path, { end: HEADER_BYTES });
  const bytes = /\.gz$/i.test(path) ? file.pipe(createGunzip()) : file;
  let text = '';
  try {
    for await (const chunk of bytes) {
      text += (chunk as Buffer).toString('utf8');
      if (text.includes('\n') || text.length > HEADER_BYTES) break;
    }
  } catch (cause) {
    if (text === '')
      throw new DataError(
        `data: expected to read ${path}, got ${(cause as Error).message}`,
        { path },
        { cause },
      );
  } finally {
    file.destroy();
  }
  return (text.split(/\r?\n/)[0] ?? '').replace(/^\uFEFF/, '');
}
