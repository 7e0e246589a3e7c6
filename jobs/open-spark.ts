/** Opens the Spark that the job and the environment name, and says which of 3 ways it took. */
import type { SqlParser } from '../driver/frame/sql/parser.js';
import type { SparkBackend, SparkSection } from '../spark-bridge/index.js';

export interface OpenSparkOptions {
  readonly section?: SparkSection;
  /** What to do with a `SPARK_HOME` that can't be used. */
  readonly sparkHome: 'required' | 'optional';
  readonly onWarning?: (message: string) => void;
  /** Told of each step of setting up and starting. */
  readonly onProgress?: (what: string) => void;
  /** Called when a process of its own has begun to start, which takes seconds. */
  readonly onSpawned?: () => void;
  readonly signal?: AbortSignal;
  /** Reads feature expressions. */
  readonly sql?: SqlParser;
}

export interface OpenSpark {
  readonly backend: SparkBackend;
  /** How it is reached, where it runs and what its kernels use, for people. */
  readonly way: string;
}

/** @throws ConfigError when two ways are named, or something for the one is missing */
export async function openSpark(options: OpenSparkOptions): Promise<OpenSpark> {
  const { section, sparkHome, onWarning, onProgress, onSpawned, signal, sql } = options;
  const bridge = await import('../spark-bridge/index.js');
  const way = bridge.sparkWay(section);
  const given = {
    ...(onWarning ? { onWarning } : {}),
    ...(onProgress ? { onProgress } : {}),
    ...(onSpawned ? { onSpawned } : {}),
    ...(signal ? { signal } : {}),
    ...(sql ? { sql } : {}),
  };
  if (way.kind === 'livy') {
    const backend = await bridge.createLivyBackend({ ...given, spec: { conf: way.conf } });
    const channel = backend.channel.kind === 'livy' ? 'statements' : 'direct';
    return { backend, way: wayText(backend, `by Livy (${channel})`) };
  }
  const { conf } = way;
  if (way.kind === 'embedded') {
    const backend = await bridge.createSparkBackend({ ...given, sparkHome, conf });
    return { backend, way: wayText(backend, 'embedded') };
  }
  const submit = { master: way.master, packages: way.packages };
  const backend = await bridge.createSparkBackend({ ...given, sparkHome, conf, submit });
  return { backend, way: wayText(backend, 'by spark-submit') };
}

function wayText({ description, survey }: SparkBackend, how: string): string {
  const { text, isNative } = survey.blas(description);
  const executors = survey.describe();
  return [
    `Spark ${description.spark} ${how} on ${description.master}`,
    ...(executors === '' ? [] : [executors]),
    `${isNative ? 'native' : "Java's"} BLAS (${text})`,
  ].join(', ');
}
