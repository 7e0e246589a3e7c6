/**
 * Rules of a job file that span several keys. Each problem names the one key to change, what was
 * expected there and what came, in the same form as the problems of single keys.
 */

import { hasPassword, NO_PASSWORD } from '../../driver/frame/addresses.js';
import { HASHING_KEYS } from '../../driver/frame/feature-spec.js';
import { checkSearch } from './check-search.js';
import { checkSpark } from './check-spark.js';
import { namedEstimator, namedModels } from './model-schema.js';
import type { JobDocument } from './schema.js';
import { checkScoring } from './scoring-schema.js';
import { checkSplits } from './split-schema.js';
import type { KeyPath } from './yaml-source.js';

export interface Problem {
  readonly path: KeyPath;
  /** Reads `expected .., got ..`. */
  readonly message: string;
  /** Whether the place to show is the key itself rather than its value. */
  readonly atKey?: boolean;
}

/** Everything wrong with a document whose single keys are right; empty when it is valid. */
export function checkJob(document: JobDocument): Problem[] {
  return [
    ...checkSource(document.data),
    ...checkReading(document.data),
    ...checkWeight(document),
    ...checkSearch(document),
    ...checkSplits(
      document.cv,
      namedEstimator(document)?.task === 'classification',
      document.data.target !== undefined,
    ),
    ...checkScoring(document.scoring, document.refit),
    ...checkTarget(document.data),
    ...checkFeatures(document),
    ...checkSpark(document.spark),
  ];
}

function checkSource({ path, table, format }: JobDocument['data']): Problem[] {
  if (path === undefined && table === undefined) {
    return [{ path: ['data'], message: 'expected `path` or `table`, got neither' }];
  }
  const at = (key: string, message: string): Problem => ({
    path: ['data', key],
    message,
    atKey: true,
  });
  if (path !== undefined && table !== undefined) {
    return [at('table', 'expected no `table` together with `path`, got both; remove one')];
  }
  if (path !== undefined && hasPassword(path)) {
    return [{ path: ['data', 'path'], message: NO_PASSWORD }];
  }
  if (table === undefined || format === undefined) return [];
  return [at('format', 'expected no `format` together with `table`, which has its own; remove it')];
}

/** Characters of a CSV file that would mean two things, and options of a format that has none. */
function checkReading({ csv = {}, schema, format, table }: JobDocument['data']): Problem[] {
  const problems: Problem[] = [];
  const others = format !== undefined && format !== 'csv' && format !== 'jsonl' ? format : table;
  if (schema !== undefined && others !== undefined) {
    const message = `expected no \`schema\` for ${others}, which has types of its own; remove it`;
    problems.push({ path: ['data', 'schema'], message, atKey: true });
  }
  const notCsv = format !== undefined && format !== 'csv' ? format : table;
  if (Object.keys(csv).length > 0 && notCsv !== undefined) {
    const message = `expected no \`csv\` for ${notCsv}, got both; remove one`;
    problems.push({ path: ['data', 'csv'], message, atKey: true });
  }
  const roles = [
    ['delimiter', csv.delimiter],
    ['quote', csv.quote],
    ['comment', csv.comment],
  ] as const;
  for (const [i, [key, value]] of roles.entries()) {
    const twin = roles.slice(0, i).find(([, other]) => value && other === value);
    if (twin === undefined) continue;
    const message = `expected another character than \`${twin[0]}\`, got ${JSON.stringify(value)} for both`;
    problems.push({ path: ['data', 'csv', key], message });
  }
  if (csv.thousands !== undefined && csv.thousands === (csv.decimal ?? '.')) {
    const message = `expected another character than \`decimal\`, got ${JSON.stringify(csv.thousands)} for both`;
    problems.push({ path: ['data', 'csv', 'thousands'], message });
  }
  return problems;
}

function checkWeight(document: JobDocument): Problem[] {
  const estimator = namedModels(document).find((one) => one?.estimator.takesWeights === false)?.estimator; // biome-ignore format: a rule
  if (document.data.weight === undefined || estimator === undefined) return [];
  const message = `expected no \`weight\` for ${estimator.name}, whose fits take none; remove it`;
  return [{ path: ['data', 'weight'], message, atKey: true }];
}

/** An expression is no column: what columns are left out by, or where the columns are not said. */
function checkTarget(data: JobDocument['data']): Problem[] {
  const { target, features, drop_missing_target: drops } = data;
  if (target === undefined || typeof target === 'string') return [];
  const problems: Problem[] = [];
  if (features === undefined) {
    const message = `expected \`features\` beside a target with \`sql\`, got none; list those to predict ${target.name} from, without the columns it is made of`;
    problems.push({ path: ['data', 'target'], message, atKey: true });
  }
  if (drops) {
    const message =
      'expected a column as target, got one with `sql`; leave rows out in the data, or say coalesce(.., value) in the expression';
    problems.push({ path: ['data', 'drop_missing_target'], message, atKey: true });
  }
  return problems;
}

function checkFeatures(document: JobDocument): Problem[] {
  const problems: Problem[] = [];
  const seen = new Map<string, number>();
  for (const [i, given] of (document.data.features ?? []).entries()) {
    const feature = typeof given === 'string' ? { name: given } : given;
    const at = (...rest: string[]): KeyPath => ['data', 'features', i, ...rest];
    const nameAt = typeof given === 'string' ? at() : at('name');
    if (seen.has(feature.name))
      problems.push({
        path: nameAt,
        message: `expected each feature once, got "${feature.name}" twice`,
      });
    seen.set(feature.name, i);
    if (feature.name === document.data.target && feature.sql === undefined)
      problems.push({
        path: nameAt,
        message: `expected a column other than the target, got "${feature.name}"`,
      });
    problems.push(...checkEncoding(feature, at));
  }
  return problems;
}

function checkEncoding(
  feature: Exclude<NonNullable<JobDocument['data']['features']>[number], string>,
  at: (...rest: string[]) => KeyPath,
): Problem[] {
  const problems: Problem[] = [];
  const encode = feature.encode ?? 'number';
  const only = (key: string, needed: string): Problem => ({
    path: at(key),
    message: `expected \`encode: ${needed}\` together with \`${key}\`, got \`encode: ${encode}\``,
    atKey: true,
  });
  if (feature.top !== undefined && encode !== 'onehot') problems.push(only('top', 'onehot'));
  if (feature.bins !== undefined && encode !== 'bin') problems.push(only('bins', 'bin'));
  if (encode !== 'hash') {
    for (const key of HASHING_KEYS)
      if (feature[key] !== undefined) problems.push(only(key, 'hash'));
  } else if (feature.impute !== undefined) {
    const message = 'expected no `impute` with `encode: hash`, as missing text has no words';
    problems.push({ path: at('impute'), message, atKey: true });
  }
  const [least, most] = feature.ngrams ?? [1, 1];
  if (least > most) {
    const message = `expected the least number of words first, got [${least}, ${most}]`;
    problems.push({ path: at('ngrams'), message });
  }
  const { bins, impute } = feature;
  if (Array.isArray(bins) && bins.some((edge, i) => i > 0 && edge <= bins[i - 1]!))
    problems.push({
      path: at('bins'),
      message: `expected edges in ascending order, got [${bins.join(', ')}]`,
    });
  if (encode === 'number' && typeof impute === 'string' && impute !== 'mean' && impute !== 'zero')
    problems.push({
      path: at('impute'),
      message: `expected mean, zero or a number for a number feature, got "${impute}"`,
    });
  return problems;
}
