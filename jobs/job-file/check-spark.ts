/**
 * The `spark:` section: what a job may set, and what may be told of it. Invariants: a setting that
 * changes what an expression means is refused, since results are kept by what they mean; values of
 * secret settings are in no document and no message.
 */
import {
  createRedactor,
  isOpenSecret,
  isSecretSetting,
} from '../../spark-bridge/channel/redact.js';
import { isMaster, MASTERS, type SparkSection } from '../../spark-bridge/submit/settings.js';
import { isSecretSource, OPEN_SECRET, readSecret, type SecretSource } from '../config/secrets.js';
import type { Problem } from './check-job.js';
import type { JobDocument } from './schema.js';

type SparkDocument = NonNullable<JobDocument['spark']>;

/** Settings that have a key of their own, or are what the way in decides. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'spark.master': 'say it as `spark.master` of the job',
  'spark.submit.deployMode': 'the driver runs here, in client mode',
  'spark.jars.packages': 'say them as `spark.packages` of the job',
};
/** Settings of Spark SQL that say where and how fast, not what. */
const HARMLESS_SQL =
  /^spark\.sql\.(catalog\b|catalogImplementation$|extensions$|warehouse\.dir$|hive\.metastore|files\.|shuffle\.partitions$|adaptive\.|autoBroadcastJoinThreshold$|broadcastTimeout$)/;

export function checkSpark(spark: JobDocument['spark']): Problem[] {
  const { master, conf = {} } = spark ?? {};
  const problems: Problem[] = Object.keys(conf).flatMap((key) => {
    const path = ['spark', 'conf', key];
    const message = settingProblem(key);
    if (message !== undefined) return [{ path, message, atKey: true }];
    return isOpenSecret(key, conf[key]) ? [{ path, message: OPEN_SECRET }] : [];
  });
  if (master !== undefined && !isMaster(master)) {
    const message = `expected ${MASTERS}, got ${JSON.stringify(master.slice(0, 120))}`;
    problems.push({ path: ['spark', 'master'], message });
  }
  return problems;
}

/** What is wrong with a setting of Spark by its name. */
export function settingProblem(key: string): string | undefined {
  if (!key.startsWith('spark.')) {
    return `expected a setting of Spark, whose names begin with \`spark.\`, got \`${key}\`; for Hadoop's put \`spark.hadoop.\` before it`;
  }
  const elsewhere = ELSEWHERE[key];
  if (elsewhere !== undefined) return `expected other settings, got \`${key}\`; ${elsewhere}`;
  if (key.startsWith('spark.sql.') && !HARMLESS_SQL.test(key)) {
    return `expected no setting that may change what expressions mean, got \`${key}\`; remove it`;
  }
  return undefined;
}

/** As the bridge takes it. @param folder of the job, where paths of secrets start */
export function sparkSection(spark: SparkDocument, folder: string): SparkSection {
  const { master, conf, packages } = spark;
  const entries = Object.entries(conf ?? {});
  const plain = entries.filter(([, value]) => typeof value !== 'object');
  const secret = entries.filter(([, value]) => typeof value === 'object');
  return {
    ...(master === undefined ? {} : { master }),
    ...(plain.length === 0
      ? {}
      : { conf: Object.fromEntries(plain.map(([key, value]) => [key, String(value)])) }),
    ...(secret.length === 0
      ? {}
      : {
          secrets: () =>
            Object.fromEntries(
              secret.map(([key, source]) => [
                key,
                readSecret(source as SecretSource, `spark.conf.${key}`, folder),
              ]),
            ),
        }),
    ...(packages === undefined ? {} : { packages }),
  };
}

/** Where files of secrets are named, for paths. */
export function secretFiles(document: unknown): string[][] {
  return confOf(document).map(([key]) => ['spark', 'conf', key, 'file']);
}

/** As it stands in run folders. */
export function shownSpark(spark: SparkDocument): SparkDocument {
  if (spark.conf === undefined) return spark;
  const shown = Object.entries(spark.conf).map(([key, value]) => {
    const isShown = typeof value === 'object' || !isSecretSetting(key, String(value));
    return [key, isShown ? value : '***'];
  });
  return { ...spark, conf: Object.fromEntries(shown) };
}

/** Takes the secrets of a document, checked or not, out of messages about it. */
export function scrubberOf(document: unknown): (text: string) => string {
  const redactor = createRedactor();
  for (const [key, value] of confOf(document)) {
    if (isSecretSource(value)) continue;
    for (const leaf of leavesOf(value)) redactor.addConf({ [key]: leaf });
  }
  return redactor.scrub;
}

function confOf(document: unknown): [string, unknown][] {
  const { conf } = ((document as { spark?: unknown } | null)?.spark ?? {}) as { conf?: unknown };
  return Object.entries(conf ?? {});
}

function leavesOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [String(value)];
  return Object.values(value).flatMap(leavesOf);
}
