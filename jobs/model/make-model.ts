/**
 * The model file of a run, from what its search fitted and how its data were encoded. Invariant:
 * encoding new rows by it gives the columns the coefficients are of, in their order; and two runs
 * of one job make equal files, so nothing of the run itself stands in it.
 */
import { createHash } from 'node:crypto';
import { columnSql } from '../../driver/frame/feature-spec.js';
import type { SqlParser } from '../../driver/frame/sql/parser.js';
import { statementsOf, writtenIn } from '../../driver/frame/sql/syntax.js';
import { type Expr, Matrix, type Run } from '../../driver/index.js';
import type { FrameColumn } from '../../driver/ir/frame-engine.js';
import {
  type EncodedFeature,
  featureWidth,
  hashingOf,
} from '../../driver/operators/encode-block.js';
import { packageVersion } from '../../driver/support/package-root.js';
import type { LinearModel } from '../estimators/model.js';
import { trainingMoments, trainingProducts } from '../estimators/moments.js';
import type { Job, JobFeature } from '../job-file/job.js';
import type { JobData } from '../open-data.js';
import { MODEL_VERSION, type ModelFeature, type ModelFile } from './model-file.js';

/** What is known of a run whose model is to be kept. */
export interface ModelOrigin {
  readonly job: Job;
  /** What the model is called. */
  readonly estimator: string;
  readonly data: JobData;
  /** Sums of products of the encoded columns, where the search took them. */
  readonly gram: Expr | undefined;
  /** Reads expressions, to find the columns they use. */
  readonly parser: SqlParser | undefined;
}

/** @param fitted the model that the search refitted */
export async function makeModel(
  run: Run,
  fitted: LinearModel,
  { job, estimator, data, gram, parser }: ModelOrigin,
): Promise<ModelFile> {
  const { resolved, source } = data;
  const specs = job.data.features;
  const { prepare } = fitted;
  const isPrepared = job.models.some((model) => model.prepare !== undefined);
  const means = needsMeans(resolved.features, specs)
    ? await columnMeans(run, isPrepared ? undefined : gram, data.X)
    : undefined;
  const types = new Map(resolved.summary.map(({ name, type }) => [name, type]));
  const features = modelFeatures(resolved.features, {
    specs,
    isStaged: prepare !== undefined,
    mean: (encoded, design) => fitted.imputed[fitted.columns[design]!] ?? means?.[encoded],
  }).map((feature) => ({ ...feature, type: types.get(feature.name) }));
  const { dropMissing: _, ...read } = job.data.read;
  const files = source.files.map(({ digest }) => digest).join('\n');
  const {
    task,
    link,
    basis,
    nonnegative,
    votes,
    layers,
    code,
    classes,
    columns,
    coefficients,
    intercepts,
    imputed,
  } = fitted;
  return {
    version: MODEL_VERSION,
    kind: 'linear',
    estimator,
    task,
    link,
    ...(basis && basis !== 'linear' ? { basis } : {}),
    ...(nonnegative ? { nonnegative } : {}),
    ...(votes ? { votes: { ...votes, members: [...votes.members] } } : {}),
    ...(layers ? { layers: structuredClone(layers) as ModelFile['layers'] } : {}),
    ...(code === undefined ? {} : { code }),
    ...(classes ? { classes: [...classes] } : {}),
    target: job.data.target?.name,
    columns: [...columns],
    coefficients: coefficients.map((row) => [...row]),
    intercepts: [...intercepts],
    imputed: { ...imputed },
    ...(prepare ? { prepare: [...prepare], encoded: [...fitted.encoded!] } : {}),
    features,
    dtype: job.data.dtype,
    inputs: await inputsOf(features, data.columns, parser),
    read: JSON.parse(JSON.stringify(read)) as ModelFile['read'],
    trained: {
      job: job.name,
      rows: data.X.rows,
      files: source.files.length,
      data: createHash('sha256').update(files).digest('hex'),
      reprise: packageVersion(),
    },
  };
}

export interface FeatureOrigin {
  /** Stages fill missing values after encoding. */
  readonly isStaged?: boolean;
  /** What the job says of features; absent: every column. */
  readonly specs: readonly JobFeature[] | undefined;
  /** The mean of a column, by its place among the encoded and among the design columns. */
  readonly mean: (encoded: number, design: number) => number | undefined;
}

