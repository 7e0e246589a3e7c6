/**
 * Decision values of a model for the rows of new data, block by block in the order of the rows.
 * Local data are read, encoded and multiplied as a stream, in the memory of one block. On Spark a
 * product over row blocks does it on the executors, and what is collected is the decision values of
 * some files, or of a part of one, at a time.
 */

import { subSource } from '../../driver/frame/parts.js';
import {
  ConfigError,
  DataError,
  type DType,
  Frame,
  type FrameFile,
  type FrameSource,
  Matrix,
  matrix,
  nonnegative,
  type Run,
  scalar,
  zeros,
} from '../../driver/index.js';
import type { FrameDescription, RawChunk } from '../../driver/ir/frame-engine.js';
import { cellsOf } from '../../driver/ir/value.js';
import { encodeBlock, rawColumn } from '../../driver/operators/encode-block.js';
import { makeParts, rowSolver } from '../../driver/operators/nonnegative.js';
import type { DuckDbEngine } from '../../gpu-executor/cpu/index.js';
import { basisColumns } from '../estimators/basis.js';
import { layersOf, layersOfCells, layersWidth } from '../estimators/networks/stored-layers.js';
import type { EncodingStages, ModelEncoding } from '../model/encoding.js';
import type { ModelFile } from '../model/model-file.js';
import { applyStages, applyToRows, networksIn } from '../prepare/stored-stages.js';
import { type RowCache, rowKeys } from './row-cache.js';

/** Row by row: [rows, outputs]. */
export interface DecisionBlock {
  readonly rows: number;
  /** Rows that the model decided on for it; the others are equal to such, or to earlier ones. */
  readonly computed: number;
  readonly z: Float64Array;
}

export interface LocalOptions {
  /** Of this model. Absent: each row is decided on. */
  readonly cache?: RowCache | undefined;
  /** Computes what is said by expressions alone. */
  readonly run: Run;
  readonly signal?: AbortSignal | undefined;
}

/** Encoded cells of a block here: 8 MB. */
const BLOCK_CELLS = 1 << 20;
/** Decision values collected from Spark at a time: 64 MB. */
const COLLECTED_BYTES = 1 << 26;

export async function* localDecisions(
  duckdb: DuckDbEngine,
  source: FrameSource,
  encoding: ModelEncoding,
  { dtype }: Pick<ModelFile, 'dtype'>,
  { cache, run, signal }: LocalOptions,
): AsyncGenerator<DecisionBlock> {
  const { features, width } = encoding;
  const rowsPerChunk = Math.max(64, Math.floor(BLOCK_CELLS / width));
  const columns = features.map(rawColumn);
  const cells = cellsOf(dtype, rowsPerChunk * width);
  const isExpressed = isOfHost(encoding);
  let first = 0;
  for await (const chunk of duckdb.read(source, columns, {
    rowsPerChunk,
    ...(signal ? { signal } : {}),
  })) {
    cells.fill(0);
    const bad = encodeBlock(features, chunk, cells, width, 0);
    if (bad !== undefined) throw fault(encoding, chunk, first, bad);
    const checked = (z: Float64Array): Float64Array => {
      if (!z.every(Number.isFinite)) throw fault(encoding, chunk, first, bad);
      return z;
    };
    const compute = (rows: number): Float64Array => checked(decisionsOf(encoding, cells, rows));
    let computed = chunk.rows;
    const z = isExpressed
      ? checked(await expressed(run, encoding, cells.subarray(0, computed * width), computed))
      : cache?.pays
        ? cache.decide(rowKeys(chunk), (rows) => {
            computed = rows.length;
            for (const [to, row] of rows.entries()) {
              cells.copyWithin(to * width, row * width, (row + 1) * width);
            }
            return compute(computed);
          })
        : compute(computed);
    yield { rows: chunk.rows, computed, z };
    first += chunk.rows;
  }
}

/** Columns of a row times what is made of each, from which looking it up is quicker. */
const DEAR_ROW = 4096;

/** Networks of images: kernels of this machine decide, since Spark has none for them. */
function isOfHost(encoding: ModelEncoding): boolean {
  const ofImages: readonly string[] = ['conv2d', 'max_pool', 'avg_pool'];
  return hasNetwork(encoding) || !!encoding.layers?.some(({ kind }) => ofImages.includes(kind));
}

/** A pretrained network among the stages, which is said by expressions alone. */
function hasNetwork({ stages }: ModelEncoding): boolean {
  return stages !== undefined && networksIn(stages.stages).length > 0;
}

/** `decisionsOfRows` of encoded cells. */
async function expressed(
  run: Run,
  encoding: ModelEncoding,
  cells: Float64Array | Float32Array,
  rows: number,
): Promise<Float64Array> {
  const z = decisionsOfRows(matrix(run, rows, encoding.width, cells), encoding);
  return Float64Array.from((await z.value()).data);
}

/**
 * Whether deciding on a row takes longer than looking it up. Of images values would depend on the
 * rows beside them in their last digits.
 */
