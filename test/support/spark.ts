/** Embedded Spark for tests: a small heap, and a reason instead of a backend where Java or Maven is missing. */
import { spawnSync } from 'node:child_process';
import { createDuckDbEngine } from '../../gpu-executor/cpu/duckdb/index.js';
import {
  createSparkBackend,
  type EmbeddedSparkOptions,
  findJava,
  findSpark,
  type SparkBackend,
} from '../../spark-bridge/index.js';

/** Why this machine can't run embedded Spark; undefined when it can. */
export function sparkMissing(): string | undefined {
  if (findJava() === undefined) return 'no Java; install a JDK 17';
  const maven = spawnSync('mvn', ['--version'], { timeout: 60_000 }).status === 0;
  if (findSpark() === undefined && !maven) return 'no Spark and no Maven to bring it';
  return undefined;
}

/** A fresh Spark with at most 1 GiB of heap, or why there is none. Sets up what is missing, which takes a while. */
export async function createTestSpark(
  options: EmbeddedSparkOptions = {},
): Promise<SparkBackend | string> {
  const missing = sparkMissing();
  if (missing !== undefined) return missing;
  const { sql } = createDuckDbEngine();
  return createSparkBackend({ memoryBytes: 1024 ** 3, cores: 2, sql, ...options });
}
