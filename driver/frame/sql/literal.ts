/**
 * Texts as literals. Those of Spark are printed so that no parser reads anything into them: every
 * character but the plainest is a `\uXXXX`, so neither a `$` nor a quote nor a backslash of a job's
 * text ever stands in what Spark is sent.
 */

/** A text as a literal of DuckDB. */
export function duckDbLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A text as a literal that every parser of Spark reads as itself. */
export function textLiteral(text: string): string {
  // Without the u flag a surrogate pair is two codes, which Spark joins again.
  const codes = text.replace(
    /[^A-Za-z0-9 _.,:;=+*/()<>-]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `'${codes}'`;
}
