/** Checks the parts of the engines: DuckDB and BLAS for local runs, jars and shim for Spark. */
import { existsSync } from 'node:fs';
import type { ShimTarget, UsableSpark } from '../../spark-bridge/index.js';
import type { Finding } from './finding.js';

export async function duckdbCheck(): Promise<Finding> {
  try {
    const { duckDbVersion } = await import('../../gpu-executor/cpu/index.js');
    return { name: 'duckdb', status: 'ok', found: `DuckDB ${duckDbVersion()}`, remedy: null };
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

/** Nobody's need: steps go there where it is quicker. */
export async function tensorflowCheck(): Promise<Finding> {
  const { INSTALLED_BY, loadTensorFlow } = await import('../../gpu-executor/cpu/index.js');
  const loaded = await loadTensorFlow();
  const name = 'tensorflow';
  if (typeof loaded === 'string') {
    const remedy = `for float32 networks, most of all without a BLAS: ${INSTALLED_BY}`;
    return { name, status: 'degraded', found: loaded, remedy };
  }
  const found = `${loaded.description}, for float32 products that are measured to be quicker there`;
  return { name, status: 'ok', found, remedy: null };
}

export async function javaCheck(): Promise<Finding> {
  const { findJava, requireJava } = await import('../../spark-bridge/index.js');
  const java = findJava();
  if (java === undefined) {
    const remedy = 'install a JDK 17 and set JAVA_HOME or PATH; needed for Spark only';
    return { name: 'java', status: 'missing', found: 'no working java', remedy };
  }
  const found = `Java ${java.version}`;
  const { target } = await sparkHere();
  try {
    if (target !== undefined) requireJava(target.line);
    return { name: 'java', status: 'ok', found, remedy: null };
  } catch (error) {
    return { name: 'java', status: 'missing', found, remedy: messageOf(error) };
  }
}

export async function sparkCheck(): Promise<Finding> {
  const { LINES_TEXT } = await import('../../spark-bridge/index.js');
  const name = 'spark';
  const { spark, passedOver, because, problem } = await sparkHere();
  const text = spark && `Spark ${spark.version} in ${spark.jars}${because ? ` (${because})` : ''}`;
  if (problem !== undefined) {
    const remedy = 'correct or unset REPRISE_SPARK_VERSION';
    return { name, status: 'missing', found: problem, remedy };
  }
  if (passedOver !== undefined) {
    const found = text ? `${passedOver}; --engine auto uses ${text}` : passedOver;
    const remedy = 'correct or unset SPARK_HOME';
    return { name, status: text ? 'degraded' : 'missing', found, remedy };
  }
  if (text !== undefined) return { name, status: 'ok', found: text, remedy: null };
  const remedy = `run \`reprise setup\`, or set SPARK_HOME to a Spark ${LINES_TEXT}`;
  return { name, status: 'missing', found: 'no jars of Spark', remedy };
}

export async function shimCheck(): Promise<Finding> {
  const { shimJar } = await import('../../spark-bridge/index.js');
  const { target } = await sparkHere();
  const name = 'shim';
  const jar = target && shimJar(target);
  if (jar !== undefined && existsSync(jar)) return { name, status: 'ok', found: jar, remedy: null };
  return {
    name,
    status: 'missing',
    found: jar ? 'not built from these sources' : 'which one depends on the Spark',
    remedy: jar ? 'run `reprise setup` (needs Maven and a JDK)' : 'mend what is said of spark',
  };
}

interface SparkHere extends Partial<UsableSpark> {
  /** What its shim is built for; of the Spark that set-up would bring when there is none yet. */
  readonly target?: ShimTarget;
  readonly because?: string;
  /** A setting that can't be right. */
  readonly problem?: string;
}

async function sparkHere(): Promise<SparkHere> {
  const { findUsableSpark, wantedSpark } = await import('../../spark-bridge/index.js');
  try {
    const found = findUsableSpark();
    const wanted = wantedSpark();
    const { because } = found.spark?.origin === 'home' ? {} : wanted;
    return { ...found, target: found.spark?.target ?? wanted, ...(because ? { because } : {}) };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
