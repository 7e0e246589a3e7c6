/**
 * From the user's feature specification to encoded features: one profile of all expressions over
 * all rows, then one rule a feature (`resolve-feature.ts`). Invariant: what comes out encodes
 * without error on these data, and every reason why it would not is a `DataError` that names the
 * feature, what was expected, what came and what to do.
 */
import { ConfigError, DataError, RepriseError } from '../errors.js';
import type { DType } from '../ir/dtype.js';
import type {
  ColumnProfile,
  ColumnType,
  FrameDescription,
  FrameEngine,
  ProfileRequest,
  SqlDialect,
  SqlText,
} from '../ir/frame-engine.js';
import { type EncodedFeature, featureWidth, sqlText } from '../operators/encode-block.js';
import { columnPrefixes, featureColumns } from './column-names.js';
import {
  type FeatureSpec,
  type PlannedFeature,
  planFeatures,
  requireColumn,
} from './feature-spec.js';
import {
  type CategoryRole,
  predefinedFolds,
  type ResolvedCategories,
  type ResolvedFolds,
  resolveCategories,
} from './folds.js';
import { MAX_CATEGORIES, profileRequest, resolveFeature } from './resolve-feature.js';
import {
  type ClassValue,
  leaks,
  type ResolvedTarget,
  resolveTarget,
  type TargetOptions,
  type TargetSpec,
  targetRequest,
  targetSpec,
} from './target.js';

export interface FeatureSelection {
  /** Default: every column but the target and the one that says the fold. */
  readonly features?: readonly FeatureSpec[];
  /** The engine that the features' expressions are tied to. Default: none. */
  readonly dialect?: SqlDialect | undefined;
  /** What the cells will be. Default float64. */
  readonly dtype?: DType;
  /**
   * What to predict: the name of a column, or more. Beside an expression the features are to be
   * said: those it is made of would be learned from. Absent: nothing, as when rows are clustered.
   */
  readonly target?: string | TargetOptions;
  /** Whether the target's values are classes. Default false: they are numbers. */
  readonly classes?: boolean;
  /** Column of the rows' weights. */
  readonly weight?: string;
  /** Columns of groups or classes that rows are split by. */
  readonly categories?: readonly { readonly role: CategoryRole; readonly column: string }[];
  /** Folds given by a column. */
  readonly predefined?: { readonly column: string };
  /** Whether missing numbers without an `impute` are left to steps after encoding. Default false. */
  readonly keepsMissing?: boolean;
  /**
   * Takes ranges of plain number columns from the files' own statistics where they have them, without
   * reading a row. These know no NaN: encoding then refuses one, and the features are to be resolved
   * again without this. Default false.
   */
  readonly fromStatistics?: boolean;
}

/** A column that may be missing: where the indicator is 1, the training rows' mean, or steps, say. */
export interface MeanImputation {
  /** `steps`: what stands for a missing cell is said after encoding. */
  readonly kind: 'mean' | 'steps';
  /** Positions among the encoded columns. */
  readonly column: number;
  readonly indicator: number;
}

/** What a feature's values look like, for reports. */
export interface FeatureSummary {
  readonly name: string;
  readonly encode: PlannedFeature['encode'];
  /** Of the values of its expression. */
  readonly type: ColumnType;
  /** Design columns. */
  readonly columns: number;
  readonly missing: number;
  readonly min: number | null;
  readonly max: number | null;
  readonly distinct: number;
}

export interface ResolvedFeatures {
  readonly features: readonly EncodedFeature[];
  /** Names of the design columns: the encoded columns without the indicators of mean imputation. */
  readonly columns: readonly string[];
  /** Encodes to the number, or the class number; absent without a target. */
  readonly target?: EncodedFeature;
  /** The target's values by class number, in the order of `numpy.unique`; absent for numbers. */
  readonly classes?: readonly ClassValue[];
  readonly imputations: readonly MeanImputation[];
  readonly folds?: ResolvedFolds;
  readonly weight?: EncodedFeature;
  /** As asked for. */
  readonly categories: readonly ResolvedCategories[];
  readonly summary: readonly FeatureSummary[];
  /** Some columns were not read: they may hold NaN, see `FeatureSelection`. */
  readonly fromStatistics: boolean;
  /** Constant columns, categories cut by `top`: for the user to know, not to stop. */
  readonly warnings: readonly string[];
}

