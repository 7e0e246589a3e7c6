/**
 * Makes one planned feature and the profile of its expression into encoded features. Vocabularies
 * and bin edges come from all rows; only a mean to impute is left to be fitted on training rows,
 * through an indicator column.
 */
import { DataError } from '../errors.js';
import type { ColumnProfile, ProfileRequest, SqlText } from '../ir/frame-engine.js';
import { type EncodedFeature, sqlText } from '../operators/encode-block.js';
import type { PlannedFeature } from './feature-spec.js';
import { compareNumbers } from './number-text.js';
import { duckDbLiteral, textLiteral } from './sql/literal.js';

/** The most categories of a feature: a model with more is unreadable and its lineage too large. */
export const MAX_CATEGORIES = 100_000;

export interface ResolvedFeature {
  readonly features: readonly EncodedFeature[];
  /** The second feature indicates missing values of the first, whose mean is to be imputed. */
  readonly imputeMean: boolean;
  readonly warnings: readonly string[];
}

/** The expression as encoded: with the constant that stands in for missing values. */
export function imputedText(feature: PlannedFeature): SqlText {
  return sqlText({ ...feature, sql: imputedSql(feature) });
}

function imputedSql(feature: PlannedFeature): string {
  const { sql, encode, impute, dialect } = feature;
  if (impute === undefined || impute === 'mean') return sql;
  if (encode === 'onehot' && typeof impute === 'string') {
    const text = dialect === 'spark' ? textLiteral(impute) : duckDbLiteral(impute);
    return `coalesce((${sql}\n), ${text})`;
  }
  if (impute === 'zero' && encode === 'number') return sql;
  const constant = impute === 'zero' ? 0 : impute;
  return `coalesce(nullif(CAST((${sql}\n) AS DOUBLE), CAST('NaN' AS DOUBLE)), ${constant})`;
}

/** What has to be known of the expression. */
export function profileRequest(feature: PlannedFeature): ProfileRequest {
  const { encode, bins } = feature;
  if (encode === 'onehot') {
    return { ...imputedText(feature), top: feature.top ?? MAX_CATEGORIES, quantiles: [] };
  }
  const quantiles =
    encode === 'bin' && typeof bins === 'number'
      ? Array.from({ length: bins + 1 }, (_, i) => i / bins)
      : [];
  return { ...sqlText(feature), top: 0, quantiles };
}

/**
 * @param keepsMissing whether missing numbers without an `impute` are indicated, as for a mean
 * @throws DataError when the data do not fit the feature
 */
export function resolveFeature(
  feature: PlannedFeature,
  profile: ColumnProfile,
  keepsMissing = false,
): ResolvedFeature {
  checkFinite(feature.name, profile);
  if (profile.missing === profile.rows && feature.impute === undefined) {
    throw fault(feature.name, 'some values', 'none: every row is missing; leave the feature out');
  }
  switch (feature.encode) {
    case 'number':
      return resolveNumber(feature, profile, keepsMissing);
    case 'onehot':
      return resolveOneHot(feature, profile);
    case 'bin':
      return resolveBins(feature, profile);
    case 'hash':
      return resolveText(feature, profile);
  }
}

function resolveNumber(
  feature: PlannedFeature,
  profile: ColumnProfile,
  keepsMissing: boolean,
): ResolvedFeature {
  const { name, impute } = feature;
  const text = imputedText(feature);
  if (profile.missing === 0) {
    const warnings = profile.min === profile.max ? [constant(name, profile.min)] : [];
    // The plain expression: nothing is missing, so what stands in for it must not change the
    // lineage.
    const plain: EncodedFeature = {
      kind: 'number',
      name,
      ...sqlText(feature),
      missing: 'error',
    };
    return { features: [plain], imputeMean: false, warnings };
  }
  if (impute === undefined && !keepsMissing) throw missingValues(name, profile);
  if (impute !== undefined && impute !== 'mean') {
    const missing = impute === 'zero' ? 'zero' : 'error';
    const number: EncodedFeature = { kind: 'number', name, ...text, missing };
    return { features: [number], imputeMean: false, warnings: [] };
  }
  if (profile.missing === profile.rows) {
    throw fault(name, 'values to take the mean of', 'none: every row is missing');
  }
  const warnings = profile.min === profile.max ? [constant(name, profile.min)] : [];
  const value: EncodedFeature = { kind: 'number', name, ...text, missing: 'zero' };
  return { features: [value, { kind: 'missing', name, ...text }], imputeMean: true, warnings };
}

