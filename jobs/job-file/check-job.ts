/**
 * Rules of a job file that span several keys. Each problem names the one key to change, what was
 * expected there and what came, in the same form as the problems of single keys.
 */
import { hasPassword, NO_PASSWORD } from '../../driver/frame/addresses.js';
import { checkSpark } from './check-spark.js';
import {
  expandValues,
  isSpace,
  MAX_CANDIDATES,
  namedEstimator,
  parametersOf,
} from './model-schema.js';
import { expectation } from './problems.js';
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
    ...checkGrid(document),
    ...checkSplits(
      document.cv,
      namedEstimator(document)?.task === 'classification',
      document.data.target !== undefined,
    ),
    ...checkScoring(document.scoring, document.refit),
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
  const estimator = namedEstimator(document)!;
  if (document.data.weight === undefined || estimator.takesWeights !== false) return [];
  const message = `expected no \`weight\` for ${estimator.name}, whose fits take none; remove it`;
  return [{ path: ['data', 'weight'], message, atKey: true }];
}

/** Parameters are in `model` or the grid, values in range, and candidates not too many. */
function checkGrid(document: JobDocument): Problem[] {
  const { model, search } = document;
  const problems: Problem[] = [];
  let candidates = 1;
  for (const { name, range } of parametersOf(namedEstimator(document)!)) {
    const values = search.grid[name];
    if (values === undefined) continue;
    const at: KeyPath = ['search', 'grid', name];
    if (model[name] !== undefined) {
      const message = `expected no \`${name}\` in the grid together with \`model.${name}\`, got both; remove one`;
      problems.push({ path: at, message, atKey: true });
    }
    const given = isSpace(values) ? Object.keys(values) : [];
    if (isSpace(values) && given.length !== 1) {
      const got = given.length > 0 ? given.join(' and ') : 'neither';
      problems.push({ path: at, message: `expected one of logspace and linspace, got ${got}` });
      continue;
    }
    const expanded = expandValues(values);
    candidates *= expanded.length;
    for (const value of isSpace(values) ? expanded : []) {
      const issue = range.safeParse(value).error?.issues[0];
      if (issue === undefined) continue;
      const message = `expected ${expectation(issue, value)}, got ${value} among its values`;
      problems.push({ path: [...at, given[0]!], message });
      break;
    }
  }
  if (candidates > MAX_CANDIDATES) {
    const message = `expected at most ${MAX_CANDIDATES} candidates, got ${candidates}`;
    problems.push({ path: ['search', 'grid'], message });
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
