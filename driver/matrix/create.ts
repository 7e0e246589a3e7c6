/**
 * Makes matrices and scalars in a session: from cells, from one value, or at random. Invariant: a
 * matrix given by its cells never changes afterwards, because the cells are copied or handed over;
 * its lineage is their content digest.
 */
import { DTypeError, PlanError, ShapeError } from '../errors.js';
import type { Attrs } from '../ir/attrs.js';
import { CsrMatrix, nnzAttr } from '../ir/csr.js';
import { type DType, dtypeAttr } from '../ir/dtype.js';
import type { Evaluator } from '../ir/evaluator.js';
import { contentDigest } from '../ir/lineage-key.js';
import { type Cells, type DenseMatrix, dense } from '../ir/value.js';
import { ops } from '../operators/index.js';
import { withCallSite } from './call-site.js';
import { describe, makeExpr, requireOneSession, scalarExpr } from './element-wise.js';
import { Matrix, Scalar } from './matrix.js';

export interface MatrixOptions {
  /** False hands a typed array over uncopied; it must not be written to any more. Default true. */
  readonly copy?: boolean;
}

export interface TypedOptions {
  /** Of the cells. Default `float64`. */
  readonly dtype?: DType;
}

export interface UniformOptions extends TypedOptions {
  /** Whole, 0 or more. Same seed and shape, same cells, on every backend. */
  readonly seed: number;
  readonly distribution?: 'uniform';
  /** Default 0. */
  readonly min?: number;
  /** Exclusive; in float32 the cells are rounded, which may give it. Default 1. */
  readonly max?: number;
  readonly mean?: never;
  readonly std?: never;
  /** Expected share of cells that are not set to 0, in (0, 1]. Default 1. */
  readonly sparsity?: number;
}

export interface NormalOptions extends TypedOptions {
  readonly seed: number;
  readonly distribution: 'normal';
  /** Default 0. */
  readonly mean?: number;
  /** Default 1. */
  readonly std?: number;
  readonly min?: never;
  readonly max?: never;
  readonly sparsity?: number;
}

export type RandOptions = UniformOptions | NormalOptions;

/** Larger literals are told apart by their buffer: hashing would cost more than it saves. */
const MAX_DIGEST_CELLS = 4096;
const bufferIds = new WeakMap<ArrayBufferLike, number>();
let nextBufferId = 1;

/** A matrix of rows. @throws ShapeError for unequal lengths, DTypeError for cells not numbers */
export function matrix(session: Evaluator, rows: readonly (readonly number[])[]): Matrix;
/** A matrix of this value's cells; of compressed rows, which are not copied, a sparse one. */
export function matrix(session: Evaluator, value: DenseMatrix, options?: MatrixOptions): Matrix;
/** A matrix of `rows * cols` cells by row; a Float32Array gives float32. @throws ShapeError */
export function matrix(
  session: Evaluator,
  rows: number,
  cols: number,
  data: ArrayLike<number>,
  options?: MatrixOptions,
): Matrix;
export function matrix(
  session: Evaluator,
  first: readonly (readonly number[])[] | DenseMatrix | number,
  second?: number | MatrixOptions,
  data?: ArrayLike<number>,
  options?: MatrixOptions,
): Matrix {
  try {
    if (typeof first === 'number') {
      return literal(session, fromCells(first, second as number, data, options));
    }
    if (Array.isArray(first)) return literal(session, fromRows(first as readonly number[][]));
    if (isDense(first)) {
      if (first instanceof CsrMatrix) return literal(session, first);
      const { copy = true } = (second as MatrixOptions | undefined) ?? {};
      return literal(session, fromCells(first.rows, first.cols, first.data, { copy }));
    }
    throw new DTypeError(
      `matrix: expected nested arrays, a value or cells, got ${describe(first)}`,
      {
        op: 'matrix',
      },
    );
  } catch (error) {
    throw withCallSite(error);
  }
}

/** A number as a lazy scalar: `scalar(session, 1).sub(x)` is 1 - x. */
export function scalar(session: Evaluator, value: number): Scalar {
  if (typeof value !== 'number') {
    throw withCallSite(
      new DTypeError(`scalar: expected a number, got ${describe(value)}`, { op: 'scalar' }),
    );
  }
  return Scalar.of(session, scalarExpr(session, value));
}

/** Random cells; uniform on [0, 1) unless told otherwise. */
export function rand(session: Evaluator, rows: number, cols: number, options: RandOptions): Matrix {
  const shape = { rows, cols, seed: options.seed, ...dtypeAttr(options.dtype) };
  const sparse = options.sparsity === undefined ? {} : { sparsity: options.sparsity };
  const attrs: Attrs =
    options.distribution === 'normal'
      ? {
          ...shape,
          distribution: 'normal',
          mean: options.mean ?? 0,
          std: options.std ?? 1,
          ...sparse,
        }
      : {
          ...shape,
          distribution: 'uniform',
          min: options.min ?? 0,
          max: options.max ?? 1,
          ...sparse,
        };
  return Matrix.of(session, makeExpr(session, ops.rand, [], attrs));
}

/**
 * Random cells on [0, 1) of rows by their number: row i is row g_i of `rand` with that seed, so that
 * what is drawn for a row is the same in any batch, block and order of rows.
 * @shape g: [n, 1] from 0, seeds: [1, k] from 0 -> [n, k * cols], float64
 * @throws ShapeError
 */
export function uniformAt(g: Matrix, seeds: Matrix, cols: number): Matrix {
  requireOneSession('uniformAt', g.session, seeds.session);
  return Matrix.of(g.session, makeExpr(g.session, ops.uniformAt, [g.expr, seeds.expr], { cols }));
}