/**
 * Resolves features, target and folds against the data. Cost: one call of `engine.profile`.
 * @throws DataError when the data do not hold what is asked, ConfigError when no data could
 */
export async function resolveFeatures(
  engine: Pick<FrameEngine, 'profile'>,
  description: FrameDescription,
  selection: FeatureSelection,
): Promise<ResolvedFeatures> {
  const { categories = [], predefined, weight } = selection;
  const target = targetOf(description, selection);
  const splitBy = [...categories, ...(predefined ? [{ role: 'predefined', ...predefined }] : [])];
  const splitSql = splitBy.map(({ role, column }): SqlText => {
    const isTarget = role === 'stratify' && target?.column === undefined && column === target?.name;
    return isTarget ? target.text : { sql: requireColumn(description, column, role) };
  });
  const told = splitBy.flatMap(({ role, column }) => (role === 'stratify' ? [] : [column]));
  const weightSql = weight && requireColumn(description, weight, 'weight');
  const reserved = [target?.column, weight, ...told].filter((column) => column !== undefined);
  const planned = planFeatures(description, selection, reserved, target);
  if (description.rows === 0) {
    throw new DataError('data: expected rows, got none; the files hold only column names', {
      rows: 0,
    });
  }
  const fromStatistics = selection.fromStatistics ? { fromStatistics: true } : {};
  const requests = planned.map((feature) => ({
    ...profileRequest(feature),
    ...(feature.encode === 'number' ? fromStatistics : {}),
  }));
  const splitAt = requests.length;
  requests.push(...splitSql.map((text) => ({ ...text, top: MAX_CATEGORIES, quantiles: [] })));
  const weightAt = requests.length;
  if (weightSql !== undefined) {
    requests.push({ sql: weightSql, top: 0, quantiles: [], ...fromStatistics });
  }
  const targetAt = requests.length;
  if (target !== undefined) {
    const own = target.kind === 'number' ? fromStatistics : {};
    requests.push({ ...targetRequest(target), ...own });
  }
  const profiles = await profileAll(engine, description, requests, planned, target);
  const numbers: { what: string; profile: ColumnProfile; impute?: PlannedFeature['impute'] }[] = [];
  let resolvedTarget: ResolvedTarget | undefined;
  if (target !== undefined) {
    const profile = profiles[targetAt]!;
    const { name, text } = target;
    if (target.kind === 'number') {
      const bad = await notNumeric(engine, description, 'target', name, text, profile);
      if (bad !== undefined) throw bad;
      numbers.push({ what: `target ${name}`, profile });
    }
    resolvedTarget = resolveTarget(target, profile);
  }
  const broken: DataError[] = [];
  for (const [i, feature] of planned.entries()) {
    const isText = feature.encode === 'onehot' || feature.encode === 'hash';
    if (isText || broken.length === MOST_SHOWN) continue;
    const { name } = feature;
    const bad = await notNumeric(engine, description, 'feature', name, feature, profiles[i]!);
    if (bad !== undefined) broken.push(bad);
  }
  if (broken.length > 0) throw joined(broken);
  const assembled = assemble(planned, profiles, selection.keepsMissing ?? false);
  for (const [i, { name, encode, impute }] of planned.entries()) {
    if (encode === 'number')
      numbers.push({ what: `feature ${name}`, profile: profiles[i]!, impute });
  }
  const rounded = selection.dtype === 'float32' ? numbers.flatMap(float32Warnings) : [];
  return {
    ...assembled,
    fromStatistics: profiles.some((profile) => profile.fromStatistics),
    warnings: [
      ...(resolvedTarget?.warnings ?? []),
      ...(target === undefined ? [] : leaks(target, planned)),
      ...assembled.warnings,
      ...rounded,
    ],
    ...(resolvedTarget ? { target: resolvedTarget.feature } : {}),
    ...(resolvedTarget?.classes ? { classes: resolvedTarget.classes } : {}),
    categories: categories.map((asked, i) =>
      resolveCategories(asked, splitSql[i]!, profiles[splitAt + i]!),
    ),
    ...(predefined
      ? { folds: predefinedFolds(predefined.column, splitSql.at(-1)!.sql, profiles[weightAt - 1]!) }
      : {}),
    ...(weight !== undefined && weightSql !== undefined
      ? { weight: weightFeature(weight, weightSql, profiles[weightAt]!) }
      : {}),
  };
}

