/**
 * Writes what a query of Spark's answers where a step's output goes. Invariant: files on this
 * machine are named by their place in the output, as Spark's own names are others each time.
 */
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../../driver/index.js';
import type { SparkBackend, SparkQuery } from '../../spark-bridge/index.js';
import { isSparkPlace, type PlaceKind } from './step-data.js';

/** How many rows were written. @throws ConfigError for a place that this Spark does not reach */
export async function writeBySpark(
  spark: SparkBackend,
  query: SparkQuery,
  path: string,
  kind: PlaceKind,
): Promise<number> {
  const { sparkWrite } = await import('../../spark-bridge/index.js');
  if (isSparkPlace(kind)) {
    return (await sparkWrite(spark, query, { place: path })).rows;
  }
  if (kind === 'csv') {
    throw new ConfigError(
      `${query.place}: expected a .parquet file, a folder, storage of the cluster or table://NAME for rows of Spark's, got ${path}`,
      { key: 'output', value: path },
    );
  }
  if (!spark.survey.isHere) {
    throw new ConfigError(
      `${query.place}: expected an output that the cluster reaches, such as hdfs://.., s3a://.. or table://NAME, got ${path}; say \`output\``,
      { key: 'output', value: path },
    );
  }
  const folder = kind === 'folder' ? path : `${path}.parts`;
  const { rows } = await sparkWrite(spark, query, {
    place: `file:${folder}`,
    isSingle: kind === 'parquet',
  });
  const parts = await tidied(folder);
  if (kind === 'parquet') {
    await rename(parts[0]!, path);
    await rm(folder, { recursive: true });
  }
  return rows;
}

/** Parts of a folder under names of their own; what Spark keeps beside them goes. */
async function tidied(folder: string): Promise<string[]> {
  const parts: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const path = join(folder, name);
    if (!/^part-.*\.parquet$/.test(name)) {
      await rm(path, { recursive: true });
      continue;
    }
    const own = join(folder, `part-${String(parts.length).padStart(5, '0')}.parquet`);
    await rename(path, own);
    parts.push(own);
  }
  return parts;
}
