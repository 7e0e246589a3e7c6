/**
 * Encoded rows as they are read: a number a numeric feature, the place of the 1 an indicator
 * (one-hot, bin, missing), instead of every cell. Rows of ten features and 150 columns so cost ten
 * cells to write and to read; numbers alone are the columns that were read, none is copied.
 * Invariant: it is the dense block to whoever asks for `data`, which is made then; the kernels of
 * `readsCodedRows` don't ask.
 */
import type { DataError } from '../../../driver/errors.js';
import type { Expr } from '../../../driver/ir/expr.js';
import type { RawChunk } from '../../../driver/ir/frame-engine.js';
import type { DenseMatrix } from '../../../driver/ir/value.js';
import {
  type EncodedFeature,
  featureWidth,
  isIndicator,
  writeCodes,
  writeNumbers,
} from '../../../driver/operators/encode-block.js';
import type { Allocate } from './kernel.js';

/** Columns a feature from which rows are coded. */
const MIN_WIDTH = 5;
/** Loops over coded rows have a statement a pair of features; longer ones are not optimised. */
const MAX_FEATURES = 32;
/** Narrower rows are cheap whichever way. */
const MIN_COLUMNS = 24;
/** Products of wider ones are cut into bands, which takes rows. */
const MAX_NUMBERS = 1000;

/** The cells of one numeric column. */
export interface NumberColumn {
  readonly column: number;
  readonly cells: Float64Array;
}

export class CodedRows implements DenseMatrix<Float64Array> {
  readonly kind = 'dense';
  readonly dtype = 'float64';
  readonly rows: number;
  readonly cols: number;
  readonly numbers: readonly NumberColumn[];
  /** Row by row, a column an indicator feature: the column that is 1, or -1. */
  readonly codes: Int32Array;
  readonly indicators: number;
  #data: Float64Array | undefined;

  constructor(
    rows: number,
    cols: number,
    numbers: readonly NumberColumn[],
    codes: Int32Array,
    indicators: number,
  ) {
    this.rows = rows;
    this.cols = cols;
    this.numbers = numbers;
    this.codes = codes;
    this.indicators = indicators;
  }

  /** Whether the cells were asked for. */
  get isDense(): boolean {
    return this.#data !== undefined;
  }

  get data(): Float64Array {
    this.#data ??= this.#cells();
    return this.#data;
  }

  #cells(): Float64Array {
    const out = new Float64Array(this.rows * this.cols);
    for (const { column, cells } of this.numbers) {
      for (let i = 0; i < this.rows; i++) out[i * this.cols + column] = cells[i]!;
    }
    for (let at = 0; at < this.rows * this.indicators; at++) {
      const code = this.codes[at]!;
      if (code >= 0) out[Math.floor(at / this.indicators) * this.cols + code] = 1;
    }
    return out;
  }
}

/** Whether the rows of an `encode` node are mostly zeros by their features alone, or all numbers. */
export function isWorthCoding({ attrs, cols, dtype }: Expr): boolean {
  const features = attrs.features as unknown as readonly EncodedFeature[];
  if (dtype !== 'float64') return false;
  if (features.every(isNumeric)) return cols <= MAX_NUMBERS;
  if (cols < MIN_COLUMNS || features.length > MAX_FEATURES) return false;
  return features.length * MIN_WIDTH <= cols;
}

/** Whether a feature is one column of numbers, 0 and 1 for missing values among numbers too. */
function isNumeric(feature: EncodedFeature): boolean {
  return !isIndicator(feature) || feature.kind === 'missing';
}

/** Cells that coded rows of these features take. */
export function codedWidth({ attrs }: Expr): number {
  return (attrs.features as unknown as readonly EncodedFeature[]).length;
}

/**
 * The rows of a chunk; `chunk.columns[i]` is the raw column of `features[i]`, which they may share.
 * @throws DataError for a missing value where a feature allows none
 */
export function codeRows(
  features: readonly EncodedFeature[],
  { rows, columns }: RawChunk,
  allocate: Allocate,
  missing: (feature: number) => DataError,
): CodedRows {
  const areNumbers = features.every(isNumeric);
  const indicators = areNumbers ? 0 : features.filter(isIndicator).length;
  const memory = allocate(Math.ceil((rows * indicators) / 2));
  const codes = new Int32Array(memory.buffer, memory.byteOffset, rows * indicators);
  const numbers: NumberColumn[] = [];
  let column = 0;
  let indicator = 0;
  for (const [f, feature] of features.entries()) {
    const raw = columns[f]!;
    if (!isIndicator(feature)) {
      numbers.push({ column, cells: cellsOf(feature, raw, rows, allocate, () => missing(f)) });
    } else if (areNumbers) {
      const cells = allocate(rows);
      for (let i = 0; i < rows; i++) cells[i] = Number.isNaN(raw[i]!) ? 1 : 0;
      numbers.push({ column, cells });
    } else {
      writeCodes(feature, raw, rows, { out: codes, from: indicator++, stride: indicators, column });
    }
    column += featureWidth(feature);
  }
  return new CodedRows(rows, column, numbers, codes, indicators);
}

type NumberFeature = Parameters<typeof writeNumbers>[0];

/** The numbers of a feature: the raw column where they are in it. */
function cellsOf(
  feature: NumberFeature,
  raw: Float64Array,
  rows: number,
  allocate: Allocate,
  missing: () => DataError,
): Float64Array {
  if (feature.kind === 'number' && !hasMissing(raw, rows)) return raw.subarray(0, rows);
  const cells = allocate(rows);
  if (!writeNumbers(feature, raw, rows, cells, 0, 1)) throw missing();
  return cells;
}

function hasMissing(raw: Float64Array, rows: number): boolean {
  for (let i = 0; i < rows; i++) if (Number.isNaN(raw[i]!)) return true;
  return false;
}
