/**
 * Where embedded Spark's parts are on this machine: Java, Spark's jars, the shim's jar, the native
 * BLAS. Nothing here downloads or starts anything.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { env } from '../../driver/support/env.js';
import { packageRoot } from '../../driver/support/package-root.js';
import {
  DEFAULT_LINE,
  LINES_TEXT,
  lineOf,
  OLDEST_LINE,
  type ShimTarget,
  SPARK_LINES,
  type SparkLine,
  shimTarget,
} from './spark-lines.js';

export interface SparkInstallation {
  /** Folder with Spark's jars. */
  readonly jars: string;
  readonly version: string;
  /** The shim it needs. */
  readonly target: ShimTarget;
  /** `home`: `SPARK_HOME`; `downloaded`: brought by set-up. */
  readonly origin: 'home' | 'downloaded';
}

/** The release that set-up brings and a run without `SPARK_HOME` uses. */
export interface WantedSpark extends ShimTarget {
  readonly release: string;
  /** Why it is not the default although no setting says so. */
  readonly because?: string;
}

/**
 * What `REPRISE_SPARK_VERSION` asks for (a line or a release); without it the default, or the
 * oldest line where Java is too old for that.
 * @throws ConfigError when it is none of the lines we run on
 */
export function wantedSpark(): WantedSpark {
  const asked = env.sparkVersion();
  if (asked !== undefined) {
    const line = lineOf(asked);
    if (line === undefined || !/^\d+\.\d+(\.\d+)?$/.test(asked)) {
      throw new ConfigError(
        `REPRISE_SPARK_VERSION: expected Spark ${LINES_TEXT} (or a release of these, 4.1.1 say), got ${JSON.stringify(asked.slice(0, 40))}`,
        {
          key: 'REPRISE_SPARK_VERSION',
          value: asked,
          source: 'env',
          allowed: Object.keys(SPARK_LINES),
        },
      );
    }
    const { release, scala } = SPARK_LINES[line];
    return { line, release: asked === line ? release : asked, scala: scala[0] };
  }
  const java = findJava();
  const isOld = java !== undefined && !SPARK_LINES[DEFAULT_LINE].runsOn(java.major);
  const line = isOld ? OLDEST_LINE : DEFAULT_LINE;
  const { release, scala } = SPARK_LINES[line];
  const because = `Java ${java?.version} runs Spark ${line}, and Spark ${DEFAULT_LINE} needs ${SPARK_LINES[DEFAULT_LINE].java}`;
  return { line, release, scala: scala[0], ...(isOld ? { because } : {}) };
}

/** Folder that set-up puts Spark's jars in; releases lie side by side. */
export function downloadedJars({ release, scala }: WantedSpark = wantedSpark()): string {
  return join(env.home(), `spark-${release}_${scala}`, 'jars');
}

function downloadedSpark(): SparkInstallation | undefined {
  const wanted = wantedSpark();
  const jars = downloadedJars(wanted);
  if (!existsSync(jars)) return undefined;
  const target = { line: wanted.line, scala: wanted.scala };
  return { jars, version: wanted.release, target, origin: 'downloaded' };
}

/**
 * The Spark to run: `SPARK_HOME` if set, else the one set-up brought, else undefined.
 * @throws ConfigError when `SPARK_HOME` holds no Spark that we run on
 */
export function findSpark(): SparkInstallation | undefined {
  const home = env.sparkHome();
  return home === undefined ? downloadedSpark() : sparkOf(home);
}

/** None where there is no folder, or none that can be read. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function sparkOf(home: string): SparkInstallation {
  const jars = join(home, 'jars');
  const core = namesIn(jars)
    .map((name) => /^spark-core_(\d+\.\d+)-(\d+\.\S*)\.jar$/.exec(name))
    .find((match) => match !== null);
  const remedy = 'unset it to use the Spark that `reprise setup` brings';
  const refuse = (expected: string, got: string): ConfigError =>
    new ConfigError(`SPARK_HOME: expected ${expected}, got ${got} in ${jars}; ${remedy}`, {
      key: 'SPARK_HOME',
      value: home,
      source: 'env',
    });
  const expected = `a folder of Spark ${LINES_TEXT} with its jars`;
  if (core?.[1] === undefined || core[2] === undefined) throw refuse(expected, 'no spark-core');
  const [, scala, version] = core;
  if (lineOf(version) === undefined) throw refuse(expected, `Spark ${version}`);
  const target = shimTarget({ spark: version, scala }, 'SPARK_HOME');
  const asked = env.sparkVersion();
  if (asked !== undefined && !`${version}.`.startsWith(`${asked}.`))
    throw refuse(`Spark ${asked}, which REPRISE_SPARK_VERSION asks for,`, `Spark ${version}`);
  return { jars, version, target, origin: 'home' };
}

/** A Spark that can be used, and why `SPARK_HOME` is passed over, if it is. */
export interface UsableSpark {
  readonly spark: SparkInstallation | undefined;
  readonly passedOver?: string;
}

