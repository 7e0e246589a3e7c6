/**
 * Every setting there is, in one table: its key in settings files, its variable, its flag, what its
 * values are, and what holds without it. Light, as every command looks into it. Invariant: a setting
 * has one key and one variable; any has the variable `REPRISE_` and its key as well, with `__` for
 * each dot.
 */

import { PLACEMENTS } from '../../driver/compiler/pass.js';
import { REUSE_WORDS } from '../../driver/support/reuse-words.js';

/** What a setting's value may be. */
export type SettingKind =
  | 'text'
  | 'path'
  | 'size'
  | 'memory'
  | 'devices'
  | 'count'
  | 'days'
  | 'address'
  | 'secret'
  | 'list'
  | 'conf';

export interface Setting {
  readonly key: string;
  readonly variable: string;
  readonly kind: SettingKind;
  readonly flag?: string;
  /** Words that are values as they are; of `text` the only ones. */
  readonly words?: readonly string[];
  /** Where a job file says it too, which is between the environment and settings files. */
  readonly inJob?: readonly string[];
  /** What holds where nobody says anything, for people. */
  readonly fallback: string;
  readonly about: string;
}

const row = (
  key: string,
  kind: SettingKind,
  fallback: string,
  about: string,
  more: Partial<Setting> = {},
): Setting => ({ key, kind, fallback, about, variable: nestedVariable(key), ...more });

/** The variable any setting has. */
export function nestedVariable(key: string): string {
  return `REPRISE_${key.toUpperCase().replaceAll('.', '__')}`;
}

export const SETTINGS: readonly Setting[] = [
  row('home', 'path', '~/.cache/reprise', 'downloads and what is known of files'),
  row('engine', 'text', 'auto', 'where jobs run', {
    words: ['auto', 'local', 'spark'],
    flag: '--engine',
  }),
  row('output', 'path', 'runs', 'folder for run folders', { inJob: ['output'], flag: '--output' }),
  row('max_failures', 'count', 'none', 'failed candidates after which a search stops', {
    inJob: ['search', 'max_failures'],
    flag: '--max-failures',
  }),
  row('parallel', 'count', '2', 'steps of a pipeline that run at once', {
    inJob: ['parallel'],
    flag: '--parallel',
  }),
  row('memory', 'memory', '80%', 'what a run may take', { flag: '--memory' }),
  row('threads', 'count', 'all', 'threads of this machine'),
  row('blas', 'path', 'auto', 'a BLAS with LAPACK', { words: ['auto', 'none'] }),
  row('tensorflow', 'text', 'auto', 'TensorFlow.js for float32 products of networks', {
    words: ['auto', 'none', 'always'],
  }),
  row(
    'devices',
    'devices',
    'auto: GPUs',
    'GPUs beside the processor, by auto, none or names such as opencl:0',
    {
      inJob: ['devices'],
      flag: '--devices',
    },
  ),
  row('device_memory', 'memory', '90% of a GPU', 'what a device may give'),
  row('cuda', 'path', 'auto', "a folder of CUDA's libraries to look in first", {
    words: ['auto', 'none'],
  }),
  row('placement', 'text', 'cost', 'where steps run that several engines can run', {
    words: PLACEMENTS,
  }),
  row('reuse', 'text', 'full', 'what is reused', {
    words: REUSE_WORDS,
    inJob: ['reuse'],
    flag: '--reuse',
  }),
  row('log', 'text', 'off', 'level of the structured log on standard error', {
    words: ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
  }),
  row('verify', 'count', '0', '1: check the result of every rule of the compiler'),
  row('store.folder', 'path', '.reprise beside the job file', 'where results are kept', {
    variable: 'REPRISE_STORE',
    inJob: ['store', 'folder'],
    flag: '--no-store',
  }),
  row('store.size', 'size', '2GiB', 'what they may take', {
    variable: 'REPRISE_STORE_BYTES',
    inJob: ['store', 'size'],
  }),
  row('store.results', 'count', 'none', 'how many are kept', { variable: 'REPRISE_STORE_RESULTS' }),
  row('store.days', 'days', 'none', 'days without use after which one goes', {
    variable: 'REPRISE_STORE_DAYS',
  }),
  row('cache.policy', 'text', 'costSize', 'which values leave memory first', {
    variable: 'REPRISE_CACHE_POLICY',
    words: ['costSize', 'lru', 'dagHeight'],
  }),
  row('cache.spill', 'path', 'the temporary folder', 'where values go that leave memory', {
    variable: 'REPRISE_SPILL',
    words: ['on', 'off'],
  }),
  row('spark.home', 'path', 'none', 'a full Spark distribution', { variable: 'SPARK_HOME' }),
  row('spark.java', 'path', 'java on the PATH', 'a JDK', { variable: 'JAVA_HOME' }),
  row('spark.version', 'text', '4.2', 'the Spark that set-up brings', {
    variable: 'REPRISE_SPARK_VERSION',
  }),
  row('spark.master', 'text', 'this machine', 'a cluster, by spark-submit', {
    variable: 'REPRISE_SPARK_MASTER',
  }),
  row('spark.conf', 'conf', 'none', 'settings of Spark, by their names', {
    inJob: ['spark', 'conf'],
  }),
  row('spark.packages', 'list', 'none', 'Maven coordinates for driver and executors', {
    inJob: ['spark', 'packages'],
  }),
  ...(
    [
      ['url', 'address', 'none', 'the Livy server that Spark is reached by'],
      ['channel', 'text', 'auto', 'how data come back', ['auto', 'direct', 'statements']],
      ['mode', 'text', 'session', 'what Livy starts', ['session', 'batch']],
      ['allow', 'text', 'none', 'machines that a direct channel may lead to'],
      ['auth', 'text', 'by what is given', 'how to sign in', ['none', 'basic', 'bearer', 'spnego']],
      ['user', 'text', 'none', 'of basic authentication'],
      ['password', 'secret', 'none', 'of basic authentication'],
      ['token', 'secret', 'none', 'of bearer authentication'],
      ['ca', 'path', "the system's", 'PEM certificates to trust'],
      ['proxy_user', 'text', 'none', 'whose name Spark runs under'],
      ['jar', 'text', 'uploaded', "the shim's jar where the cluster reads it"],
      ['blas', 'text', 'ship', 'whose BLAS executors use', ['ship', 'own']],
      ['storage', 'text', 'none', 'a folder both sides reach'],
      ['spec', 'path', 'none', 'JSON file of memory, cores and queue'],
    ] as const
  ).map(([name, kind, fallback, about, words]) =>
    row(`livy.${name}`, kind, fallback, about, {
      variable: `REPRISE_LIVY_${name.toUpperCase()}`,
      ...(words ? { words } : {}),
    }),
  ),
];

/** Variables that are no settings of a file. */
export const OTHER_VARIABLES: readonly string[] = ['REPRISE_CONFIG'];

export function settingOf(key: string): Setting | undefined {
  return SETTINGS.find((setting) => setting.key === key);
}