/** @throws ConfigError for an expression without features beside it; as `targetSpec` */
function targetOf(
  description: FrameDescription,
  { target, features, dialect, classes }: FeatureSelection,
): TargetSpec | undefined {
  if (target === undefined) return undefined;
  const given = typeof target === 'string' ? { name: target } : target;
  if (given.sql !== undefined && features === undefined) {
    throw new ConfigError(
      `features: expected a list beside a target with sql, got none; list those to predict ${given.name} from, without the columns it is made of`,
      { key: 'data.features' },
    );
  }
  return targetSpec(description, given, dialect, classes ? 'class' : 'number');
}

/** @throws DataError for weights that are no numbers, missing or below 0 */
function weightFeature(name: string, sql: string, profile: ColumnProfile): EncodedFeature {
  const { type, missing, infinite, min, max, rows } = profile;
  const got =
    type !== 'number'
      ? `${type} values`
      : missing + infinite > 0
        ? `${missing} missing and ${infinite} infinite in ${rows} rows`
        : min! < 0 || max === 0
          ? `numbers from ${min} to ${max}`
          : undefined;
  if (got === undefined) return { kind: 'number', name, sql, missing: 'error' };
  const expected = 'expected a number from 0 in every row, above 0 in some';
  throw new DataError(`weight ${name}: ${expected}, got ${got}`, { column: name });
}

function assemble(
  planned: readonly PlannedFeature[],
  profiles: readonly ColumnProfile[],
  keepsMissing: boolean,
): Pick<ResolvedFeatures, 'features' | 'columns' | 'imputations' | 'summary' | 'warnings'> {
  const features: EncodedFeature[] = [];
  const columns: string[] = [];
  const imputations: MeanImputation[] = [];
  const summary: FeatureSummary[] = [];
  const warnings: string[] = [];
  const prefixes = columnPrefixes(planned);
  let width = 0;
  for (const [i, feature] of planned.entries()) {
    const profile = profiles[i]!;
    const resolved = resolveFeature(feature, profile, keepsMissing);
    if (resolved.imputeMean) {
      const kind = feature.impute === 'mean' ? 'mean' : 'steps';
      imputations.push({ kind, column: width, indicator: width + 1 });
    }
    const first = columns.length;
    for (const [part, encoded] of resolved.features.entries()) {
      features.push(encoded);
      width += featureWidth(encoded);
      if (!(resolved.imputeMean && part === 1)) columns.push(...featureColumns(encoded, prefixes));
    }
    warnings.push(...resolved.warnings);
    const { type, missing, min, max, distinct } = profile;
    const own = columns.length - first;
    summary.push({
      name: feature.name,
      encode: feature.encode,
      type,
      columns: own,
      missing,
      min,
      max,
      distinct,
    });
  }
  return { features, columns, imputations, summary, warnings };
}

