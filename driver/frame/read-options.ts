/**
 * What a job says of how its files are read. Invariant: options that change nothing are left out, so that saying a
 * default names the same data as not saying it; all others are part of a frame's identity.
 */
import { DataError } from '../errors.js';
import { closestText } from './closest.js';
import type { FrameFormat } from './engine.js';

/** How the cells of a CSV file stand in it. Every field absent: RFC 4180 with a header line, in UTF-8. */
export interface CsvOptions {
  /** One character. Default: comma, semicolon, tab or bar, whichever the first line uses most. */
  readonly delimiter?: string;
  /** One character, or empty for none. Default: `"`. */
  readonly quote?: string;
  /** The character before a quote that means itself. Default: the quote again. */
  readonly escape?: string;
  /** Default true; without one the columns are `column0`, `column1`, .. */
  readonly header?: boolean;
  /** Lines before the header that are not data. Default 0. */
  readonly skip?: number;
  /** What stands for a missing value, besides an empty cell. */
  readonly null?: readonly string[];
  /** Default `.`. */
  readonly decimal?: string;
  /** Default: none. */
  readonly thousands?: string;
  readonly encoding?: CsvEncoding;
  /** Lines that begin with this character are no data. Default: none. */
  readonly comment?: string;
}

export const CSV_ENCODINGS = [
  'utf-8',
  'utf-16',
  'utf-16le',
  'utf-16be',
  'latin-1',
  'windows-1252',
] as const;
export type CsvEncoding = (typeof CSV_ENCODINGS)[number];

/** Types a job may give a column of text. */
export const SCHEMA_TYPES = ['integer', 'double', 'text', 'boolean', 'date', 'timestamp'] as const;
export type SchemaType = (typeof SCHEMA_TYPES)[number];

export interface ReadOptions {
  /** CSV only. */
  readonly csv?: CsvOptions;
  /** Types of columns of CSV and JSON lines, by name; the others are found out. */
  readonly schema?: Readonly<Record<string, SchemaType>>;
  /** Whether folders named `column=value` are columns. Default true. */
  readonly partitions?: boolean;
  /** Rows without a value in this column are left out. Default: none are. */
  readonly dropMissing?: string;
}

/** As `ReadOptions`, for files whose format may be said too. */
export interface DescribeOptions extends ReadOptions {
  /** Default: by the files' names. */
  readonly format?: FrameFormat;
}

/** The options that change something; undefined when none does. */
export function givenOptions(options: DescribeOptions): ReadOptions | undefined {
  const csv = defined(options.csv ?? {});
  const given = {
    ...(Object.keys(csv).length > 0 ? { csv } : {}),
    ...(Object.keys(options.schema ?? {}).length > 0 ? { schema: options.schema } : {}),
    ...(options.partitions === false ? { partitions: false } : {}),
    ...(options.dropMissing !== undefined ? { dropMissing: options.dropMissing } : {}),
  } as ReadOptions;
  return Object.keys(given).length > 0 ? given : undefined;
}

/** Without fields that are undefined, false-y lists or the default. */
function defined(csv: CsvOptions): CsvOptions {
  const kept = Object.entries(csv).filter(
    ([key, value]) =>
      value !== undefined &&
      DEFAULTS[key] !== value &&
      !(Array.isArray(value) && value.length === 0),
  );
  return Object.fromEntries(kept) as CsvOptions;
}

const DEFAULTS: Readonly<Record<string, unknown>> = {
  quote: '"',
  escape: '"',
  header: true,
  skip: 0,
  decimal: '.',
  encoding: 'utf-8',
};

/** The options as text that is equal for equal options. */
export function optionsKey(options: ReadOptions | undefined): string {
  if (options === undefined) return '';
  return JSON.stringify(options, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

/** What to say of rows that were left out. */
export function droppedRows(dropped: number, rows: number, column: string | undefined): string[] {
  if (dropped === 0 || column === undefined) return [];
  return [`${dropped} of ${dropped + rows} rows have no ${column} and are left out`];
}

/** @throws DataError when the column whose values rows must have is not there */
export function requireTarget(name: string, names: readonly string[]): void {
  if (names.includes(name)) return;
  throw new DataError(
    `data.target: expected a column of the data, got "${name}"; ${closestText(name, names)}`,
    { column: name },
  );
}