/** How new rows are encoded: as the training rows were, with means as constants. */
export function modelFeatures(
  encoded: readonly EncodedFeature[],
  { specs, mean, isStaged = false }: FeatureOrigin,
): ModelFeature[] {
  const specOf = new Map(specs?.map((spec) => [spec.name, spec]));
  const features: ModelFeature[] = [];
  let column = 0;
  let design = 0;
  for (const [i, feature] of encoded.entries()) {
    const spec = specOf.get(feature.name);
    const sql = spec?.sql?.trim() ?? columnSql(feature.name);
    const text = {
      name: feature.name,
      sql,
      ...(spec?.sql === undefined ? { column: feature.name } : {}),
      ...(feature.dialect === undefined ? {} : { dialect: feature.dialect }),
    };
    const isIndicated = encoded[i + 1]?.kind === 'missing';
    const own =
      isIndicated && isStaged
        ? { encode: 'number', missing: 'steps' }
        : ofFeature(feature, isIndicated ? 'mean' : spec?.impute, () => mean(column, design));
    column += featureWidth(feature);
    if (own === undefined) continue;
    features.push({ ...text, ...own } as ModelFeature);
    design += featureWidth(feature);
  }
  return features;
}

type Encoding = { readonly [key: string]: unknown } | undefined;

function ofFeature(
  feature: EncodedFeature,
  given: JobFeature['impute'],
  mean: () => number | undefined,
): Encoding {
  const constant = given === 'zero' ? 0 : given;
  const impute = (value: number | string | undefined): object =>
    value === undefined ? {} : { impute: value };
  switch (feature.kind) {
    case 'number':
      return { encode: 'number', ...impute(given === 'mean' ? mean() : constant) };
    case 'onehot': {
      const { categories, other, missing } = feature;
      return { encode: 'onehot', categories, other, missing, ...impute(constant) };
    }
    case 'bin': {
      const { edges, missing } = feature;
      return { encode: 'bin', edges, missing, ...impute(constant) };
    }
    case 'hash':
      return { encode: 'hash', ...hashingOf(feature) };
    default:
      // The indicator of missing values: their mean is a constant now.
      return undefined;
  }
}

/** Whether a mean was asked for where no value was missing, so that none was fitted. */
function needsMeans(
  encoded: readonly EncodedFeature[],
  specs: readonly JobFeature[] | undefined,
): boolean {
  const indicated = new Set(encoded.filter(({ kind }) => kind === 'missing').map((f) => f.name));
  return specs?.some(({ name, impute }) => impute === 'mean' && !indicated.has(name)) ?? false;
}

/** Means of the encoded columns over all rows: of the moments of the search, else by a pass. */
async function columnMeans(
  run: Run,
  gram: Expr | undefined,
  X: Matrix,
): Promise<ArrayLike<number>> {
  // Searches without moments of the columns have those of the target only.
  if (gram?.cols !== X.cols + 2) return (await X.in(run).cast('float64').colMeans().value()).data;
  const sums = Matrix.of(run, gram);
  const groups = gram.attrs.groups as number;
  if (gram.attrs.center === true) {
    return (await trainingMoments(sums, groups, undefined).mean.value()).data;
  }
  const products = trainingProducts(sums, groups, undefined);
  return (await products.slice([1], 0).div(products.at(0, 0)).value()).data;
}

/** The columns that features are made of, with their types; what no parser reads is left out. */
async function inputsOf(
  features: readonly ModelFeature[],
  columns: readonly FrameColumn[],
  parser: SqlParser | undefined,
): Promise<ModelFile['inputs']> {
  const used = new Set<string>();
  for (const { column, sql, dialect } of features) {
    if (column !== undefined) used.add(column.toLowerCase());
    else if (parser !== undefined && dialect !== 'spark') {
      const readings = await parser.parse(statementsOf(sql));
      const { columns: found, functions } = writtenIn(readings, dialect === 'duckdb');
      for (const { name } of found) used.add(name.toLowerCase());
      // The parser takes the column of `s.upper()` for a schema.
      for (const { schema } of functions) used.add(String(schema).toLowerCase());
    }
  }
  return columns
    .filter(({ name }) => used.has(name.toLowerCase()))
    .map(({ name, type, engineType }) => ({ name, type, engineType }));
}
