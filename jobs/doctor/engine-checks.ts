/** Checks of what the engines are made of: DuckDB and BLAS for the local one, Spark's jars and the shim for Spark. */
import { existsSync } from 'node:fs';
import type { Finding } from './finding.js';

export async function duckdbCheck(): Promise<Finding> {
  try {
    const { default: duckdb } = await import('@duckdb/node-api');
    return { name: 'duckdb', status: 'ok', found: `DuckDB ${duckdb.version()}`, remedy: null };
  } catch (error) {
    return {
      name: 'duckdb',
      status: 'missing',
      found: messageOf(error),
      remedy: 'run npm ci again on this machine: DuckDB comes with a library for each platform',
    };
  }
}

export async function blasCheck(): Promise<Finding> {
  const { describeBlas } = await import('../../gpu-executor/cpu/index.js');
  const { native, text } = describeBlas();
  return {
    name: 'blas',
    status: native ? 'ok' : 'degraded',
    found: text,
    remedy: native ? null : 'run `reprise setup`, or set REPRISE_BLAS to a BLAS of the system',
  };
}

export async function javaCheck(): Promise<Finding> {
  const { findJava } = await import('../../spark-bridge/index.js');
  const java = findJava();
  const remedy = 'install a JDK 17 and set JAVA_HOME or PATH; needed for Spark only';
  if (java === undefined)
    return { name: 'java', status: 'missing', found: 'no working java', remedy };
  const isOk = java.major === 8 || java.major === 11 || java.major >= 17;
  return {
    name: 'java',
    status: isOk ? 'ok' : 'missing',
    found: `Java ${java.version}`,
    remedy: isOk ? null : remedy,
  };
}

export async function sparkCheck(): Promise<Finding> {
  const { findSpark } = await import('../../spark-bridge/index.js');
  try {
    const spark = findSpark();
    if (spark !== undefined) {
      const found = `Spark ${spark.version} in ${spark.jars}`;
      return { name: 'spark', status: 'ok', found, remedy: null };
    }
    return {
      name: 'spark',
      status: 'missing',
      found: 'no jars of Spark',
      remedy: 'run `reprise setup`, or set SPARK_HOME to a Spark 3.5',
    };
  } catch (error) {
    const remedy = 'correct or unset SPARK_HOME';
    return { name: 'spark', status: 'missing', found: messageOf(error), remedy };
  }
}

export async function shimCheck(): Promise<Finding> {
  const { findSpark, shimJar } = await import('../../spark-bridge/index.js');
  const jar = shimJar(scalaOf(findSpark));
  return existsSync(jar)
    ? { name: 'shim', status: 'ok', found: jar, remedy: null }
    : {
        name: 'shim',
        status: 'missing',
        found: 'not built from these sources',
        remedy: 'run `reprise setup` (needs Maven and a JDK)',
      };
}

type FindSpark = typeof import('../../spark-bridge/index.js').findSpark;

/** The Scala version of the Spark that would run; of the downloaded one when there is none yet. */
function scalaOf(findSpark: FindSpark): '2.12' | '2.13' {
  try {
    return findSpark()?.scala ?? '2.12';
  } catch {
    return '2.12';
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
