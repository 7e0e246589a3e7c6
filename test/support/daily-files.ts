/**
 * Data that arrive a file a day, made so that files differ: categories, missing values and ranges
 * that occur in some files only, unequal row counts, a large mean. Deterministic: file `day` always
 * has the same bytes for the same options.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { duckdb } from './job-folder.js';

export interface DayOptions {
  /** Rows of the file; default 400 and a few more each day. */
  readonly rows?: number;
  /** Another draw of the same day: what a corrected delivery would hold. */
  readonly draw?: number;
  readonly format?: 'parquet' | 'csv';
}

/** Writes the file of a day into `folder` and returns its path. */
export async function writeDay(
  folder: string,
  day: number,
  options: DayOptions = {},
): Promise<string> {
  const { rows = 400 + 7 * day, draw = 0, format = 'parquet' } = options;
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `day-${String(day).padStart(3, '0')}.${format}`);
  const noise = (k: number): string =>
    `((hash(i * 31 + ${day * 1009 + draw * 77_003 + k}) % 10000) / 10000.0)`;
  await duckdb(`COPY (
    SELECT
      1e5 + ${noise(1)} * 10 AS a,
      ${day % 3 === 1 ? `CASE WHEN i % 9 = 4 THEN NULL ELSE ${noise(2)} END` : noise(2)} AS wind,
      'S' || (i * i + ${day}) % ${4 + (day % 4)} AS station,
      CASE WHEN i % 5 = 0 THEN 'rare-' || ${day % 5} ELSE 'common' END AS kind,
      CAST((i + ${day}) % 24 AS BIGINT) AS hour,
      ${noise(3)} * ${10 + day} - ${day} AS span,
      CAST(i % 7 AS BIGINT) AS store,
      CAST((i + ${day}) % 3 AS BIGINT) AS fold,
      2 * ${noise(1)} - ${noise(2)} + ((i * i + ${day}) % 4) + ${noise(4)} AS y
    FROM range(${rows}) t(i) ORDER BY i
  ) TO '${path}' (${format === 'parquet' ? 'FORMAT parquet' : 'FORMAT csv, HEADER'})`);
  return path;
}

/** A job over a folder `data` of such files; every kind of feature. */
export const dailyJob = {
  kind: 'grid-search',
  data: {
    path: 'data',
    target: 'y',
    features: [
      'a',
      { name: 'wind', impute: 'mean' },
      { name: 'station', encode: 'onehot', top: 4 },
      { name: 'kind', encode: 'onehot' },
      { name: 'hour', encode: 'onehot' },
      { name: 'span', encode: 'bin', bins: [-5, 0, 3, 9] },
    ],
    standardize: true,
  },
  model: { type: 'ridge' },
  search: { grid: { lambda: [0.1, 10] } },
  cv: { folds: 5, shuffle: true, seed: 11 },
  scoring: ['neg_mean_squared_error', 'r2'],
};
