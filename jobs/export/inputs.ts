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

export interface ExportFeature {
  readonly feature: ModelFeature;
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

/** The features with their inputs; equal expressions share one. */
export function exportFeatures({ features }: ModelFile, names: Names): ExportFeature[] {
  const keyOf = (feature: ModelFeature): string =>
    JSON.stringify([
      feature.column ?? feature.sql,
      feature.column === undefined,
      inputType(feature),
    ]);
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

function takesMissing(feature: ModelFeature): boolean {
  return feature.impute !== undefined || (feature.encode !== 'number' && feature.missing);
}

/** Inputs once each, in the order of the features. */
export function inputsOf(features: readonly ExportFeature[]): ExportInput[] {
  return [...new Set(features.map(({ input }) => input))];
}

function inputType({ type, encode }: ModelFeature): ExportInput['type'] {
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
