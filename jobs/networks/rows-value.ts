/**
 * Values of a network: one row of a matrix for each row of the input. Invariant: a value of three
 * sizes after the first, [channels, height, width], lies channels last; every other one as the file
 * has it, row by row.
 */
import { Images, type Matrix, matrix, ops, PlanError } from '../../driver/index.js';
import { made } from '../../driver/matrix/grouped.js';
import type { Constant } from './graph.js';
import type { NodeSite } from './node-site.js';

/** Constants of a network, computed where they are asked for. */
export type ConstantCells = () => Float64Array;

/**
 * What a value of one number a channel times, and plus another, is without a step of its own.
 * @param reader the operation that asks
 */
export type AffineFold = (
  reader: NodeSite,
  scale: ConstantCells | undefined,
  shift: ConstantCells | undefined,
) => RowsValue;

export class RowsValue {
  readonly matrix: Matrix;
  /** Sizes after the first. */
  readonly dims: readonly number[];
  readonly fold: AffineFold | undefined;

  constructor(cells: Matrix, dims: readonly number[], fold?: AffineFold) {
    const size = dims.reduce((product, one) => product * one, 1);
    if (cells.cols !== size) {
      throw new PlanError(
        `network: expected rows of ${dims.join(' x ')} cells, got ${cells.cols}; check the sizes of the input`,
        { op: 'network' },
      );
    }
    this.matrix = cells;
    this.dims = dims;
    this.fold = fold;
  }

  static ofImages(images: Images, fold?: AffineFold): RowsValue {
    return new RowsValue(images.matrix, [images.channels, images.height, images.width], fold);
  }

  /** From cells as ONNX has them. */
  static ofPlain(cells: Matrix, dims: readonly number[]): RowsValue {
    if (dims.length !== 3) return new RowsValue(cells, dims);
    const [channels, height, width] = dims as [number, number, number];
    return RowsValue.ofImages(Images.ofChannelsFirst(cells, { channels, height, width }));
  }

  /** From cells as Keras has them. @param dims [height, width, channels] of images */
  static channelsLast(cells: Matrix, dims: readonly number[]): RowsValue {
    if (dims.length !== 3) return new RowsValue(cells, dims);
    const [height, width, channels] = dims as [number, number, number];
    return RowsValue.ofImages(new Images(cells, { height, width, channels }));
  }

  get isImages(): boolean {
    return this.dims.length === 3;
  }

  get images(): Images {
    const [channels, height, width] = this.dims as [number, number, number];
    return new Images(this.matrix, { channels, height, width });
  }

  /** Cells as ONNX has them. */
  get plain(): Matrix {
    return this.isImages ? this.images.channelsFirst() : this.matrix;
  }

  map(cells: (all: Matrix) => Matrix): RowsValue {
    return new RowsValue(cells(this.matrix), this.dims);
  }

  /** The same cells under other sizes. */
  reshaped(dims: readonly number[]): RowsValue {
    if (dims.join() === this.dims.join()) return this;
    return RowsValue.ofPlain(this.plain, dims);
  }

  /** Sizes in another order. @param order of the axes after the first */
  permuted(order: readonly number[]): RowsValue {
    const dims = order.map((axis) => this.dims[axis]!);
    // What lies channels last is there already.
    if (this.isImages && order.join() === '1,2,0') return RowsValue.ofPlain(this.matrix, dims);
    const axes = { shape: [...this.dims], order: [...order] };
    return RowsValue.ofPlain(made(ops.permuteAxes, [this.plain], axes), dims);
  }
}

/** Constants of one network as matrices, one each for a dtype, so that equal values are one node. */
export class ConstantMatrices {
  readonly #known = new WeakMap<object, Map<string, Float64Array | Float32Array>>();

  /**
   * @param constant or the operation that brings cells of its own
   * @param cells of the matrix, where they are not the constant's as they lie
   */
  matrix(
    beside: Matrix,
    constant: { readonly cells?: ArrayLike<number> },
    [rows, cols]: readonly [rows: number, cols: number],
    form = '',
    cells: () => ArrayLike<number> = () => constant.cells ?? [],
  ): Matrix {
    const { dtype, session } = beside;
    const key = `${dtype}${form}`;
    const forms = this.#known.get(constant) ?? new Map<string, Float64Array | Float32Array>();
    this.#known.set(constant, forms);
    let own = forms.get(key);
    if (own === undefined) {
      own = (dtype === 'float32' ? Float32Array : Float64Array).from(cells());
      forms.set(key, own);
    }
    return matrix(session, rows, cols, own, { copy: false });
  }
}

/** Sizes of a constant beside those of a value, with ones before; undefined where they don't fit. */
export function besideDims(
  constant: Constant,
  dims: readonly number[],
): readonly number[] | undefined {
  const all = [...constant.dims];
  while (all.length > dims.length && all[0] === 1) all.shift();
  while (all.length < dims.length) all.unshift(1);
  const fits = all.length === dims.length && all.every((one, i) => one === 1 || one === dims[i]);
  return fits ? all : undefined;
}

/** A constant stretched over the cells of a row, in the order in which they lie. */
export function stretchedCells(
  constant: Constant,
  own: readonly number[],
  { dims, isImages }: RowsValue,
): Float64Array {
  const order = isImages ? [1, 2, 0] : dims.map((_, axis) => axis);
  const steps = own.map((size, axis) =>
    size === 1 ? 0 : own.slice(axis + 1).reduce((product, one) => product * one, 1),
  );
  const cells = new Float64Array(dims.reduce((product, one) => product * one, 1));
  for (let at = 0; at < cells.length; at++) {
    let rest = at;
    let from = 0;
    for (let i = order.length - 1; i >= 0; i--) {
      const axis = order[i]!;
      from += (rest % dims[axis]!) * steps[axis]!;
      rest = Math.floor(rest / dims[axis]!);
    }
    cells[at] = constant.cells[from]!;
  }
  return cells;
}
