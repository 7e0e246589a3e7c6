/**
 * What a user says about the Spark to run on, in the `spark:` section of a job file and in
 * REPRISE_SPARK_MASTER, and what becomes of it: one way in. Invariant: no error of this file
 * carries the value of a secret setting.
 */
import { ConfigError } from '../../driver/errors.js';
import { env, settingName } from '../../driver/support/env.js';

/** The `spark:` section of a job file, checked. */
export interface SparkSection {
  /** As Spark writes it: `spark://host:7077`, `yarn`, `k8s://https://..`, `local[4]`. */
  readonly master?: string;
  readonly conf?: Readonly<Record<string, string>>;
  /** Settings that are secrets, read when Spark is started. */
  readonly secrets?: () => Readonly<Record<string, string>>;
  /** Maven coordinates that driver and executors get, `group:artifact:version`. */
  readonly packages?: readonly string[];
}

export type SparkWay =
  | { readonly kind: 'embedded'; readonly conf: Readonly<Record<string, string>> }
  | { readonly kind: 'livy'; readonly url: string; readonly conf: Readonly<Record<string, string>> }
  | {
      readonly kind: 'submit';
      readonly master: string;
      readonly packages: readonly string[];
      readonly conf: Readonly<Record<string, string>>;
    };

/** Masters that Spark 3.5 and 4 know. */
const MASTER = /^(local(\[[^\]]+\])?|local-cluster\[[^\]]+\]|spark:\/\/\S+|yarn|k8s:\/\/\S+)$/;

export const MASTERS = 'spark://HOST:PORT, yarn, k8s://https://HOST:PORT or local[N]';

export const isMaster = (text: string): boolean => MASTER.test(text);

/** @throws ConfigError for two ways from job and environment, or a master unknown to Spark */
export function sparkWay(section: SparkSection = {}): SparkWay {
  const { packages = [] } = section;
  const conf = { ...section.conf, ...section.secrets?.() };
  const url = env.livyUrl();
  const master = section.master ?? env.sparkMaster();
  const key = section.master === undefined ? settingName('REPRISE_SPARK_MASTER') : 'spark.master';
  if (url !== undefined) {
    if (master !== undefined) {
      throw new ConfigError(
        `spark: expected one way to Spark, got ${key} and ${settingName('REPRISE_LIVY_URL')}; unset one of them`,
        { key, value: master },
      );
    }
    const more = packages.length > 0 ? { 'spark.jars.packages': packages.join(',') } : {};
    return { kind: 'livy', url, conf: { ...conf, ...more } };
  }
  // Packages are brought by spark-submit.
  if (master === undefined && packages.length === 0) return { kind: 'embedded', conf };
  if (master !== undefined && !isMaster(master)) {
    throw new ConfigError(
      `${key}: expected ${MASTERS}, got ${JSON.stringify(master.slice(0, 120))}`,
      { key, value: master },
    );
  }
  return { kind: 'submit', master: master ?? 'local[*]', packages, conf };
}

/** Whether everything of this master runs on this machine, and sees what we see. */
export function isLocalMaster(master: string): boolean {
  return /^local(\[|$|-cluster)/.test(master);
}
