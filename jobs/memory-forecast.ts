/**
 * What a run will hold at its peak, from the numbers of columns, rows, folds and models, before
 * anything large is made. The terms are the buffers that the code makes, and a few measured
 * constants (docs/memory.md has both). Invariant: pure arithmetic over `RunShape`, so `plan`, `run`
 * and the advice on what would fit all forecast alike.
 */
import { WIDE_COLUMNS } from './estimators/linear-design.js';
import { plural } from './format.js';

const CELL = Float64Array.BYTES_PER_ELEMENT;
const MIB = 1024 ** 2;

/** What the forecast depends on. */
export interface RunShape {
  readonly rows: number;
  /** Encoded columns: with indicators of imputation. */
  readonly columns: number;
  /** Expressions read from the files. */
  readonly expressions: number;
  /** Cells of a row that hashed text has, a guess. Default 0. */
  readonly hashedCells?: number;
  /** Cells that cleaning steps take whole, for quantiles. Default 0. */
  readonly wholeCells?: number;
  /** Categories that one-hot features list. */
  readonly categories: number;
  readonly imputations: number;
  /** Groups of moments: folds, and one more where a column of the data says them. */
  readonly groups: number;
  readonly folds: number;
  readonly candidates: number;
  readonly standardize: boolean;
  /** Fits read the rows and make no products of columns with each other. */
  readonly isByRows: boolean;
  /** Models that train together take at most this. @units bytes */
  readonly stackBytes: number;
  /** A cell of the encoded data; moments and fits are float64. @units bytes */
  readonly cellBytes: number;
  /** Cells of the moments kept for each part of data of many files, together; 0 for one file. */
  readonly partCells: number;
  readonly isText: boolean;
  /** Threads that compute. */
  readonly lanes: number;
  /** Where rows are read and reduced. */
  readonly engine: 'local' | 'spark' | 'livy';
}

export interface MemoryItem {
  readonly what: string;
  /** @units bytes */
  readonly bytes: number;
}

export interface MemoryForecast {
  /** Of this process, at its peak. @units bytes */
  readonly processBytes: number;
  readonly items: readonly MemoryItem[];
  /** Heap the JVM of embedded Spark needs; null without one. @units bytes */
  readonly heapBytes: number | null;
  /** Moments, which are kept for reuse and have to fit that share. @units bytes */
  readonly momentBytes: number;
}

/** Node, DuckDB, OpenBLAS and the report before they hold data, measured. */
const BASE_BYTES = { local: 160 * MIB, spark: 130 * MIB, livy: 130 * MIB } as const;
/** DuckDB's and our buffers and plans for a column, measured. */
const COLUMN_BYTES = { columnar: 60 * 1024, text: 100 * 1024 } as const;
/** Most rows read that wait for the garbage collector: measured, for 1.5 to 9 million rows. */
const READ_BYTES = 192 * MIB;
/** Cells of a pass's block, and the number of blocks with those read ahead and gathered. */
const BLOCK_CELLS = 1 << 20;
const BLOCKS = 6;
/** A category in vocabularies, DuckDB's groups, names of columns, and the record. */
const CATEGORY_BYTES = 1200;
/** Steps of a narrow fit's value by fold: what stands in the cache when every fold was fitted. */
const NARROW_STEPS = { plain: 6, standardize: 1, imputes: 3 } as const;
/** Spark's own heap, with its session and code. */
const SPARK_BASE_BYTES = 350 * MIB;
/** Rows of a chunk of a frame on Spark (`RowSource.FrameChunkRows`). */
const CHUNK_ROWS = 8192;
/** From these sizes on the host makes moments of rows Spark reads (`makesMoreThanItReads`). */
const LARGE_RESULT_BYTES = 64 * MIB;

export function forecastMemory(shape: RunShape): MemoryForecast {
  if (shape.isByRows) return forecastByRows(shape);
  const side = shape.columns + 2;
  const block = side * side * CELL;
  const momentBytes = shape.groups * block;
  const dataBytes = shape.rows * side * CELL;
  const isHere =
    shape.engine === 'local' || (momentBytes >= LARGE_RESULT_BYTES && dataBytes < momentBytes);
  const items = [
    { what: 'the program', bytes: BASE_BYTES[shape.engine] },
    { what: `reading ${plural(shape.expressions, 'column')}`, bytes: readingBytes(shape, isHere) },
    {
      what: `moments of ${plural(shape.columns, 'column')} in ${plural(shape.groups, 'fold')}`,
      bytes: momentBytes,
    },
    {
      what: plural(shape.candidates * shape.folds, 'fit'),
      bytes: fittingBytes(shape, block, isHere),
    },
    ...(shape.partCells > 0 ? [{ what: 'moments by file', bytes: shape.partCells * CELL }] : []),
    ...wholeItems(shape),
  ];
  return {
    processBytes: items.reduce((sum, { bytes }) => sum + bytes, 0),
    items,
    heapBytes: shape.engine === 'spark' ? heapBytes(shape, momentBytes, block, isHere) : null,
    momentBytes,
  };
}

