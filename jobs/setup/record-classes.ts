/**
 * Makes the class archive of embedded Spark (`class-archive.ts`): runs the first job of the examples
 * in a JVM that writes what it loaded as it ends. Idempotent; appears whole by one rename.
 */
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ConfigError, ExecutionError } from '../../driver/errors.js';
import { createReferenceBackend, Session } from '../../driver/index.js';
import { makeStaging, sweepOld } from '../../driver/support/leftovers.js';
import { packageRoot } from '../../driver/support/package-root.js';
import { createDuckDbEngine } from '../../gpu-executor/cpu/index.js';
import {
  buildShim,
  classArchive,
  createSparkBackend,
  installSpark,
  requireJava,
  type SparkSetupOptions,
} from '../../spark-bridge/index.js';
import { readJob } from '../job-file/read-job.js';
import { runJob } from '../run-job.js';

/** 100 MB each. */
const OLD_ARCHIVES = { days: 7, newest: 2 };
const HEAP_BYTES = 1024 ** 3;

/** @returns the archive's path @throws ConfigError where this Java writes none, ExecutionError */
export async function recordClasses(options: SparkSetupOptions): Promise<string> {
  const spark = await installSpark(options);
  const java = requireJava(spark.target.line);
  const shim = await buildShim({ ...options, target: spark.target });
  const archive = classArchive(java, spark, shim);
  if (archive === undefined)
    throw new ConfigError(`classes: expected Java 13 or later, got ${java.version}`, {
      key: 'JAVA_HOME',
      value: java.version,
    });
  if (existsSync(archive)) return archive;
  options.onProgress?.('classes: running a first job, so that Spark starts faster from now on');
  const staging = await makeStaging(dirname(archive), '.classes-');
  try {
    const recorded = join(staging, 'classes.jsa');
    await runFirstJob(recorded, options.signal);
    if (!existsSync(recorded))
      throw new ExecutionError('classes: expected the JVM to leave its classes, got none', {
        op: 'setup',
        backend: 'spark',
      });
    await rename(recorded, archive);
    await sweepOld(dirname(archive), (name) => name.endsWith('.jsa'), OLD_ARCHIVES);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return archive;
}

/** In a session without a store: it must compute. */
async function runFirstJob(recordTo: string, signal?: AbortSignal): Promise<void> {
  const job = await readJob(join(packageRoot(), 'examples', 'first-job.yaml'));
  const duckdb = createDuckDbEngine();
  const blocks = await createSparkBackend({
    sql: duckdb.sql,
    memoryBytes: HEAP_BYTES,
    recordClasses: recordTo,
    ...(signal ? { signal } : {}),
  });
  const local = createReferenceBackend();
  const session = new Session({ local, blocks, placement: 'blocks' });
  try {
    const open = { session, engine: 'spark', frames: blocks.frames, duckdb } as const;
    await runJob(job, { engine: 'spark', open, ...(signal ? { signal } : {}) });
  } finally {
    await session.close();
  }
}
