/**
 * What reads an expression's text: DuckDB's own parser and binder, on every engine. The driver
 * knows no backend, so it is handed in as a value. Answers are DuckDB's JSON, decoded by
 * `syntax.ts` and `tree.ts`.
 */
export interface TypedColumn {
  readonly name: string;
  /** DuckDB's name of the type. */
  readonly type: string;
}

export interface SqlParser {
  /** `json_serialize_sql` of each statement. */
  parse(statements: readonly string[]): Promise<readonly string[]>;
  /** `json_serialize_plan` of `SELECT expressions` over one row of these columns. */
  bind(expressions: readonly string[], columns: readonly TypedColumn[]): Promise<string>;
}