/** Columns as steps take them. */
function wholeItems({ wholeCells = 0 }: RunShape): MemoryItem[] {
  return wholeCells > 0
    ? [{ what: 'columns that steps take whole', bytes: wholeCells * CELL }]
    : [];
}

/** Vectors of a model's coefficients at work in a stack: its state, the next, and sums by chunk. */
const MODEL_VECTORS = 60;
/** Most that a lane copies of coefficients, or of sums (`coded-lanes.ts`). */
const LANE_BYTES = 64 * MIB;
/** Vectors of columns that the moments of a group and the training rows of a fold take. */
const COLUMN_VECTORS = 9;

/** Rows that are mostly zeros are held by their features; nothing has the square of the columns. */
function forecastByRows(shape: RunShape): MemoryForecast {
  const { rows, columns, expressions, categories, groups, folds, candidates } = shape;
  const fits = candidates * folds;
  const momentBytes = COLUMN_VECTORS * (groups + folds) * columns * CELL;
  const stack = Math.min(shape.stackBytes, fits * MODEL_VECTORS * columns * CELL);
  const ofLane = Math.min(LANE_BYTES, fits * columns * CELL);
  const copies = shape.engine === 'local' ? 2 * shape.lanes * ofLane : 0;
  const items = [
    { what: 'the program', bytes: BASE_BYTES[shape.engine] },
    {
      what: `reading ${plural(expressions, 'column')}`,
      bytes: categories * CATEGORY_BYTES + readerBytes(shape) + BLOCKS * BLOCK_CELLS * CELL,
    },
    {
      what: `${plural(rows, 'row')} of ${plural(expressions, 'feature')}`,
      bytes: rows * ((expressions + 2) * CELL + hashedBytes(shape)),
    },
    { what: `moments of ${plural(columns, 'column')} by themselves`, bytes: momentBytes },
    { what: plural(fits, 'fit'), bytes: stack + 4 * fits * columns * CELL + copies },
    ...wholeItems(shape),
  ];
  return {
    processBytes: items.reduce((sum, { bytes }) => sum + bytes, 0),
    items,
    heapBytes: shape.engine === 'spark' ? byRowsHeapBytes(shape) : null,
    momentBytes,
  };
}

/** Rows as they are kept, the models of a pass where tasks read them, and their sums. */
function byRowsHeapBytes(shape: RunShape): number {
  const { rows, columns, expressions, lanes, candidates, folds } = shape;
  const models = candidates * folds * columns * CELL;
  const ofRow = expressions * CELL + hashedBytes(shape);
  return SPARK_BASE_BYTES + rows * ofRow + (3 + 2 * lanes) * models;
}

/** Of a row of hashed text: a number and its place each. */
function hashedBytes({ hashedCells = 0 }: RunShape): number {
  return hashedCells * (CELL + 4);
}

/** What DuckDB and we hold to read the expressions as a stream. */
function readerBytes({ rows, expressions, isText }: RunShape): number {
  const column = isText ? COLUMN_BYTES.text : COLUMN_BYTES.columnar;
  return expressions * column + Math.min(READ_BYTES, rows * expressions * CELL);
}

function readingBytes(shape: RunShape, isHere: boolean): number {
  const categories = shape.categories * CATEGORY_BYTES;
  const width = shape.columns + 2;
  if (shape.engine !== 'local') {
    // Rows that are brought here whole: as they came, and as a matrix.
    return categories + (isHere ? 2 * shape.rows * width * CELL : 0);
  }
  const blockRows = Math.max(64, Math.min(shape.rows, Math.floor(BLOCK_CELLS / width)));
  return categories + readerBytes(shape) + BLOCKS * blockRows * width * shape.cellBytes;
}

/** What the fits hold beside the moments, or, if that is more, making the moments on every lane. */
function fittingBytes(shape: RunShape, block: number, isHere: boolean): number {
  const { groups, lanes, candidates, folds, columns } = shape;
  const weights = 3 * (columns + 1) * candidates * folds * CELL;
  // One buffer a lane, and one that the garbage collector has not seen yet.
  if (columns >= WIDE_COLUMNS) return weights + (lanes + 1) * block;
  const steps =
    NARROW_STEPS.plain +
    (shape.standardize ? NARROW_STEPS.standardize : 0) +
    (shape.imputations > 0 ? NARROW_STEPS.imputes : 0);
  const making = isHere ? (lanes - 1) * groups * block : 0;
  return weights + Math.max(making, steps * groups * block + 2 * lanes * block);
}

function heapBytes(shape: RunShape, moments: number, block: number, isHere: boolean): number {
  const chunk = Math.min(shape.rows, CHUNK_ROWS) * (shape.columns + 2) * CELL;
  if (isHere) {
    const rows = shape.rows * (shape.columns + 2) * CELL;
    return SPARK_BASE_BYTES + shape.lanes * 2 * chunk + 3 * rows;
  }
  // A task: its sums, a block's products and the same as moments, its rows twice. The driver:
  // results as they come, merged, and as they leave.
  return SPARK_BASE_BYTES + shape.lanes * (moments + 2 * block + 2 * chunk) + 3 * moments;
}
