/**
 * Feature encoding of one row block: the single definition both engines follow. A feature owns a
 * fixed run of output columns; vocabularies and bin edges are already resolved (from all rows), so
 * encoding needs no fitting. What must be fitted on training rows only (means, scales, imputed
 * values) is algebra on Gram matrices and is not done here: a numeric column that may be missing is
 * encoded as its value or 0, and a `missing` feature carries the 0/1 indicator the imputation is
 * applied to later.
 */
import { CsrBuilder, type CsrMatrix } from '../ir/csr.js';
import type { DType } from '../ir/dtype.js';
import type { RawChunk, RawColumn, SqlText, TextHashing } from '../ir/frame-engine.js';
import type { RowsPart } from '../ir/op-def.js';
import type { Cells } from '../ir/value.js';
import { hashedCells } from './hash-text.js';

export type EncodedFeature = SqlText & FeatureEncoding;

type FeatureEncoding =
  /** One column: the number; where missing, 0 (`zero`) or an error (`error`). */
  | {
      readonly kind: 'number';
      readonly name: string;
      readonly missing: 'zero' | 'error';
    }
  /** One column: 1 where the number is missing, else 0. */
  | { readonly kind: 'missing'; readonly name: string }
  /** One 0/1 column per category, then one for unlisted (`other`), one for missing (`missing`). */
  | {
      readonly kind: 'onehot';
      readonly name: string;
      readonly categories: readonly string[];
      readonly other: boolean;
      readonly missing: boolean;
    }
  /** One 0/1 column per bin [edge i, edge i+1), the last closed; then one if `missing`. */
  | {
      readonly kind: 'bin';
      readonly name: string;
      readonly edges: readonly number[];
      readonly missing: boolean;
    }
  /** One column: the number beside the category; `fallback` for missing or unlisted values. */
  | {
      readonly kind: 'map';
      readonly name: string;
      readonly categories: readonly string[];
      readonly values: readonly number[];
      readonly fallback: number;
    }
  /** Counts of hashed words, see `hash-text.ts`; a missing text has none. */
  | ({ readonly kind: 'hash'; readonly name: string } & TextHashing);

/** Rows [from, to) of the data by the features they need; known where the files were looked at. */
export interface EncodedPart extends RowsPart {
  readonly features: readonly EncodedFeature[];
  /**
   * For each column of the part, its place among the columns of what it is a part of; several may
   * share one, which is then their sum. Null when they are the same.
   */
  readonly columns: readonly number[] | null;
  readonly parts?: readonly EncodedPart[];
}

/** Output columns of a feature. */
export function featureWidth(feature: EncodedFeature): number {
  switch (feature.kind) {
    case 'onehot':
      return feature.categories.length + (feature.other ? 1 : 0) + (feature.missing ? 1 : 0);
    case 'bin':
      return feature.edges.length - 1 + (feature.missing ? 1 : 0);
    case 'hash':
      return feature.columns;
    default:
      return 1;
  }
}

/** Output columns of features side by side. */
export function encodedWidth(features: readonly EncodedFeature[]): number {
  return features.reduce((width, feature) => width + featureWidth(feature), 0);
}

/** The raw column a feature is computed from. */
export function rawColumn(feature: EncodedFeature): RawColumn {
  const text = sqlText(feature);
  if (feature.kind === 'hash') return { kind: 'hash', ...text, ...hashingOf(feature) };
  return feature.kind === 'onehot' || feature.kind === 'map'
    ? { kind: 'category', ...text, categories: feature.categories }
    : { kind: 'number', ...text };
}

/** How the text of a feature is hashed, alone. */
export function hashingOf(of: TextHashing): TextHashing {
  const { columns, ngrams, lowercase, norm, alternate_sign } = of;
  return { columns, ngrams, lowercase, norm, alternate_sign };
}

export function isHashed(feature: EncodedFeature): feature is HashedFeature {
  return feature.kind === 'hash';
}

/** Cells of a row of features that are not zero, where their texts are as long as most. */
export function rowCells(features: readonly EncodedFeature[]): number {
  return features.reduce((sum, one) => sum + (one.kind === 'hash' ? hashedCells(one) : 1), 0);
}

/** An expression alone, of whatever it is part of. */
export function sqlText({ sql, dialect }: SqlText): SqlText {
  return dialect === undefined ? { sql } : { sql, dialect };
}

type Indicator = Extract<EncodedFeature, { kind: 'missing' | 'onehot' | 'bin' }>;
type HashedFeature = Extract<EncodedFeature, { kind: 'hash' }>;
export type NumberFeature = Exclude<EncodedFeature, Indicator | HashedFeature>;

/** Whether a feature's columns are 0 or 1, at most one of them 1 in a row. */
export function isIndicator(feature: EncodedFeature): feature is Indicator {
  return feature.kind === 'missing' || feature.kind === 'onehot' || feature.kind === 'bin';
}

/** Where the codes of an indicator go: that of row i to out[from + i * stride]. */
export interface CodeTarget {
  readonly out: Int32Array;
  readonly from: number;
  readonly stride: number;
  /** Number of the feature's first column. */
  readonly column: number;
}

