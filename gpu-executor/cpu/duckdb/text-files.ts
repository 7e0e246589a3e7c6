/**
 * Looks at CSV and JSON lines files, whose columns and types have to be found out. A sample
 * suggests what a column holds, and a scan of the whole file checks every cell against it, as text:
 * what DuckDB would cast is not what it says. So a type found here holds for all rows, and a read
 * neither fails on one nor changes it.
 */
import { DataError } from '../../../driver/errors.js';
import { ALLOWED, CELLS, typeOfCells } from '../../../driver/frame/text-columns.js';
import type { CsvOptions, ReadOptions, SchemaType } from '../../../driver/ir/read-options.js';
import { type LocalFile, plainCsv } from './csv-file.js';
import { type Database, quoteName, quoteText } from './database.js';
import { plainJson } from './json-file.js';
import { type FileLayout, jsonPointer, pathList, type TextLayout, textColumn } from './scan.js';
import { isWholeNumber, kindOfJson, kindOfText, type NumberStyle } from './text-cells.js';

const SAMPLE_ROWS = 4_096;
const SAMPLE_CELLS = 400_000;

/** What a scan tells of a column: kinds of cells, or that there are any at all. */
type Check = 'kinds' | 'text' | 'double' | 'whole' | 'date';

interface TextScan {
  readonly database: Database;
  readonly what: string;
  /** Names or keys, in the file's order. */
  readonly names: readonly string[];
  /** `FROM` operand with these columns as these types. */
  readonly from: (types: ReadonlyMap<string, string>) => string;
  /** SQL for the kind of a cell of the column that is not checked otherwise. */
  readonly kind: (operand: string, name: string) => string;
  /** The type of a column whose cells are looked at. */
  readonly raw: string;
  /** Whether DuckDB's own DOUBLE takes nothing but what the grammar takes in this file. */
  readonly canCheckDoubles: boolean;
}

/** @throws DataError naming the file and, where it is known, the line or row */
export async function inspectCsv(
  database: Database,
  file: LocalFile,
  options: ReadOptions = {},
): Promise<FileLayout> {
  const { csv = {}, schema = {} } = options;
  const plain = await plainCsv(file, csv);
  const style = styleOf(csv);
  const quote = quoteText(plain.quote);
  const nulls = ['', ...(csv.null ?? [])].map(quoteText).join(', ');
  const call = `, auto_detect = false, header = ${plain.hasHeader}, delim = ${quoteText(plain.delimiter)}, quote = ${quote}, escape = ${quote}, nullstr = [${nulls}]`;
  const scan: TextScan = {
    database,
    what: `data: reading ${file.path}`,
    names: plain.names,
    from: (types) => {
      const columns = plain.names.map((name) => `${quoteText(name)}: '${types.get(name)}'`);
      return `read_csv(${pathList([plain.path])}${call}, columns = {${columns.join(', ')}})`;
    },
    kind: (operand) => kindOfText(operand, style),
    raw: 'VARCHAR',
    canCheckDoubles:
      !plain.hasJoinedDigits && style.decimal === undefined && style.thousands === undefined,
  };
  const { rows, cells } = await checked(scan);
  await checkStated(scan, cells, schema, file.path);
  return layoutOf('read_csv', plain.path, call, rows, { cells, style, stated: statedOf(schema) });
}

/** @throws DataError naming the file and, where DuckDB knows it, the line */
export async function inspectJsonLines(
  database: Database,
  file: LocalFile,
  { schema = {} }: ReadOptions = {},
): Promise<FileLayout> {
  const plain = await plainJson(file);
  const what = `data: reading ${file.path}`;
  const list = pathList([plain.path]);
  const found = await database.query(
    `SELECT DISTINCT unnest(json_keys(json)) FROM read_ndjson_objects(${list})`,
    what,
  );
  const all = found.map((row) => String(row[0]));
  const known = new Set(all);
  const first = plain.firstKeys.filter((key) => known.has(key));
  const names = [...first, ...all.filter((key) => !first.includes(key)).sort()];
  const lower = new Set(names.map((name) => name.toLowerCase()));
  const hasTwins = lower.size < names.length;
  // Told that lines are rows, DuckDB does not look: its look at a deep one ends the process.
  const call = ", format = 'newline_delimited', records = true";
  const stated = statedOf(schema);
  const scan: TextScan = {
    database,
    what,
    names,
    from: (types) => {
      if (hasTwins) {
        const items = names.map((name, i) => `json->${quoteText(jsonPointer(name))} AS k${i}`);
        return `(SELECT ${items.join(', ')} FROM read_ndjson_objects(${list})) AS r(${names.map((_, i) => `k${i}`).join(', ')})`;
      }
      const columns = names.map((name) => `${quoteText(name)}: '${types.get(name)}'`);
      if (columns.length === 0) columns.push("'column0': 'JSON'");
      return `read_json(${list}${call}, columns = {${columns.join(', ')}})`;
    },
    kind: (operand, name) =>
      stated.has(name) && schema[name] !== 'text'
        ? `CASE WHEN CAST(${operand} AS VARCHAR)[1] IN ('{', '[') THEN ${CELLS.nested} ELSE ${kindOfText(`(${operand}->>'$')`)} END`
        : kindOfJson(operand),
    raw: 'JSON',
    canCheckDoubles: false,
  };
  const { rows, cells } = await checked(scan, hasTwins);
  await checkStated(scan, cells, schema, file.path);
  return layoutOf('read_json', plain.path, call, rows, { cells, style: {}, stated, hasTwins });
}

