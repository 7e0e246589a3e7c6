/** Checks of what the engines are made of: DuckDB and BLAS for the local one, Spark's jars and the shim for Spark. */
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

export async function sparkCheck(): Promise<Finding> {
  const { findSpark } = await import('../../spark-bridge/index.js');
  const spark = await findSpark();
  return spark === undefined
    ? {
        name: 'spark',
        status: 'missing',
        found: 'no jars of Spark',
        remedy: 'run `reprise setup`, or set SPARK_HOME to a Spark 3.5',
      }
    : { name: 'spark', status: 'ok', found: spark.jars, remedy: null };
}

export async function shimCheck(): Promise<Finding> {
  const { findShim } = await import('../../spark-bridge/index.js');
  const jar = await findShim();
  return jar === undefined
    ? {
        name: 'shim',
        status: 'missing',
        found: 'not built',
        remedy: 'run `reprise setup` (needs Maven and a JDK)',
      }
    : { name: 'shim', status: 'ok', found: jar, remedy: null };
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
