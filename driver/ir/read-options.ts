/**
 * What may be said of how files are read. An engine reads by it, and it is part of what a frame is.
 */
import type { FrameFormat } from './frame-engine.js';

/** How the cells stand in a CSV file. All fields absent: RFC 4180 with a header line, in UTF-8. */
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
