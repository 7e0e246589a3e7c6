/**
 * What an exported model asks of its caller: the values of each feature's expression before they
 * are encoded, one input for each distinct expression. A plain column is an input of its name; an
 * expression in SQL is to be computed by the caller, to whom the file says it.
 */
import { ConfigError } from '../../driver/errors.js';
import type { ModelFeature, ModelFile } from '../model/model-file.js';

export interface ExportInput {
  readonly name: string;
  /** Times and other values are given as the texts their categories have. */
  readonly type: 'number' | 'boolean' | 'text';
  /** What the caller computes; absent for a column. */
  readonly sql?: string;
}

export interface ExportFeature {
  readonly feature: ModelFeature;
  readonly input: ExportInput;
}

/** The features with their inputs; equal expressions share one. */
export function exportFeatures({ features }: ModelFile): ExportFeature[] {
  const inputs = new Map<string, ExportInput>();
  const names = new Set<string>();
  return features.map((feature) => {
    const { column, sql, name } = feature;
    const type = inputType(feature);
    const key = JSON.stringify([column ?? sql, column === undefined, type]);
    let input = inputs.get(key);
    if (input === undefined) {
      let own = column ?? name;
      while (names.has(own)) own = `${own}_`;
      names.add(own);
      input = { name: own, type, ...(column === undefined ? { sql } : {}) };
      inputs.set(key, input);
    }
    return { feature, input };
  });
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