function layoutOf(
  scan: FileLayout['scan'],
  path: string,
  options: string,
  rows: number,
  text: TextLayout,
): FileLayout {
  const columns = [...text.cells].map(([name, cells]) =>
    textColumn(name, name, typeOfCells(cells)),
  );
  return { columns, rows, scan, path, options, text };
}

function styleOf({ decimal, thousands }: CsvOptions): NumberStyle {
  return {
    ...(decimal === undefined ? {} : { decimal }),
    ...(thousands === undefined ? {} : { thousands }),
  };
}

function statedOf(schema: Readonly<Record<string, SchemaType>>): ReadonlySet<string> {
  return new Set(Object.keys(schema));
}

interface CellCounts {
  readonly rows: number;
  readonly cells: ReadonlyMap<string, number>;
}

/** Rows, and the kinds of cells of every column over all of them. */
async function checked(scan: TextScan, isByPlace = false): Promise<CellCounts> {
  const every = (check: Check): Map<string, Check> =>
    new Map(scan.names.map((name) => [name, check]));
  const sampled = Math.min(SAMPLE_ROWS, Math.max(100, SAMPLE_CELLS / (scan.names.length + 1)));
  const sample = await count(scan, every('kinds'), isByPlace, Math.floor(sampled));
  if (sample.rows < Math.floor(sampled)) return sample;
  const checks = new Map<string, Check>(
    [...sample.cells].map(([name, cells]) => {
      return [name, checkFor(cells, scan)];
    }),
  );
  const merged = (found: CellCounts): CellCounts => ({
    rows: found.rows,
    cells: new Map([...found.cells].map(([name, own]) => [name, own | sample.cells.get(name)!])),
  });
  const slower = (isDoubtful: (name: string) => boolean): Map<string, Check> =>
    new Map(
      [...checks].map(([name, check]) => [
        name,
        check !== 'text' && isDoubtful(name) ? 'kinds' : check,
      ]),
    );
  let found: CellCounts;
  try {
    found = await count(scan, checks, isByPlace);
  } catch (cause) {
    if (!(cause instanceof DataError)) throw cause;
    // Some later cell may be no number; what it is, its text says.
    return merged(
      await count(
        scan,
        slower(() => true),
        isByPlace,
      ),
    );
  }
  const doubtful = scan.names.filter((name) => found.cells.get(name)! & DOUBTFUL);
  if (doubtful.length === 0) return merged(found);
  return merged(
    await count(
      scan,
      slower((name) => doubtful.includes(name)),
      isByPlace,
    ),
  );
}

/** An error of cutting CSV with the option that mends it. */
function withRemedy(cause: Error): Error {
  if (!(cause instanceof DataError)) return cause;
  const remedy =
    /unterminated quote|number of columns/i.test(cause.message) && cause.message.includes('\\"')
      ? 'say data.csv.escape: "\\" if quotes in cells are written \\"'
      : /not utf-8|unicode/i.test(cause.message)
        ? 'say data.csv.encoding: windows-1252, latin-1 or utf-16 if it is that'
        : undefined;
  if (remedy === undefined) return cause;
  return new DataError(`${cause.message}; ${remedy}`, cause.facts ?? {}, { cause });
}

/** The cheapest check that shows whether all cells are what the sample's are. */
function checkFor(cells: number, scan: TextScan): Check {
  if (scan.raw !== 'VARCHAR') return 'kinds';
  // One cell that is text makes the column text, whatever the others are.
  if (cells & CELLS.text) return 'text';
  const type = typeOfCells(cells);
  if (type === 'date') return 'date';
  if (!scan.canCheckDoubles) return 'kinds';
  return type === 'double' ? 'double' : type === 'integer' ? 'whole' : 'kinds';
}

/** A column some cell of which is not what the sample's are. */
const DOUBTFUL = 1 << 10;

function checkSql(scan: TextScan, check: Check, name: string, isByPlace: boolean): string {
  const operand = operandOf(scan, name, isByPlace);
  if (check === 'kinds') return `bit_or(${scan.kind(operand, name)})`;
  const found = (kind: number, holds?: string): string =>
    `CASE WHEN count(${operand}) = 0 THEN 0 ${holds ? `WHEN NOT (${holds}) THEN ${DOUBTFUL} ` : ''}ELSE ${kind} END`;
  if (check === 'text') return found(CELLS.text);
  if (check === 'double') return found(CELLS.decimal);
  if (check === 'whole') return found(CELLS.integer, `bool_and(${isWholeNumber(operand)})`);
  const iso = `strlen(${operand}) = 10 AND CAST(TRY_CAST(${operand} AS DATE) AS VARCHAR) = ${operand}`;
  return found(CELLS.date, `bool_and(coalesce(${iso}, ${operand} IS NULL))`);
}