/** As `findSpark`, where Spark is not required: an unusable `SPARK_HOME` stops nothing. */
export function findUsableSpark(): UsableSpark {
  if (env.sparkHome() === undefined) return { spark: downloadedSpark() };
  try {
    const spark = findSpark();
    requireJava(spark?.target.line);
    return { spark };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { spark: downloadedSpark(), passedOver: error.message };
  }
}

export interface JavaInstallation {
  readonly command: string;
  readonly version: string;
  readonly major: number;
}

/** By command: starting one takes a moment, and its version is asked for often. */
const knownJavas = new Map<string, JavaInstallation>();

/** The Java of `JAVA_HOME`, else of the PATH; undefined when there is none. */
export function findJava(): JavaInstallation | undefined {
  const home = env.javaHome();
  const command = home === undefined ? 'java' : join(home, 'bin', 'java');
  const known = knownJavas.get(command);
  if (known !== undefined) return known;
  const { status, stderr } = spawnSync(command, ['-version'], {
    encoding: 'utf8',
    timeout: 20_000,
    env: env.forChild(),
  });
  const version = status === 0 ? /version "([^"]+)"/.exec(stderr)?.[1] : undefined;
  if (version === undefined) return undefined;
  const [first, second] = version.split(/[._]/);
  const java = { command, version, major: Number(first === '1' ? second : first) };
  knownJavas.set(command, java);
  return java;
}

/**
 * The Java to run a line of Spark with.
 * @throws ConfigError when there is none or that Spark does not run on it
 */
export function requireJava(line: SparkLine = wantedSpark().line): JavaInstallation {
  const java = findJava();
  if (java === undefined) {
    throw new ConfigError(
      `spark: expected Java 17 (JAVA_HOME or \`java\` on the PATH), got none; install a JDK 17, or run with --engine local`,
      { key: 'JAVA_HOME', value: env.javaHome() ?? null, source: 'env' },
    );
  }
  const { runsOn, java: expected } = SPARK_LINES[line];
  if (!runsOn(java.major)) {
    throw new ConfigError(
      `spark: expected ${expected} for Spark ${line}, got ${java.version}; set JAVA_HOME to a JDK 17`,
      { key: 'JAVA_HOME', value: java.version, source: 'env' },
    );
  }
  return java;
}

/** The folder of the `libblas.so.3` that set-up brought; undefined: the system searches. */
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

/** The files the shim is built from, of a target or of all, sorted, relative to its folder. */
export function shimSources(target?: ShimTarget): string[] {
  const folder = join(packageRoot(), 'scala-shim');
  const parts = target ? ['scala', 'resources', SPARK_LINES[target.line].sources] : ['.'];
  const files = parts.flatMap((part) =>
    readdirSync(join(folder, 'src', 'main', part), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)),
  );
  return ['pom.xml', ...files.sort()];
}

/** Of the sources of a target's shim, or of every shim's. */
export function shimDigest(target?: ShimTarget): string {
  const folder = join(packageRoot(), 'scala-shim');
  const hash = createHash('sha256');
  for (const file of shimSources(target)) {
    hash
      .update(`${file.replaceAll('\\', '/')}\n`)
      .update(readFileSync(join(folder, file)))
      .update('\n');
  }
  return hash.digest('hex').slice(0, 16);
}

/** Where the jar of these sources is or will be; their digest in its name keeps versions apart. */
export function shimJar(target: ShimTarget): string {
  const name = `reprise-shim_${target.scala}-spark${target.line}-${shimDigest(target)}.jar`;
  return join(env.home(), 'shim', name);
}