export function isDear(encoding: ModelEncoding): boolean {
  const { width, intercepts, layers, nonnegative, stages } = encoding;
  if (isOfHost(encoding)) return false;
  if (nonnegative !== undefined || stages !== undefined) return true;
  let work = width * intercepts.length;
  for (const layer of layers ?? []) {
    if (layer.kind === 'dense') work += layer.weights.length * layer.weights[0]!.length;
  }
  return work >= DEAR_ROW;
}

/** The decision values of encoded rows; the cells are overwritten. */
function decisionsOf(
  encoding: ModelEncoding,
  cells: Float64Array | Float32Array,
  rows: number,
): Float64Array {
  const { stages: staged, width } = encoding;
  const { layers } = encoding;
  const after = (z: Float64Array): Float64Array => (layers ? layersOfCells(z, rows, layers) : z);
  if (staged === undefined) return after(products(encoding, cells, rows));
  const { places } = staged;
  const own = new Float64Array(rows * places.length);
  for (let i = 0; i < rows; i++) {
    for (const [j, [at, indicator]] of places.entries()) {
      const isMissing = indicator >= 0 && cells[i * width + indicator] === 1;
      own[i * places.length + j] = isMissing ? Number.NaN : cells[i * width + at]!;
    }
  }
  const made = applyToRows(own, rows, staged.stages);
  return after(products({ ...encoding, width: staged.width }, made, rows));
}

/** B(X) W + b, or the columns of layers that begin at them; the cells are overwritten. */
function products(
  { width, basis, weights, intercepts, nonnegative, picks }: Omit<ModelEncoding, 'stages' | 'features'>, // biome-ignore format: a list
  cells: Float64Array | Float32Array,
  rows: number,
): Float64Array {
  if (picks !== undefined) {
    const { length } = picks;
    return Float64Array.from({ length: rows * length }, (_, at) => {
      return cells[Math.floor(at / length) * width + picks[at % length]!]!;
    });
  }
  const outputs = intercepts.length;
  const z = new Float64Array(rows * outputs);
  if (nonnegative !== undefined) {
    const parts = makeParts(outputs, width, nonnegative, (k, j) => weights[j * outputs + k]!);
    const solve = rowSolver(outputs, width);
    for (let i = 0; i < rows; i++) {
      z.set(solve(cells.subarray(i * width, (i + 1) * width), parts), i * outputs);
    }
    return z;
  }
  for (let at = 0; at < z.length; at++) z[at] = intercepts[at % outputs]!;
  const count = rows * width;
  if (typeof basis === 'object') {
    for (let at = 0; at < count; at++) cells[at] = cells[at]! > basis.above ? 1 : 0;
  }
  addProduct(z, cells, weights, { rows, width, outputs });
  if (basis === 'squares') {
    for (let at = 0; at < count; at++) cells[at]! *= cells[at]!;
    addProduct(z, cells, weights.subarray(width * outputs), { rows, width, outputs });
  }
  return z;
}

interface Sides {
  readonly rows: number;
  readonly width: number;
  readonly outputs: number;
}

/** z += X W; most cells of one-hot columns are 0 and are passed over. */
function addProduct(
  z: Float64Array,
  cells: Float64Array | Float32Array,
  weights: Float64Array,
  { rows, width, outputs }: Sides,
): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < width; j++) {
      const x = cells[i * width + j]!;
      if (x === 0) continue;
      for (let k = 0; k < outputs; k++) z[i * outputs + k]! += x * weights[j * outputs + k]!;
    }
  }
}

/** Why a row of the chunk has no decision value. */
function fault(
  { features, nonnegative: own }: ModelEncoding,
  chunk: RawChunk,
  first: number,
  bad: string | undefined,
): DataError {
  for (const [f, feature] of features.entries()) {
    if (bad !== undefined && (feature.name !== bad || feature.kind !== 'number')) continue;
    const least = own?.loss === 'kullback-leibler' ? 0 : Number.NEGATIVE_INFINITY;
    const isOut = (x: number): boolean => Math.abs(x) === Infinity || x < least;
    const isBad = bad === undefined ? isOut : Number.isNaN;
    const cells = chunk.columns[f]!;
    const row = cells.findIndex(isBad);
    if (row < 0) continue;
    const got =
      bad === undefined
        ? Number.isFinite(cells[row])
          ? 'a negative one, which divergences are not defined for'
          : 'an infinite value'
        : 'a missing value, of which training had none; give the feature an `impute` in the job';
    return new DataError(
      `predict: expected a finite number of feature \`${feature.name}\` in every row, got ${got} (row ${first + row + 1})`,
      { feature: feature.name, row: first + row + 1 },
    );
  }
  return new DataError(
    `predict: expected finite predictions, got values beyond float64 in rows ${first + 1} to ${first + chunk.rows}`,
    { row: first + 1 },
  );
}

