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
  const { findJava, findUsableSpark, requireJava } = await import('../../spark-bridge/index.js');
  const java = findJava();
  const remedy = 'install a JDK 17 and set JAVA_HOME or PATH; needed for Spark only';
  if (java === undefined)
    return { name: 'java', status: 'missing', found: 'no working java', remedy };
  const found = `Java ${java.version}`;
  try {
    requireJava(findUsableSpark().spark?.target.line);
    return { name: 'java', status: 'ok', found, remedy: null };
  } catch (error) {
    return { name: 'java', status: 'missing', found, remedy: messageOf(error) };
  }
}

export async function sparkCheck(): Promise<Finding> {
  const { findUsableSpark, LINES_TEXT } = await import('../../spark-bridge/index.js');
  const name = 'spark';
  try {
    const { spark, passedOver } = findUsableSpark();
    const text = spark && `Spark ${spark.version} in ${spark.jars}`;
    if (passedOver !== undefined) {
      const found = text ? `${passedOver}; --engine auto uses ${text}` : passedOver;
      const remedy = 'correct or unset SPARK_HOME';
      return { name, status: text ? 'degraded' : 'missing', found, remedy };
    }
    if (text !== undefined) return { name, status: 'ok', found: text, remedy: null };
    const remedy = `run \`reprise setup\`, or set SPARK_HOME to a Spark ${LINES_TEXT}`;
    return { name, status: 'missing', found: 'no jars of Spark', remedy };
  } catch (error) {
    const remedy = 'correct or unset REPRISE_SPARK_VERSION';
    return { name, status: 'missing', found: messageOf(error), remedy };
  }
}

export async function shimCheck(): Promise<Finding> {
  const { findUsableSpark, shimJar, wantedSpark } = await import('../../spark-bridge/index.js');
  const jar = shimJar(findUsableSpark().spark?.target ?? wantedSpark());
  return existsSync(jar)
    ? { name: 'shim', status: 'ok', found: jar, remedy: null }
    : {
        name: 'shim',
        status: 'missing',
        found: 'not built from these sources',
        remedy: 'run `reprise setup` (needs Maven and a JDK)',
      };
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