/** Columns whose text one statement looks at side by side: each look holds a dozen vectors. */
const MOST_SIDE_BY_SIDE = 32;
/** Columns one statement checks otherwise. */
const MOST_COLUMNS = 2_000;

async function count(
  scan: TextScan,
  checks: ReadonlyMap<string, Check>,
  isByPlace: boolean,
  limit?: number,
): Promise<CellCounts> {
  const all = [...checks.keys()];
  const looked = all.filter((name) => checks.get(name) === 'kinds');
  const isWide = looked.length > MOST_SIDE_BY_SIDE;
  const aside = isWide ? all.filter((name) => checks.get(name) !== 'kinds') : all;
  let rows = 0;
  const cells = new Map<string, number>();
  for (let from = 0; from < aside.length || (from === 0 && !isWide); from += MOST_COLUMNS) {
    const names = aside.slice(from, from + MOST_COLUMNS);
    const items = names.map((name) => checkSql(scan, checks.get(name)!, name, isByPlace));
    const select = ['count(*)', ...items].join(', ');
    const [row] = await run(
      scan,
      checks,
      new Set(names),
      limit,
      (from) => `SELECT ${select} FROM ${from}`,
    );
    rows = Number(row?.[0]);
    for (const [i, name] of names.entries()) cells.set(name, Number(row?.[i + 1] ?? 0));
  }
  if (!isWide) return { rows, cells };
  for (const names of byKind(scan, looked)) {
    const operands = names.map((name) => operandOf(scan, name, isByPlace)).join(', ');
    const found = await run(
      scan,
      checks,
      new Set(),
      limit,
      (from) =>
        `SELECT i, count(*), bit_or(${scan.kind('v', names[0]!)})
         FROM (SELECT unnest([${operands}]) AS v, unnest(range(${names.length})) AS i FROM ${from}) GROUP BY i`,
    );
    for (const name of names) cells.set(name, 0);
    for (const [i, count, own] of found) {
      rows = Number(count);
      cells.set(names[Number(i)]!, Number(own));
    }
  }
  return { rows, cells };
}

/** Columns whose cells are read alike, in groups: one expression is used for a whole group. */
function byKind(scan: TextScan, names: readonly string[]): string[][] {
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const kind = scan.kind('v', name);
    groups.set(kind, [...(groups.get(kind) ?? []), name]);
  }
  return [...groups.values()].flatMap((group) => {
    const parts: string[][] = [];
    for (let i = 0; i < group.length; i += MOST_COLUMNS)
      parts.push(group.slice(i, i + MOST_COLUMNS));
    return parts;
  });
}

function operandOf(scan: TextScan, name: string, isByPlace: boolean): string {
  return isByPlace ? `k${scan.names.indexOf(name)}` : quoteName(name);
}

/** @param typed columns that are read as their check wants them; the others stay text */
async function run(
  scan: TextScan,
  checks: ReadonlyMap<string, Check>,
  typed: ReadonlySet<string>,
  limit: number | undefined,
  sql: (from: string) => string,
): Promise<readonly (readonly unknown[])[]> {
  const types = new Map(
    [...checks].map(([name, check]) => [
      name,
      typed.has(name) && (check === 'double' || check === 'whole') ? 'DOUBLE' : scan.raw,
    ]),
  );
  const from = scan.from(types);
  const rows = limit === undefined ? from : `(SELECT * FROM ${from} LIMIT ${limit})`;
  if (limit === undefined) scan.database.scans++;
  try {
    return await scan.database.query(sql(rows), scan.what);
  } catch (cause) {
    throw scan.raw === 'VARCHAR' ? withRemedy(cause as Error) : cause;
  }
}

/** @throws DataError naming the first row whose value is not of the type the job says */
async function checkStated(
  scan: TextScan,
  cells: ReadonlyMap<string, number>,
  schema: Readonly<Record<string, SchemaType>>,
  path: string,
): Promise<void> {
  for (const [name, type] of Object.entries(schema)) {
    const own = cells.get(name) ?? 0;
    if ((own & ~ALLOWED[type]) === 0) continue;
    const at = scan.names.indexOf(name);
    const operand = quoteName(name);
    const from = scan.from(new Map(scan.names.map((one) => [one, scan.raw])));
    const rows = await scan.database
      .query(
        `SELECT n, ${scan.raw === 'JSON' ? "v->>'$'" : 'v'} FROM (SELECT row_number() OVER () AS n, ${operand} AS v FROM ${from})
       WHERE (${scan.kind('v', name)} & ${255 & ~ALLOWED[type]}) <> 0 ORDER BY n LIMIT 1`,
        scan.what,
      )
      .catch(() => []);
    const [row] = rows;
    const where = row === undefined ? '' : ` in row ${row[0]}`;
    const got =
      row === undefined
        ? `column ${at + 1} with others`
        : JSON.stringify(String(row[1]).slice(0, 60));
    throw new DataError(
      `data.schema: expected ${type} values in "${name}" of ${path}, got ${got}${where}; mend the file or give the column another type`,
      { path, column: name },
    );
  }
}
