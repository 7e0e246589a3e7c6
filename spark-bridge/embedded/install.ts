/**
 * Set-up of embedded Spark: Spark's jars through the user's Maven, and the shim built from its
 * sources. Invariant: what is found is used, what is made appears whole by one rename, and two
 * set-ups at once both succeed.
 */
import { existsSync } from 'node:fs';
import { copyFile, cp, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ExecutionError } from '../../driver/errors.js';
import { makeStaging, markUsed, sweepOld } from '../../driver/support/leftovers.js';
import { makeHomeFolder } from '../../driver/support/make-folder.js';
import { runMaven } from '../../driver/support/maven.js';
import { packageRoot } from '../../driver/support/package-root.js';
import {
  downloadedJars,
  findSpark,
  findUsableSpark,
  requireJava,
  type SparkInstallation,
  shimJar,
  wantedSpark,
} from './locations.js';
import { mavenProfile, type ShimTarget } from './spark-lines.js';

export interface SparkSetupOptions {
  /** `optional`: a `SPARK_HOME` that can't be used is passed over. Default `required`. */
  readonly sparkHome?: 'required' | 'optional';
  /** Called with a line for people as the work advances. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * The Spark to run; brings its jars (about 280 MB) when there is none. Idempotent.
 * @throws ConfigError without Maven or with a wrong `SPARK_HOME`, ExecutionError when Maven can't
 *   bring them
 */
export async function installSpark(options: SparkSetupOptions = {}): Promise<SparkInstallation> {
  const find = options.sparkHome === 'optional' ? () => findUsableSpark().spark : findSpark;
  const found = find();
  if (found !== undefined) return found;
  const wanted = wantedSpark();
  if (wanted.because !== undefined) options.onProgress?.(`spark: ${wanted.because}`);
  const target = dirname(downloadedJars(wanted));
  await makeHomeFolder(dirname(target));
  const staging = await makeStaging(dirname(target), '.spark-');
  try {
    options.onProgress?.(`spark: bringing Spark ${wanted.release} through Maven (about 280 MB)`);
    const jars = join(staging, 'spark', 'jars');
    await runMaven(
      [
        '--file',
        join(packageRoot(), 'scala-shim', 'pom.xml'),
        'dependency:copy-dependencies',
        `-DoutputDirectory=${jars}`,
        '-DincludeScope=provided',
        `-Dspark.version=${wanted.release}`,
        ...mavenProfile(wanted),
      ],
      {
        onLine: (line) => {
          const copied = /Copying (\S+\.jar)/.exec(line);
          if (copied) options.onProgress?.(`spark: ${copied[1]}`);
        },
        ...(options.signal ? { signal: options.signal } : {}),
      },
    );
    const names = existsSync(jars) ? await readdir(jars) : [];
    if (!names.some((name) => name.startsWith('spark-sql_'))) {
      throw new ExecutionError(
        `spark: expected spark-sql among the jars Maven brought, got ${names.length} others`,
        { op: 'setup', backend: 'spark' },
      );
    }
    await publish(join(staging, 'spark'), target, () => find() !== undefined);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  options.onProgress?.(`spark: Spark ${wanted.release} is in ${target}`);
  return find() as SparkInstallation;
}

/**
 * The shim's jar for a Spark, built (about 40 s) unless one of these very sources is there.
 * Idempotent.
 * @param options `target`: by default that of the Spark that would run here
 * @returns path of the jar
 * @throws ConfigError without Java or Maven, ExecutionError with the compiler's errors
 */
export async function buildShim(
  options: SparkSetupOptions & { readonly target?: ShimTarget } = {},
): Promise<string> {
  const target = options.target ?? findSpark()?.target ?? wantedSpark();
  const jar = shimJar(target);
  if (existsSync(jar)) {
    await markUsed(jar);
    return jar;
  }
  requireJava(target.line);
  await makeHomeFolder(dirname(jar));
  // Maven writes beside its pom, and the package may be read-only or built by two processes at
  // once.
  const staging = await makeStaging(dirname(jar), '.build-');
  try {
    options.onProgress?.(`shim: building it for Spark ${target.line} and Scala ${target.scala}`);
    const sources = join(packageRoot(), 'scala-shim');
    await cp(join(sources, 'pom.xml'), join(staging, 'pom.xml'));
    await cp(join(sources, 'src'), join(staging, 'src'), { recursive: true });
    await runMaven(
      ['--file', join(staging, 'pom.xml'), '-DskipTests', 'package', ...mavenProfile(target)],
      options.signal ? { signal: options.signal } : {},
    );
    const built = (await readdir(join(staging, 'target'))).find(
      (name) => name.startsWith('reprise-shim') && name.endsWith('.jar'),
    );
    if (built === undefined) {
      throw new ExecutionError('shim: expected a jar in target/, got none', {
        op: 'setup',
        backend: 'spark',
      });
    }
    await copyFile(join(staging, 'target', built), join(staging, 'shim.jar'));
    await rename(join(staging, 'shim.jar'), jar);
    await sweepOld(dirname(jar), (name) => name.endsWith('.jar'), OLD_JARS);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  options.onProgress?.(`shim: ${jar}`);
  return jar;
}

/** Jars of other versions, which other checkouts may still use. */
const OLD_JARS = { days: 30, newest: 8 };

async function publish(ready: string, target: string, isThere: () => boolean): Promise<void> {
  try {
    await rename(ready, target);
  } catch (error) {
    // Another set-up was first.
    if (!isThere()) throw error;
  }
}
