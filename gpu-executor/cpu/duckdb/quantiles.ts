/**
 * Exact quantiles in bounded memory: DuckDB's own `quantile_cont` holds all values at once, its
 * sort spills to disk. The sorted values stream through and the few that are needed are kept.
 * Between two values the quantile is interpolated linearly, as NumPy's default and `quantile_cont`
 * do.
 */
import { type Database, toDataError } from './database.js';

/**
 * Quantiles of a numeric expression's finite values.
 * @param count finite values there are
 * @param operand SQL of the expression, as a complete operand
 */
export async function exactQuantiles(
  database: Database,
  from: string,
  operand: string,
  count: number,
  probabilities: readonly number[],
  what: string,
): Promise<number[]> {
  if (count === 0) return [];
  const positions = probabilities.map((probability) => probability * (count - 1));
  const wanted = new Set(positions.flatMap((at) => [Math.floor(at), Math.ceil(at)]));
  const ordered = [...wanted].sort((a, b) => a - b);
  const values = new Map<number, number>();
  const connection = await database.connect();
  database.scans++;
  try {
    const result = await connection.stream(
      `SELECT c FROM (SELECT CAST(${operand} AS DOUBLE) AS c FROM ${from}) WHERE isfinite(c) ORDER BY c`,
    );
    let next = 0;
    for (let start = 0; next < ordered.length; ) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) break;
      const { items } = chunk.getColumnVector(0) as unknown as { readonly items: Float64Array };
      for (; next < ordered.length && ordered[next]! < start + chunk.rowCount; next++) {
        values.set(ordered[next]!, items[ordered[next]! - start]! + 0);
      }
      start += chunk.rowCount;
    }
  } catch (cause) {
    database.noteFailure(cause);
    throw toDataError(cause, what);
  } finally {
    connection.disconnectSync();
  }
  return positions.map((at) => {
    const low = values.get(Math.floor(at))!;
    return low + (values.get(Math.ceil(at))! - low) * (at - Math.floor(at));
  });
}
