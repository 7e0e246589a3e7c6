/**
 * The classes that a JVM of embedded Spark loads, kept as it maps them ("class data sharing"), so
 * that the next one need not read, check and link them again: up in half the time. Invariant: a
 * JVM that can't use an archive (jars, their dates or the Java differ) starts without it.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { markUsed } from '../../driver/support/leftovers.js';
import type { JavaInstallation, SparkInstallation } from './locations.js';

/** The first Java that writes one as it ends. */
const FIRST_MAJOR = 13;

/**
 * Where the archive for this Java, these jars and this shim is or will be; undefined where this
 * Java can't write one.
 */
export function classArchive(
  java: JavaInstallation,
  spark: SparkInstallation,
  shim: string,
): string | undefined {
  if (java.major < FIRST_MAJOR) return undefined;
  const facts = [java.command, java.version, spark.version, spark.jars, shim].join('\n');
  const digest = createHash('sha256').update(facts).digest('hex').slice(0, 16);
  return join(dirname(shim), `${basename(shim, '.jar')}-${digest}.jsa`);
}

/** Options that start a JVM of the class path `shim`, `spark.jars` from its archive, if it has one. */
export async function archivedClasses(
  java: JavaInstallation,
  spark: SparkInstallation,
  shim: string,
): Promise<string[]> {
  const archive = classArchive(java, spark, shim);
  if (archive === undefined || !existsSync(archive)) return [];
  await markUsed(archive);
  return [`-XX:SharedArchiveFile=${archive}`];
}