/** The decision values of a source as a matrix over row blocks. @shape [n, outputs] */
export function decisionMatrix(
  run: Run,
  description: FrameDescription,
  source: FrameSource,
  encoding: ModelEncoding,
  { dtype }: Pick<ModelFile, 'dtype'>,
): Matrix {
  if (isOfHost(encoding)) {
    throw new ConfigError(
      'predict: expected a file or folder of this machine as --out for a model with images, which Spark has no kernels for, got storage of the cluster',
      { key: '--out', source: 'flag' },
    );
  }
  return decisionsOfRows(encodedMatrix(run, description, source, encoding, dtype), encoding);
}

function encodedMatrix(
  run: Run,
  description: FrameDescription,
  source: FrameSource,
  { features }: ModelEncoding,
  dtype: DType,
): Matrix {
  const rows = source.files.reduce((sum, file) => sum + file.rows, 0);
  const frame = new Frame(run, { ...description, source, rows });
  return Matrix.of(run, frame.encode(features, { dtype }));
}

/** @param rows encoded */
function decisionsOfRows(
  rows: Matrix,
  { basis, weights, intercepts, nonnegative: own, stages, layers, picks }: ModelEncoding,
): Matrix {
  const { session } = rows;
  const encoded = rows.cast('float64');
  const outputs = intercepts.length;
  const cells = stages === undefined ? encoded : stagedCells(encoded, stages);
  if (picks !== undefined) return layersOf(picked(cells, picks), layers!);
  const X = basisColumns(basis, cells);
  const W = matrix(session, X.cols, outputs, weights);
  if (own !== undefined) {
    const shape = { groups: 1, width: outputs, gives: 'parts' } as const;
    return nonnegative(zeros(session, rows.rows, 1), X, W, { ...own, ...shape });
  }
  const z = X.matmul(W).add(matrix(session, 1, outputs, Float64Array.from(intercepts)));
  return layers ? layersOf(z, layers) : z;
}

/** Some of the columns, as layers begin at them. */
function picked(cells: Matrix, places: readonly number[]): Matrix {
  if (places.length === cells.cols) return cells;
  const choice = new Float64Array(cells.cols * places.length);
  for (const [j, place] of places.entries()) choice[place * places.length + j] = 1;
  return cells.matmul(matrix(cells.session, cells.cols, places.length, choice));
}

/** The columns that stages make of encoded ones. */
function stagedCells(encoded: Matrix, { stages, places }: EncodingStages): Matrix {
  const { session, cols } = encoded;
  const own = picked(encoded, places.map(([at]) => at)); // biome-ignore format: a list
  if (places.every(([, indicator]) => indicator < 0)) return applyStages(own, stages);
  const cells = new Float64Array(cols * places.length);
  for (const [j, [, indicator]] of places.entries()) {
    if (indicator >= 0) cells[indicator * places.length + j] = 1;
  }
  const isMissing = encoded.matmul(matrix(session, cols, places.length, cells));
  // A missing cell is 0 where its indicator is 1, and 0 / 0 is NaN.
  return applyStages(own.div(scalar(session, 1).sub(isMissing)), stages);
}

/** @param most bytes to bring here at a time, however many a file has: of decision values, or of encoded rows where this machine decides */
export async function* sparkDecisions(
  run: Run,
  description: FrameDescription,
  source: FrameSource,
  encoding: ModelEncoding,
  model: Pick<ModelFile, 'dtype'>,
  most = COLLECTED_BYTES,
): AsyncGenerator<DecisionBlock> {
  const isHere = isOfHost(encoding);
  const outputs = isHere
    ? encoding.width
    : (layersWidth(encoding.layers) ?? encoding.intercepts.length);
  const rowsAtOnce = Math.max(1, Math.floor(most / (outputs * Float64Array.BYTES_PER_ELEMENT)));
  for (const files of groupsOf(source.files, rowsAtOnce)) {
    const some = subSource(source, files);
    const all = isHere
      ? encodedMatrix(run, description, some, encoding, model.dtype)
      : decisionMatrix(run, description, some, encoding, model);
    // A file that is brought here piece by piece is read once: its values wait in the cluster.
    if (all.rows > rowsAtOnce) await run.persist([all.expr]);
    for (let from = 0; from < all.rows; from += rowsAtOnce) {
      const to = Math.min(all.rows, from + rowsAtOnce);
      const part = to - from < all.rows ? all.slice([from, to]) : all;
      const { data } = await part.value();
      const z = isHere
        ? await expressed(run, encoding, Float64Array.from(data), to - from)
        : Float64Array.from(data);
      if (!z.every(Number.isFinite)) throw infiniteIn(files[0]!.path);
      yield { rows: to - from, computed: to - from, z };
    }
  }
}

export function infiniteIn(path: string): DataError {
  return new DataError(
    `predict: expected finite numbers in the features, got infinite ones in ${path}`,
    { path },
  );
}

function groupsOf(files: readonly FrameFile[], rowsAtOnce: number): FrameFile[][] {
  const groups: FrameFile[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  for (const file of files.filter((one) => one.rows > 0)) {
    rows += file.rows;
    if (rows > rowsAtOnce) {
      groups.push([]);
      rows = file.rows;
    }
    groups.at(-1)!.push(file);
  }
  return groups;
}
