/**
 * The command line of `spark-submit` in client mode: the shim is its application, runs on this
 * machine, and reads token and settings from its standard input as the embedded one does.
 * Invariants: no secret setting stands on the command line; what the cluster's own defaults
 * (`spark-defaults.conf`) say is overruled only where the shim would not work.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { env } from '../../driver/support/env.js';
import { isSecretSetting } from '../channel/redact.js';
import { javaArguments, javaOptions } from '../embedded/java-options.js';
import { type Launch, type LaunchParts, shimEnvironment } from '../embedded/launch.js';
import { findNativeBlasFolder } from '../embedded/locations.js';
import { isLocalMaster } from './settings.js';

export interface SubmitOptions {
  readonly master: string;
  readonly packages?: readonly string[];
}

export interface SubmitParts extends SubmitOptions {
  readonly conf: Readonly<Record<string, string>>;
  readonly jar: string;
  /** Heap of the driver. @units bytes */
  readonly memoryBytes: number;
}

const SUBMIT_CLASS = 'org.apache.spark.deploy.SparkSubmit';
const SHIM_CLASS = 'reprise.shim.server.Main';
const JAVA_OPTIONS = 'spark.driver.extraJavaOptions';
/** Settings that go another way than `--conf`. */
const SAID_OTHERWISE: ReadonlySet<string> = new Set([
  'spark.app.name',
  'spark.driver.memory',
  JAVA_OPTIONS,
]);

/** What `spark-submit` is given, whether a script or its class runs it. */
export function submitArguments(parts: SubmitParts): string[] {
  const { master, packages = [], conf, jar, memoryBytes } = parts;
  const settings = Object.entries({ ...clusterSettings(master), ...conf });
  return [
    ...['--master', master, '--deploy-mode', 'client'],
    ...['--name', conf['spark.app.name'] ?? 'reprise', '--class', SHIM_CLASS],
    '--driver-memory',
    conf['spark.driver.memory'] ?? `${Math.floor(memoryBytes / 1024 ** 2)}m`,
    ...(packages.length > 0 ? ['--packages', packages.join(',')] : []),
    ...settings
      .filter(([key, value]) => !isSecretSetting(key, value) && !SAID_OTHERWISE.has(key))
      .flatMap(([key, value]) => ['--conf', `${key}=${value}`]),
    jar,
  ];
}

/** Options of the driver's JVM by the user: in a file where one is a secret. */
function driverOptions(conf: Readonly<Record<string, string>>, scratch: string): string[] {
  const text = conf[JAVA_OPTIONS] ?? '';
  const options = text.split(/\s+/).filter((option) => option !== '');
  if (!isSecretSetting(JAVA_OPTIONS, text)) return options;
  const file = join(scratch, 'driver-options');
  const lines = options.map((option) => `"${option.replaceAll(/["\\]/g, '\\$&')}"\n`);
  writeFileSync(file, lines.join(''), { mode: 0o600, flag: 'wx' });
  return [`@${file}`];
}

/** Settings the shim needs on a cluster. Addresses are left to Spark: executors need the driver. */
export function clusterSettings(master: string): Record<string, string> {
  const blas = findNativeBlasFolder();
  const isShipped = !isLocalMaster(master) && process.platform === 'linux' && blas !== undefined;
  return {
    'spark.driver.maxResultSize': '0',
    'spark.ui.showConsoleProgress': 'false',
    'spark.cleaner.referenceTracking.blocking': 'false',
    // One thread a task, as tasks fill the cores.
    'spark.executorEnv.OPENBLAS_NUM_THREADS': '1',
    'spark.executorEnv.OMP_NUM_THREADS': '1',
    ...(isShipped ? { 'spark.reprise.nativeBlas': blas } : {}),
    ...(isLocalMaster(master)
      ? { 'spark.driver.host': '127.0.0.1', 'spark.driver.bindAddress': '127.0.0.1' }
      : {}),
  };
}

export function submitLaunch(submit: SubmitOptions, parts: LaunchParts): Launch {
  const { java, spark, jar, memoryBytes, logSettings, scratch, given } = parts;
  const { line } = spark.target;
  const args = submitArguments({ ...submit, conf: given, jar, memoryBytes });
  const own = driverOptions(given, scratch);
  const env = shimEnvironment(isLocalMaster(submit.master));
  const { SPARK_LOCAL_DIRS = scratch, SPARK_SUBMIT_OPTS } = env;
  const common = { cwd: process.cwd(), conf: given };
  const script = scriptOf(spark.origin === 'home' ? dirname(spark.jars) : undefined);
  if (script === undefined) {
    const more = given['spark.driver.extraClassPath'];
    const path = [join(spark.jars, '*'), ...(more === undefined ? [] : [more])];
    const options = javaArguments(java, line, memoryBytes, path, logSettings, SUBMIT_CLASS);
    return {
      ...common,
      command: java.command,
      args: [...options.slice(0, -1), ...own, SUBMIT_CLASS, ...args],
      env: { ...env, SPARK_LOCAL_DIRS },
    };
  }
  const options = [...javaOptions(java, line, logSettings), ...own].map((one) => `"${one}"`);
  const all = [...(SPARK_SUBMIT_OPTS === undefined ? [] : [SPARK_SUBMIT_OPTS]), ...options];
  const submitEnv = { ...env, SPARK_LOCAL_DIRS, SPARK_SUBMIT_OPTS: all.join(' ') };
  return { ...common, command: script, args, env: submitEnv };
}

/** The script of a Spark distribution; where there is none, the class it runs is in the jars. */
function scriptOf(home: string | undefined): string | undefined {
  const script = home === undefined ? undefined : join(home, 'bin', 'spark-submit');
  return script !== undefined && existsSync(script) ? script : undefined;
}

/**
 * A standalone cluster is reached with the jars of embedded Spark as well; others need their own
 * Spark and its settings.
 * @throws ConfigError when this master does, and there is none
 */
export function requireSubmit(master: string): void {
  const home = env.sparkHome();
  const isOurs = isLocalMaster(master) || master.startsWith('spark://');
  if (isOurs || scriptOf(home) !== undefined) return;
  const got = home === undefined ? 'no SPARK_HOME' : `no ${join(home, 'bin', 'spark-submit')}`;
  throw new ConfigError(
    `spark: expected the Spark of the cluster to start ${master} by its bin/spark-submit, got ${got}; set SPARK_HOME to its folder (and HADOOP_CONF_DIR for YARN)`,
    { key: 'SPARK_HOME', value: home ?? null, source: 'env' },
  );
}
