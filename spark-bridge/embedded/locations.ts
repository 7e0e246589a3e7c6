/**
 * Where embedded Spark's parts are on this machine: Java, Spark's jars, the shim's jar, the native BLAS. Nothing here
 * downloads or starts anything.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, InternalError } from '../../driver/errors.js';
import { env } from '../../driver/support/env.js';

export const sparkVersion = '3.5.6';

export type ScalaVersion = '2.12' | '2.13';

export interface SparkInstallation {
  /** Folder with Spark's jars. */
  readonly jars: string;
  readonly version: string;
  readonly scala: ScalaVersion;
  /** `home`: `SPARK_HOME`; `downloaded`: brought by set-up. */
  readonly origin: 'home' | 'downloaded';
}

/** The folder of the package, from the sources as well as from `dist`. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'scala-shim', 'pom.xml'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new InternalError('package: expected scala-shim/pom.xml above it');
    folder = parent;
  }
  return folder;
}

/** Folder that set-up puts Spark's jars in. */
export function downloadedJars(): string {
  return join(env.home(), `spark-${sparkVersion}_2.12`, 'jars');
}

/**
 * The Spark to run: `SPARK_HOME` if set, else the one set-up brought, else undefined.
 * @throws ConfigError when `SPARK_HOME` holds no Spark 3.5
 */
export function findSpark(): SparkInstallation | undefined {
  const home = env.sparkHome();
  if (home === undefined) {
    const jars = downloadedJars();
    return existsSync(jars)
      ? { jars, version: sparkVersion, scala: '2.12', origin: 'downloaded' }
      : undefined;
  }
  const jars = join(home, 'jars');
  const names = existsSync(jars) ? readdirSync(jars) : [];
  const core = names
    .map((name) => /^spark-core_(2\.1[23])-(\d+\.\d+)(\S*)\.jar$/.exec(name))
    .find((match) => match !== null);
  if (core?.[2] !== '3.5') {
    throw new ConfigError(
      `SPARK_HOME: expected a folder of Spark 3.5 with its jars, got ${core ? `Spark ${core[2]}` : 'no spark-core'} in ${jars}; unset it to use the Spark that \`reprise setup\` brings`,
      { key: 'SPARK_HOME', value: home, source: 'env' },
    );
  }
  return {
    jars,
    version: `${core[2]}${core[3]}`,
    scala: core[1] as ScalaVersion,
    origin: 'home',
  };
}

export interface JavaInstallation {
  readonly command: string;
  readonly version: string;
  readonly major: number;
}

/** The Java of `JAVA_HOME`, else of the PATH; undefined when there is none. */
export function findJava(): JavaInstallation | undefined {
  const home = env.javaHome();
  const command = home === undefined ? 'java' : join(home, 'bin', 'java');
  const { status, stderr } = spawnSync(command, ['-version'], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  const version = status === 0 ? /version "([^"]+)"/.exec(stderr)?.[1] : undefined;
  if (version === undefined) return undefined;
  const [first, second] = version.split(/[._]/);
  return { command, version, major: Number(first === '1' ? second : first) };
}

/**
 * The Java to run Spark with.
 * @throws ConfigError when there is none or Spark 3.5 does not run on it
 */
export function requireJava(): JavaInstallation {
  const java = findJava();
  if (java === undefined) {
    throw new ConfigError(
      `spark: expected Java 17 (JAVA_HOME or \`java\` on the PATH), got none; install a JDK 17, or run with --engine local`,
      { key: 'JAVA_HOME', value: env.javaHome() ?? null, source: 'env' },
    );
  }
  if (java.major !== 8 && java.major !== 11 && java.major < 17) {
    throw new ConfigError(
      `spark: expected Java 8, 11, 17 or later, got ${java.version}; set JAVA_HOME to a JDK 17`,
      { key: 'JAVA_HOME', value: java.version, source: 'env' },
    );
  }
  return java;
}

/** The folder of a `libblas.so.3` that set-up brought; undefined leaves the search to the system. */
export function findNativeBlasFolder(): string | undefined {
  const native = join(env.home(), 'native');
  if (!existsSync(native)) return undefined;
  return readdirSync(native)
    .filter((name) => name.startsWith('openblas-'))
    .sort()
    .reverse()
    .map((name) => join(native, name))
    .find((folder) => existsSync(join(folder, 'libblas.so.3')));
}

/** Libraries of that BLAS that other machines like this one can be sent; none but for Linux. */
export function nativeBlasFiles(): string[] {
  const folder = process.platform === 'linux' ? findNativeBlasFolder() : undefined;
  if (folder === undefined) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(folder, entry.name));
}

/** The files the shim is built from, sorted, relative to its folder. */
export function shimSources(): string[] {
  const folder = join(packageRoot(), 'scala-shim');
  const source = join('src', 'main');
  const files = readdirSync(join(folder, source), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  return ['pom.xml', ...files.sort()];
}

/** Where the jar of these sources is, or will be: named by their digest, so it is never of another version. */
export function shimJar(scala: ScalaVersion): string {
  const folder = join(packageRoot(), 'scala-shim');
  const hash = createHash('sha256');
  for (const file of shimSources()) {
    hash
      .update(`${file.replaceAll('\\', '/')}\n`)
      .update(readFileSync(join(folder, file)))
      .update('\n');
  }
  return join(env.home(), 'shim', `reprise-shim_${scala}-${hash.digest('hex').slice(0, 16)}.jar`);
}
