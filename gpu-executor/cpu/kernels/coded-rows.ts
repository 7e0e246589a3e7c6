/**
 * Encoded rows as they are read: a number a numeric feature, the place of the 1 an indicator
 * (one-hot, bin, missing), instead of every cell. Rows of ten features and 150 columns so cost ten
 * cells to write and to read; numbers alone are the columns that were read, none is copied.
 * Invariant: it is the dense block to whoever asks for `data`, which is made then; kernels that
 * say `coded` don't ask.
 */
import { type DataError, InternalError } from '../../../driver/errors.js';
import type { Expr } from '../../../driver/ir/expr.js';
import type { RawChunk } from '../../../driver/ir/frame-engine.js';
import type { DenseMatrix, SparseForm } from '../../../driver/ir/value.js';
import {
  type EncodedFeature,
  featureWidth,
  isHashed,
  isIndicator,
  type NumberFeature,
  writeCodes,
  writeNumbers,
} from '../../../driver/operators/encode-block.js';
import type { Allocate } from './kernel.js';

/**
 * Columns a feature from which products of coded rows are faster than those of dense ones, which do
 * so many times the operations a second.
 */
export const CODED_PRODUCTS = 25;
/** Narrower rows are cheap whichever way. */
const MIN_COLUMNS = 24;

/** The cells of one numeric column. */
export interface NumberColumn {
  readonly column: number;
  readonly cells: Float64Array;
}

export class CodedRows implements DenseMatrix<Float64Array>, SparseForm {
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

  get sparse(): SparseForm {
    return this;
  }

  get bytes(): number {
    const cells = this.numbers.length * this.rows * Float64Array.BYTES_PER_ELEMENT;
    return cells + this.codes.length * Int32Array.BYTES_PER_ELEMENT;
  }

  rowsView(from: number, to: number): CodedRows {
    const numbers = this.numbers.map(({ column, cells }) => ({
      column,
      cells: cells.subarray(from, to),
    }));
    const codes = this.codes.subarray(from * this.indicators, to * this.indicators);
    return new CodedRows(to - from, this.cols, numbers, codes, this.indicators);
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

/**
 * Whether the rows of an `encode` node are mostly zeros by their features alone, or all numbers.
 * @param reader what reads them
 */
export function isWorthCoding(
  { attrs, cols, dtype }: Expr,
  { from, most = Number.POSITIVE_INFINITY, numbers = 0 }: CodedReader,
): boolean {
  const features = attrs.features as unknown as readonly EncodedFeature[];
  if (dtype !== 'float64' || features.some(isHashed)) return false;
  if (features.every(isNumeric)) return cols <= numbers;
  return cols >= MIN_COLUMNS && features.length <= most && features.length * from <= cols;
}

/** Which coded rows an operator's kernel reads without their cells. */
export interface CodedReader {
  /** Columns a feature from which that is less work. */
  readonly from: number;
  /** Features up to which it is done. Default: any number. */
  readonly most?: number;
  /** Columns up to which it reads rows of numbers alone, column by column. Default: never. */
  readonly numbers?: number;
  /** Which operand may be coded rows. Default: any. */
  readonly operand?: number;
  /** It takes as long as reading the rows: of many, it runs beside that (`beside.ts`). */
  readonly isLong?: true;
}

/** Bytes of the whole rows of an `encode` node, where they are kept as coded rows. */
export function codedBytes(expr: Expr): number | undefined {
  if (expr.op.source !== 'scan' || !isWorthCoding(expr, { from: CODED_PRODUCTS })) return undefined;
  const { features } = expr.attrs as unknown as { readonly features: readonly EncodedFeature[] };
  const indicators = features.filter(isIndicator).length;
  return expr.rows * ((features.length - indicators) * 8 + indicators * 4);
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
  const codes = int32(allocate, rows * indicators);
  const numbers: NumberColumn[] = [];
  let column = 0;
  let indicator = 0;
  for (const [f, feature] of features.entries()) {
    const raw = columns[f]!;
    if (isHashed(feature)) throw new InternalError('encode: expected no hashed text among codes');
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

/** Integers in the memory of as many bytes of cells. */
function int32(allocate: Allocate, count: number): Int32Array {
  const { buffer, byteOffset } = allocate(Math.ceil(count / 2));
  return new Int32Array(buffer, byteOffset, count);
}

/** Coded rows that are written block by block, all of which are of the same features. */
export class CodedRowsWriter {
  readonly #rows: number;
  #whole: CodedRows | undefined;

  constructor(rows: number) {
    this.#rows = rows;
  }

  write(from: number, block: CodedRows): void {
    this.#whole ??= new CodedRows(
      this.#rows,
      block.cols,
      block.numbers.map(({ column }) => ({ column, cells: new Float64Array(this.#rows) })),
      new Int32Array(this.#rows * block.indicators),
      block.indicators,
    );
    for (const [i, { cells }] of block.numbers.entries()) {
      this.#whole.numbers[i]!.cells.set(cells, from);
    }
    this.#whole.codes.set(block.codes, from * block.indicators);
  }

  /** All of them, once every row is written. */
  get value(): CodedRows {
    return this.#whole!;
  }
}