/** Writes for each row the column of an indicator that is 1; -1 where none is. */
export function writeCodes(
  feature: Indicator,
  raw: Float64Array,
  rows: number,
  { out, from, stride, column }: CodeTarget,
): void {
  switch (feature.kind) {
    case 'missing': {
      for (let i = 0, at = from; i < rows; i++, at += stride) {
        out[at] = Number.isNaN(raw[i]!) ? column : -1;
      }
      break;
    }
    case 'onehot': {
      const count = feature.categories.length;
      const other = feature.other ? column + count : -1;
      const missing = feature.missing ? column + count + (feature.other ? 1 : 0) : other;
      for (let i = 0, at = from; i < rows; i++, at += stride) {
        const code = raw[i]!;
        out[at] = code >= 0 ? column + code : code === -1 ? missing : other;
      }
      break;
    }
    case 'bin': {
      const { edges } = feature;
      const bins = edges.length - 1;
      const missing = feature.missing ? column + bins : -1;
      for (let i = 0, at = from; i < rows; i++, at += stride) {
        const value = raw[i]!;
        let low = 0;
        let high = bins - 1;
        while (low < high) {
          const middle = (low + high + 1) >> 1;
          if (value >= edges[middle]!) low = middle;
          else high = middle - 1;
        }
        out[at] = Number.isNaN(value) ? missing : column + low;
      }
      break;
    }
  }
}

/**
 * Writes the number of each row to out[from + i * stride].
 * @returns false where a value is missing that may not be
 */
export function writeNumbers(
  feature: NumberFeature,
  raw: Float64Array,
  rows: number,
  out: Cells,
  from: number,
  stride: number,
): boolean {
  if (feature.kind === 'map') {
    for (let i = 0, at = from; i < rows; i++, at += stride) {
      const code = raw[i]!;
      out[at] = code >= 0 ? feature.values[code]! : feature.fallback;
    }
    return true;
  }
  for (let i = 0, at = from; i < rows; i++, at += stride) {
    const value = raw[i]!;
    if (!Number.isNaN(value)) out[at] = value;
    else if (feature.missing === 'error') return false;
    else out[at] = 0;
  }
  return true;
}

/**
 * The rows of a chunk compressed: for features of which one is hashed text.
 * @returns the name of a feature with a missing value that may not be missing instead
 */
export function encodeCsr(
  features: readonly EncodedFeature[],
  chunk: RawChunk,
  dtype: DType,
): CsrMatrix | string {
  const { rows } = chunk;
  let width = 0;
  const starts = features.map((feature) => {
    const start = width;
    width += featureWidth(feature);
    return start;
  });
  const cells = features.map((feature, f): Float64Array | Int32Array | CsrMatrix | undefined => {
    const raw = chunk.columns[f]!;
    if (feature.kind === 'hash') return chunk.hashed![f]!;
    if (isIndicator(feature)) {
      const out = new Int32Array(rows);
      writeCodes(feature, raw, rows, { out, from: 0, stride: 1, column: 0 });
      return out;
    }
    const out = new Float64Array(rows);
    return writeNumbers(feature, raw, rows, out, 0, 1) ? out : undefined;
  });
  const bad = cells.indexOf(undefined);
  if (bad >= 0) return features[bad]!.name;
  const builder = new CsrBuilder(rows, width, dtype, rows * rowCells(features));
  for (let i = 0; i < rows; i++) {
    for (let f = 0; f < cells.length; f++) {
      const [own, column] = [cells[f]!, starts[f]!];
      if (own instanceof Int32Array) {
        if (own[i]! >= 0) builder.add(column + own[i]!, 1);
      } else if (own instanceof Float64Array) builder.add(column, own[i]!);
      else {
        for (let k = own.rowStarts[i]!; k < own.rowStarts[i + 1]!; k++) {
          builder.add(column + own.columns[k]!, own.values[k]!);
        }
      }
    }
    builder.endRow();
  }
  return builder.value;
}

/**
 * Encodes a chunk into `out` (row-major, `width` columns a row), starting at row `outRow`. The
 * target cells must be zero. `chunk.columns[i]` is the raw column of `features[i]`, of hashed text
 * `chunk.hashed[i]`.
 * @returns the name of a feature with a missing value that may not be missing, else undefined
 */
export function encodeBlock(
  features: readonly EncodedFeature[],
  chunk: RawChunk,
  out: Cells,
  width: number,
  outRow: number,
): string | undefined {
  const { rows } = chunk;
  let offset = outRow * width;
  const codes = new Int32Array(features.some(isIndicator) ? rows : 0);
  for (let f = 0; f < features.length; f++) {
    const feature = features[f]!;
    const raw = chunk.columns[f]!;
    if (isIndicator(feature)) {
      writeCodes(feature, raw, rows, { out: codes, from: 0, stride: 1, column: 0 });
      for (let i = 0, at = offset; i < rows; i++, at += width) {
        if (codes[i]! >= 0) out[at + codes[i]!] = 1;
      }
    } else if (feature.kind === 'hash') {
      const { rowStarts, columns, values } = chunk.hashed![f]!;
      for (let i = 0, at = offset; i < rows; i++, at += width) {
        for (let k = rowStarts[i]!; k < rowStarts[i + 1]!; k++) out[at + columns[k]!] = values[k]!;
      }
    } else if (!writeNumbers(feature, raw, rows, out, offset, width)) return feature.name;
    offset += featureWidth(feature);
  }
  return undefined;
}