/** Profiles each distinct expression once; an error about an expression names what it is of. */
async function profileAll(
  engine: Pick<FrameEngine, 'profile'>,
  description: FrameDescription,
  requests: readonly ProfileRequest[],
  planned: readonly PlannedFeature[],
  target: TargetSpec | undefined,
): Promise<ColumnProfile[]> {
  const keys = requests.map((request) => JSON.stringify(request));
  const asked = [...new Map(keys.map((key, i) => [key, requests[i]!])).values()];
  const placeOf = new Map([...new Set(keys)].map((key, place) => [key, place]));
  try {
    const profiles = await engine.profile(description.source, asked);
    return keys.map((key) => profiles[placeOf.get(key)!]!);
  } catch (cause) {
    const expression = cause instanceof RepriseError ? cause.facts.expression : undefined;
    const at = requests.findIndex((request) => request.sql === expression);
    const role = at < planned.length ? 'feature' : 'target';
    const name = role === 'feature' ? planned[at]?.name : target?.name;
    const isOurs = role === 'feature' || requests[at]!.sql === target?.text.sql;
    if (!(cause instanceof DataError) || name === undefined || !isOurs) throw cause;
    throw new DataError(
      `${role} ${name}: ${cause.message}`,
      { ...cause.facts, [role]: name },
      { cause },
    );
  }
}

/** Features that an error names. */
const MOST_SHOWN = 20;

/** A line each. */
function joined([first, ...others]: readonly DataError[]): DataError {
  if (others.length === 0) return first!;
  const lines = [first!, ...others].map(({ message }) => message);
  return new DataError(lines.join('\n'), { ...first!.facts, features: lines.length });
}

/** What is wrong with a column that has to be of numbers, with one or two of its values. */
async function notNumeric(
  engine: Pick<FrameEngine, 'profile'>,
  description: FrameDescription,
  role: 'target' | 'feature',
  name: string,
  text: SqlText,
  profile: ColumnProfile,
): Promise<DataError | undefined> {
  if (profile.type === 'number' || profile.type === 'boolean') return undefined;
  const got =
    profile.type === 'other' ? 'values of mixed or nested types' : `${profile.type} values`;
  let examples = '';
  let remedy =
    role === 'target'
      ? 'choose a numeric column'
      : profile.type === 'timestamp'
        ? 'say sql, such as extract(hour from ..), and encode'
        : 'say encode: onehot, or sql with try_cast(.. as double)';
  if (profile.type !== 'other') {
    const request = { ...sqlText(text), top: 200, quantiles: [] };
    const [again] = await engine.profile(description.source, [request]);
    const values = (again?.top ?? []).map((entry) => entry.value);
    const telling = values.filter((value) => !Number.isFinite(Number(value)));
    const shown = (telling.length > 0 ? telling : values).slice(0, 2);
    if (shown.length > 0) examples = ` such as ${shown.map(shorten).join(' and ')}`;
    const isText = description.source.format === 'csv' && profile.type === 'text';
    if (isText && telling.length === 1 && values.length > 1) {
      remedy = `if ${shorten(telling[0]!)} stands for a missing value, say it in data.csv.null; else ${remedy}`;
    }
  }
  return new DataError(`${role} ${name}: expected numbers, got ${got}${examples}; ${remedy}`, {
    [role]: name,
    type: profile.type,
  });
}

/** What rounding to float32 leaves little of; @throws DataError for what it has no number for */
function float32Warnings(given: {
  readonly what: string;
  readonly profile: ColumnProfile;
  readonly impute?: PlannedFeature['impute'];
}): string[] {
  const { what, profile, impute } = given;
  const [min, max] = [profile.min ?? 0, profile.max ?? 0];
  const values = [min, max, typeof impute === 'number' ? impute : 0].map(Math.abs);
  const largest = Math.max(...values);
  if (!Number.isFinite(Math.fround(largest))) {
    throw new DataError(
      `${what}: expected numbers up to 3.4e38 for dtype float32, got ${largest}; leave data.dtype out`,
      { what, largest },
    );
  }
  // Then fewer than some thousand numbers of float32 lie between the least and the greatest.
  if (min === max || max - min >= largest / 4096) return [];
  return [
    `${what}: values from ${min} to ${max} differ in their last digits only, of which float32 keeps few; subtract a constant, or leave data.dtype out`,
  ];
}

function shorten(value: string): string {
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
}
