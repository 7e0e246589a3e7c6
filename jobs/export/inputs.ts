/**
 * What an exported model asks of its caller: the values of each feature's expression before they
 * are encoded, one input for each distinct expression. A plain column is an input of its name; an
 * expression in SQL is to be computed by the caller, to whom the file says it. Invariant: no two
 * values of a file have one name, whatever columns are called.
 */
import { ConfigError } from '../../driver/errors.js';
import type { ModelFeature, ModelFile } from '../model/model-file.js';

export interface ExportInput {
  readonly name: string;
  /** Times and other values are given as the texts their categories have. */
  readonly type: 'number' | 'boolean' | 'text';
  /** Whether a feature knows what to do with a missing value. */
  readonly mayMiss: boolean;
  /** The column, or what the caller computes. */
  readonly column?: string;
  readonly sql?: string;
}

/** What the formats can encode. */
export type ExportedFeature = Exclude<ModelFeature, { readonly encode: 'hash' }>;

export interface ExportFeature {
  readonly feature: ExportedFeature;
  readonly input: ExportInput;
}

/** Names of one file. */
export class Names {
  readonly #taken: Set<string>;
  readonly #isReserved: (name: string) => boolean;

  constructor(taken: Iterable<string>, isReserved: (name: string) => boolean = () => false) {
    this.#taken = new Set(taken);
    this.#isReserved = isReserved;
  }

  /** The name, longer where it is taken. */
  take(wanted: string): string {
    let name = wanted;
    while (this.#taken.has(name) || this.#isReserved(name)) name = `${name}_`;
    this.#taken.add(name);
    return name;
  }
}

/**
 * The features with their inputs; equal expressions share one.
 * @throws ConfigError for hashed text
 */
export function exportFeatures(model: ModelFile, names: Names): ExportFeature[] {
  const keyOf = (feature: ExportedFeature): string =>
    JSON.stringify([
      feature.column ?? feature.sql,
      feature.column === undefined,
      inputType(feature),
    ]);
  const features = model.features.map(exported);
  const missing = new Set(features.filter(takesMissing).map(keyOf));
  const inputs = new Map<string, ExportInput>();
  return features.map((feature) => {
    const { column, sql, name } = feature;
    const key = keyOf(feature);
    const input = inputs.get(key) ?? {
      name: names.take(column ?? name),
      type: inputType(feature),
      mayMiss: missing.has(key),
      ...(column === undefined ? { sql } : { column }),
    };
    inputs.set(key, input);
    return { feature, input };
  });
}

/** @throws ConfigError for text that is hashed */
function exported(feature: ModelFeature): ExportedFeature {
  if (feature.encode !== 'hash') return feature;
  throw new ConfigError(
    `export: expected features of numbers and categories, got hashed text in ${feature.name}, which these formats can't compute; score with \`reprise predict\``,
    { key: 'model', feature: feature.name },
  );
}

function takesMissing(feature: ExportedFeature): boolean {
  if (feature.impute !== undefined || mayStayMissing(feature)) return true;
  return feature.encode !== 'number' && feature.missing;
}

/** Whether stages of cleaning steps are given its missing values. */
export function mayStayMissing(feature: ExportedFeature): boolean {
  return feature.encode === 'number' && feature.missing === 'steps';
}

/** Inputs once each, in the order of the features. */
export function inputsOf(features: readonly ExportFeature[]): ExportInput[] {
  return [...new Set(features.map(({ input }) => input))];
}

function inputType({ type, encode }: ExportedFeature): ExportInput['type'] {
  if (type === 'number' || type === 'boolean') return type;
  return encode === 'onehot' ? 'text' : 'number';
}

/** The categories of a feature of numbers as numbers. @throws ConfigError */
export function numericCategories(feature: ModelFeature & { encode: 'onehot' }): number[] {
  return feature.categories.map((text) => {
    const value = Number(text);
    if (Math.abs(value) < Number.MAX_SAFE_INTEGER) return value;
    throw new ConfigError(
      `export: expected categories that float64 holds exactly, got ${text} of feature ${feature.name}; encode text instead, by sql such as cast(${feature.sql} as varchar)`,
      { key: 'model', feature: feature.name },
    );
  });
}
