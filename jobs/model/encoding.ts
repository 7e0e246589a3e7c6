/**
 * A model as a computation over the rows of new data: the features to encode and the weights of
 * their columns. Invariant: the columns are those the model was fitted on, in their order, but for
 * columns of weight 0 that make a missing value an error where training had none.
 */
import { imputedText } from '../../driver/frame/resolve-feature.js';
import {
  type EncodedFeature,
  featureWidth,
  hashingOf,
} from '../../driver/operators/encode-block.js';
import { type Basis, basisWidth } from '../estimators/basis.js';
import type { Nonnegative } from '../estimators/estimator.js';
import type { StoredLayer } from '../estimators/networks/stored-layers.js';
import type { StoredStage } from '../prepare/stored-stages.js';
import type { ModelFeature, ModelFile } from './model-file.js';

export interface ModelEncoding {
  readonly features: readonly EncodedFeature[];
  /** Encoded columns. */
  readonly width: number;
  readonly basis: Basis;
  /** Of the basis of the encoded columns, row by row: [basis, outputs]. */
  readonly weights: Float64Array;
  /** By output. */
  readonly intercepts: readonly number[];
  /** Of a network: what follows the layer of these weights. */
  readonly layers?: readonly StoredLayer[];
  /** Where there are no weights: places of the model's columns among those that weights would be of. */
  readonly picks?: readonly number[];
  /** Decision values are not below 0, and the weights the parts they are of. */
  readonly nonnegative?: Nonnegative;
  /** What makes the columns that weights are of, where these are not the encoded ones. */
  readonly stages?: EncodingStages;
}

/** Stages of cleaning steps, and the rows that they begin with. */
export interface EncodingStages {
  readonly stages: readonly StoredStage[];
  /** By column: its place among the encoded ones, and that of its indicator, or -1. */
  readonly places: readonly (readonly [own: number, indicator: number])[];
  /** How many columns come out. */
  readonly width: number;
}

/** Columns that make a missing value an error, and those that say the one before is missing. */
const GUARD = -1;
const INDICATOR = -2;

export function modelEncoding(model: ModelFile): ModelEncoding {
  const { coefficients, intercepts, columns, basis = 'linear' } = model;
  const outputs = coefficients.length;
  const features: EncodedFeature[] = [];
  /** The model's column at each encoded one; below 0 for those that guard or indicate. */
  const places: number[] = [];
  let next = 0;
  for (const feature of model.features) {
    const [encoded, guard] = encodedFeatures(feature);
    features.push(encoded);
    for (let j = featureWidth(encoded); j > 0; j--) places.push(next++);
    if (guard === undefined) continue;
    features.push(guard);
    places.push(guard.kind === 'missing' ? INDICATOR : GUARD);
  }
  const width = places.length;
  if (model.prepare !== undefined) {
    const staged = stagedEncoding(model, model.prepare, places);
    const all = Array.from(columns, (_, j) => j);
    return { ...staged, features, width, basis, intercepts, ...layersOf(model, all) };
  }
  const rows = basisWidth(basis, width);
  const weights = new Float64Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    const place = places[row % width]!;
    if (place < 0) continue;
    const term = Math.floor(row / width) * columns.length + place;
    for (let k = 0; k < outputs; k++) weights[row * outputs + k] = coefficients[k]![term]!;
  }
  const { nonnegative } = model;
  const picks = places.flatMap((place, at) => (place < 0 ? [] : [at]));
  const own = { ...(nonnegative ? { nonnegative } : {}), ...layersOf(model, picks) };
  return { features, width, basis, weights, intercepts, ...own };
}

/** @param places of the model's columns, for layers that begin at these */
function layersOf(
  { layers, coefficients }: ModelFile,
  places: readonly number[],
): Pick<ModelEncoding, 'layers' | 'picks'> {
  if (layers === undefined) return {};
  return coefficients.length > 0 ? { layers } : { layers, picks: places };
}

/** Weights of the columns that stages make, and how they begin. */
function stagedEncoding(
  { coefficients, columns, nonnegative }: ModelFile,
  stages: readonly StoredStage[],
  places: readonly number[],
): Pick<ModelEncoding, 'weights' | 'nonnegative' | 'stages'> {
  const outputs = coefficients.length;
  const terms = coefficients[0]?.length ?? 0;
  const weights = new Float64Array(terms * outputs);
  for (const [k, row] of coefficients.entries()) {
    for (const [term, cell] of row.entries()) weights[term * outputs + k] = cell;
  }
  const own = places.flatMap((place, at) =>
    place < 0 ? [] : [[at, places[at + 1] === INDICATOR ? at + 1 : -1] as const],
  );
  const begun = { stages, places: own, width: columns.length };
  return { weights, stages: begun, ...(nonnegative ? { nonnegative } : {}) };
}

/** The feature, and what makes a missing value of it an error where it does not itself. */
function encodedFeatures(feature: ModelFeature): [EncodedFeature, EncodedFeature?] {
  const { name, sql, dialect, impute } = feature;
  const text = { sql, ...(dialect === undefined ? {} : { dialect }) };
  switch (feature.encode) {
    case 'number': {
      if (feature.missing === 'steps') {
        return [
          { kind: 'number', name, ...text, missing: 'zero' },
          { kind: 'missing', name, ...text },
        ];
      }
      const own = impute === undefined ? text : { ...text, sql: replaced(sql, feature.impute!) };
      return [{ kind: 'number', name, ...own, missing: 'error' }];
    }
    case 'onehot': {
      const { categories, other, missing } = feature;
      return [{ kind: 'onehot', name, ...imputed(feature), categories, other, missing }];
    }
    case 'bin': {
      const { edges, missing } = feature;
      const bins: EncodedFeature = { kind: 'bin', name, ...imputed(feature), edges, missing };
      // A missing value would be in no bin, and so be predicted as no training row was.
      const isAllowed = missing || impute !== undefined;
      return isAllowed ? [bins] : [bins, { kind: 'number', name, ...text, missing: 'error' }];
    }
    case 'hash':
      return [{ kind: 'hash', name, ...text, ...hashingOf(feature) }];
  }
}

/** The expression with a constant for missing values, as the training rows were encoded. */
function imputed({ name, sql, dialect, encode, impute }: ModelFeature) {
  const own = dialect === undefined ? {} : { dialect };
  const rest = { top: undefined, other: undefined, bins: [], impute };
  return imputedText({ name, sql, ...own, encode, ...rest });
}

/** The same for numbers, exact to the bit: a literal of many digits would be a decimal first. */
function replaced(sql: string, constant: number): string {
  return `coalesce(nullif(CAST((${sql}\n) AS DOUBLE), CAST('NaN' AS DOUBLE)), CAST('${constant}' AS DOUBLE))`;
}
