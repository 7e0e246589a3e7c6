/**
 * A query of Spark SQL over frames by name, as it travels (`wire.ts`). A refusal is an error with
 * the facts `expected`, `got` and perhaps `line`.
 */

export interface WireQuery<Source> {
  readonly run: string;
  readonly sql: string;
  readonly tables: readonly { readonly name: string; readonly source: Source }[];
  /** Most rows to answer; not read where there is an output. */
  readonly limit: number;
  /** Where all rows are written, a table or a folder, in place of what is there. */
  readonly output: {
    readonly table: string | null;
    readonly path: string | null;
    readonly isSingle: boolean;
  } | null;
}

export interface WireQueryResult<Column> {
  readonly columns: readonly Column[];
  /** The first, cells as texts. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** Rows written. */
  readonly count: number | null;
  readonly sparkJobs: number;
}