/**
 * Rows at these positions of shuffled orders of 0..count-1, a column for each seed and count; -1 for
 * positions that are not below the count.
 * @shape positions: [n, 1] from 0, seeds: [1, k] from 0, counts: [1, k] -> [n, k], float64
 * @throws ShapeError
 */
export function shuffledAt(positions: Matrix, seeds: Matrix, counts: Matrix): Matrix {
  const { session } = positions;
  for (const one of [seeds, counts]) requireOneSession('shuffledAt', session, one.session);
  const inputs = [positions, seeds, counts].map(({ expr }) => expr);
  return Matrix.of(session, makeExpr(session, ops.shuffledAt, inputs));
}

/** The column from, from + by, .. up to and including `to`. Default step 1, or -1 when falling. */
export function seq(session: Evaluator, from: number, to: number, by?: number): Matrix {
  const step = by ?? (to < from ? -1 : 1);
  const steps = from === to ? 0 : (to - from) / step;
  if (!(steps >= 0 && Number.isFinite(steps))) {
    throw withCallSite(
      new PlanError(`seq: expected steps that lead from ${from} to ${to}, got ${step}`, {
        op: 'seq',
        by: step,
      }),
    );
  }
  // As R does: a last step that falls short by rounding only still counts.
  const rows = Math.floor(steps + 1e-10) + 1;
  return Matrix.of(session, makeExpr(session, ops.seq, [], { from, by: step, rows }));
}

/** `value` in every cell. */
export function fill(
  session: Evaluator,
  rows: number,
  cols: number,
  value: number,
  { dtype }: TypedOptions = {},
): Matrix {
  const attrs = { rows, cols, value: value === 0 ? 0 : value, ...dtypeAttr(dtype) };
  return Matrix.of(session, makeExpr(session, ops.fill, [], attrs));
}

export function zeros(
  session: Evaluator,
  rows: number,
  cols: number,
  options?: TypedOptions,
): Matrix {
  return fill(session, rows, cols, 0, options);
}

export function ones(
  session: Evaluator,
  rows: number,
  cols: number,
  options?: TypedOptions,
): Matrix {
  return fill(session, rows, cols, 1, options);
}

/** The n x n identity. */
export function eye(session: Evaluator, n: number, options?: TypedOptions): Matrix {
  return ones(session, n, 1, options).diag();
}

/** The matrix of a value that nobody writes to. */
export function literal(session: Evaluator, value: DenseMatrix): Matrix {
  const { rows, cols, dtype } = value;
  const cells = value instanceof CsrMatrix ? value.nnz : value.data.length;
  const key = cells <= MAX_DIGEST_CELLS ? contentDigest(value) : bufferKeys(value);
  const attrs = { rows, cols, key, ...dtypeAttr(dtype), ...nnzAttr(value) };
  return Matrix.of(session, session.intern(ops.literal, [], attrs, value));
}

function bufferKeys(value: DenseMatrix): string {
  if (!(value instanceof CsrMatrix)) return bufferKey(value.data);
  return [value.values, value.columns, value.rowStarts].map(bufferKey).join();
}

function bufferKey(data: Cells | Int32Array): string {
  let id = bufferIds.get(data.buffer);
  if (id === undefined) {
    id = nextBufferId++;
    bufferIds.set(data.buffer, id);
  }
  return `buffer:${id}+${data.byteOffset}`;
}

function fromCells(
  rows: number,
  cols: number,
  data: ArrayLike<number> | undefined,
  options: MatrixOptions = {},
): DenseMatrix {
  const cells = data?.length;
  const fits = Number.isSafeInteger(rows) && Number.isSafeInteger(cols) && rows >= 1 && cols >= 1;
  if (!fits || cells !== rows * cols) {
    throw new ShapeError(
      `matrix: expected rows x cols cells, got ${cells ?? 'none'} for ${rows}x${cols}`,
      { op: 'matrix', shapes: [`${rows}x${cols}`] },
    );
  }
  if (data instanceof Float64Array || data instanceof Float32Array) {
    return dense<Cells>(rows, cols, options.copy === false ? data : data.slice());
  }
  return dense(rows, cols, checkedCopy(data as ArrayLike<number>, cols));
}

function fromRows(rows: readonly (readonly number[])[]): DenseMatrix {
  const cols = rows[0]?.length ?? 0;
  const ragged = rows.findIndex((row) => !Array.isArray(row) || row.length !== cols);
  if (cols === 0 || ragged >= 0) {
    const got = ragged >= 0 ? `${rows[ragged]?.length} in row ${ragged}` : 'none';
    throw new ShapeError(`matrix: expected rows of equal length (${cols} cells), got ${got}`, {
      op: 'matrix',
    });
  }
  return dense(rows.length, cols, checkedCopy(rows.flat(), cols));
}

function checkedCopy(cells: ArrayLike<number>, cols: number): Float64Array {
  if (!ArrayBuffer.isView(cells)) {
    for (let i = 0; i < cells.length; i++) {
      if (typeof cells[i] === 'number') continue;
      const place = `(${Math.floor(i / cols)}, ${i % cols})`;
      throw new DTypeError(
        `matrix: expected a number at ${place}, got ${describe(cells[i])}; use NaN for missing cells`,
        { op: 'matrix' },
      );
    }
  }
  return Float64Array.from(cells);
}

function isDense(value: unknown): value is DenseMatrix {
  return (value as DenseMatrix | undefined)?.kind === 'dense';
}
