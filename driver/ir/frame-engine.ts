/**
 * What the driver asks of an engine that can read frames: DuckDB on this machine, Spark SQL on a
 * cluster. Feature expressions are DuckDB's SQL; an engine with another dialect translates
 * (`sql/`).
 */
import type { CsrMatrix } from './csr.js';
import type { DescribeOptions, ReadOptions } from './read-options.js';

/** `orc` is read by Spark only. */
export type FrameFormat = 'parquet' | 'orc' | 'csv' | 'arrow' | 'jsonl';

/** Where a frame's rows are. */
export interface FrameSource {
  readonly format: FrameFormat;
  /** True: its files can't be read one by one, as they mean something else, or it is a part. */
  readonly isUndivided?: boolean;
  /** Files in the order of their rows: sorted by path. Absolute paths; URIs for remote storage. */
  readonly files: readonly FrameFile[];
  /** How they are read; part of the lineage. Absent: nothing was said. */
  readonly options?: ReadOptions;
  /**
   * What the columns of text files are read as. It follows from files and options, so it is no part
   * of the lineage.
   */
  readonly text?: readonly SourceColumn[];
  /**
   * Identifies files in remote storage anew, null for one that is gone; from the engine that listed
   * them. Absent: the files are local, or nobody can say.
   */
  readonly identify?: (paths: readonly string[]) => Promise<readonly (string | null)[]>;
  /** The columns, from an engine that needs their types to translate expressions. */
  readonly columns?: readonly FrameColumn[];
}

export type PartitionType = 'integer' | 'date' | 'text';

/** A column's value for all rows of a file; null where it is missing. */
export interface PartitionValue {
  readonly name: string;
  readonly type: PartitionType;
  readonly value: string | null;
}

/** One file and its identity; the identity, not the path, is part of the lineage. */
export interface FrameFile {
  readonly path: string;
  /** Local: SHA-256 of the content. Remote: digest over path, length, mtime, ETag or checksum. */
  readonly digest: string;
  readonly bytes: number;
  readonly rows: number;
  /** Columns named by its folders; part of the lineage. Absent: there are none. */
  readonly partition?: readonly PartitionValue[];
}

/** A column of a text file, the type it is read as, and its name as it stands in the files. */
export interface SourceColumn {
  readonly name: string;
  readonly type: string;
  readonly key: string;
}

/** Type of a column as features see it. */
export type ColumnType = 'number' | 'boolean' | 'text' | 'timestamp' | 'other';

export interface FrameColumn {
  readonly name: string;
  readonly type: ColumnType;
  /** The engine's own name of the type, for messages. */
  readonly engineType: string;
}

export interface FrameDescription {
  readonly source: FrameSource;
  readonly columns: readonly FrameColumn[];
  readonly rows: number;
  /**
   * Whether every file has the columns with these very types, so that a file reads alone as it
   * reads among the others. Default true.
   */
  readonly isUniform?: boolean;
  /** Rows left out, as the options say. Default 0. */
  readonly dropped?: number;
  /** What people should know of how the files are read. */
  readonly warnings?: readonly string[];
}

/** Raw columns of one chunk of rows, as an engine delivers them to `encodeBlock`. */
export interface RawChunk {
  readonly rows: number;
  /** One per requested column: float64, NaN where missing; codes -1 where missing or unlisted. */
  readonly columns: readonly Float64Array[];
  /** Of requested columns of hashed text their rows, by the column's number. Absent: none are. */
  readonly hashed?: readonly (CsrMatrix | undefined)[];
  /** Gives the columns up: later chunks may be read into them. Without it they are the caller's. */
  readonly release?: () => void;
}

/** The engine that expressions are tied to. Absent: they mean the same on every engine. */
export type SqlDialect = 'duckdb' | 'spark';

/** An expression, in DuckDB's dialect unless it says another. */
export type SqlText = {
  readonly sql: string;
  readonly dialect?: SqlDialect;
};

/** One raw column to read. */
export type RawColumn = SqlText &
  (
    | { readonly kind: 'number' }
    /** The position of the value's text in `categories`; -1 when missing, -2 when not listed. */
    | { readonly kind: 'category'; readonly categories: readonly string[] }
    /** The value's text hashed, see `operators/hash-text.ts`. */
    | ({ readonly kind: 'hash' } & TextHashing)
  );

/** How text is hashed. */
export type TextHashing = {
  /** How many; a hash's place among them. */
  readonly columns: number;
  /** Least and most words of a run that is counted. */
  readonly ngrams: readonly [number, number];
  /** Whether capital letters of Latin, Greek and Cyrillic count as small ones. */
  readonly lowercase: boolean;
  /** By which the counts of a row are divided. */
  readonly norm: 'l1' | 'l2' | 'none';
  /** Whether half of the words count negatively, so that collisions cancel on average. */
  readonly alternate_sign: boolean;
};

/** What a feature expression's values look like over all rows; one SQL scan answers many. */
export interface ColumnProfile {
  readonly type: ColumnType;
  readonly rows: number;
  /** NULL or NaN. */
  readonly missing: number;
  readonly infinite: number;
  /** Of the finite values; null when there is none or the column is not numeric. */
  readonly min: number | null;
  readonly max: number | null;
  /** Most frequent values as text, by count descending then text ascending; only when asked for. */
  readonly top: readonly { readonly value: string; readonly count: number }[];
  /** Number of distinct non-missing values; only when `top` was asked for. */
  readonly distinct: number;
  /** Quantiles at the asked probabilities. */
  readonly quantiles: readonly number[];
  /** No row was read: NaN are not among the missing. */
  readonly fromStatistics?: boolean;
}

export interface ProfileRequest extends SqlText {
  /** How many most frequent values to list; 0 for none. */
  readonly top: number;
  readonly quantiles: readonly number[];
  /**
   * The files' own statistics will do, which know nulls and ranges but no NaN: who asks refuses NaN
   * when the rows are read. Default false.
   */
  readonly fromStatistics?: boolean;
}

export interface FrameEngine {
  readonly name: string;
  /**
   * Resolves a file, folder or glob to its files, columns and row counts.
   * @throws DataError when nothing is there, a file can't be read, or columns of two files differ
   */
  describe(path: string, options?: DescribeOptions): Promise<FrameDescription>;
  /**
   * Profiles expressions over all rows in one scan.
   * @throws DataError naming an unparsable one, or a file that changed meanwhile
   */
  profile(source: FrameSource, requests: readonly ProfileRequest[]): Promise<ColumnProfile[]>;
  /**
   * As `profile`, for each file by itself: `[file][request]`, in one scan over all files. Quantiles
   * are not asked for. A file with more distinct values than `top` lists none. Absent: files are
   * profiled one after the other.
   */
  profileFiles?(
    source: FrameSource,
    requests: readonly ProfileRequest[],
  ): Promise<ColumnProfile[][]>;
}