function resolveOneHot(feature: PlannedFeature, profile: ColumnProfile): ResolvedFeature {
  const { name } = feature;
  // Engines write such values as different texts.
  if (profile.type === 'other') {
    const got = 'values of a nested or binary type; say sql that makes text or a number of it';
    throw fault(name, 'numbers, text, booleans or times', got);
  }
  if (feature.top === undefined && profile.distinct > MAX_CATEGORIES) {
    throw fault(
      name,
      `at most ${MAX_CATEGORIES} categories`,
      `${profile.distinct}; say top: N to keep the N most frequent`,
    );
  }
  const categories = sortedCategories(profile.top.map((entry) => entry.value));
  const unlisted = profile.distinct - categories.length;
  const other = feature.other ?? unlisted > 0;
  const missing = profile.missing > 0;
  const warnings: string[] = [];
  if (unlisted > 0) {
    const listed = profile.top.reduce((sum, entry) => sum + entry.count, profile.missing);
    const share = ((100 * (profile.rows - listed)) / profile.rows).toPrecision(2);
    const fate = other ? 'the rest share the column (other)' : 'the rest have zeros in all columns';
    warnings.push(
      `feature ${name}: ${categories.length} of ${profile.distinct} categories kept, ${fate} (${Number(share)} % of the rows)`,
    );
  }
  if (categories.length + (other ? 1 : 0) + (missing ? 1 : 0) === 1) {
    warnings.push(constant(name, categories[0] ?? null));
  }
  return {
    features: [{ kind: 'onehot', name, ...imputedText(feature), categories, other, missing }],
    imputeMean: false,
    warnings,
  };
}

function resolveBins(feature: PlannedFeature, profile: ColumnProfile): ResolvedFeature {
  const { name, bins } = feature;
  const { min, max } = profile;
  if (min === null || max === null) throw fault(name, 'some values', 'none');
  const edges =
    typeof bins === 'number' ? quantileEdges(profile.quantiles) : outerEdges(bins, min, max);
  const warnings: string[] = [];
  if (typeof bins === 'number' && edges.length - 1 < bins) {
    warnings.push(
      `feature ${name}: ${edges.length - 1} of ${bins} bins kept, the others would be empty as values repeat`,
    );
  }
  const imputed = feature.impute !== undefined;
  if (edges.length === 2 && (profile.missing === 0 || imputed)) warnings.push(constant(name, min));
  return {
    features: [
      {
        kind: 'bin',
        name,
        ...imputedText(feature),
        edges,
        missing: profile.missing > 0 && !imputed,
      },
    ],
    imputeMean: false,
    warnings,
  };
}

function resolveText(feature: PlannedFeature, profile: ColumnProfile): ResolvedFeature {
  const { name, hashing } = feature;
  if (profile.type !== 'text') {
    throw fault(
      name,
      'text to hash',
      `${profile.type} values; encode them otherwise, or say sql with cast(.. as varchar)`,
    );
  }
  const own: EncodedFeature = { kind: 'hash', name, ...sqlText(feature), ...hashing! };
  return { features: [own], imputeMean: false, warnings: [] };
}

/** Distinct quantiles; one value alone makes one closed bin. */
function quantileEdges(quantiles: readonly number[]): number[] {
  const edges = [...new Set(quantiles)];
  return edges.length === 1 ? [edges[0]!, edges[0]!] : edges;
}

/** Inner edges with the data's own ends, and without the bins beyond them that hold no row. */
function outerEdges(inner: readonly number[], min: number, max: number): number[] {
  const first = inner[0]!;
  const last = inner[inner.length - 1]!;
  const edges = [...(min < first ? [min] : []), ...inner, ...(max >= last ? [max] : [])];
  return edges.length === 1 ? [edges[0]!, edges[0]!] : edges;
}

/** Infinite values fit no encoding, and text or time no number. @throws DataError */
function checkFinite(name: string, profile: ColumnProfile): void {
  if (profile.infinite === 0) return;
  throw fault(
    name,
    'finite values',
    `${count(profile.infinite, 'infinite value')} in ${profile.rows} rows; leave them out with sql, such as nullif`,
  );
}

function missingValues(name: string, profile: ColumnProfile): DataError {
  return new DataError(
    `feature ${name}: expected no missing values, got ${profile.missing} in ${profile.rows} rows; say impute: mean, zero or a number`,
    { feature: name, missing: profile.missing, rows: profile.rows },
  );
}

function fault(name: string, expected: string, got: string): DataError {
  return new DataError(`feature ${name}: expected ${expected}, got ${got}`, { feature: name });
}

function constant(name: string, value: number | string | null): string {
  return `feature ${name}: every row has the same value (${value}), which tells the model nothing`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

/** Numbers by value before texts by code unit: the order of one-hot columns on every engine. */
export function sortedCategories(categories: readonly string[]): string[] {
  const sorted = [...categories].sort();
  const numbers = sorted.filter(isNumeric).sort(compareNumbers);
  return numbers.length === 0 ? sorted : [...numbers, ...sorted.filter((text) => !isNumeric(text))];
}

function isNumeric(text: string): boolean {
  // No number begins with a letter, and most texts do.
  return !/^[A-Za-z]/.test(text) && text.trim() !== '' && Number.isFinite(Number(text));
}
