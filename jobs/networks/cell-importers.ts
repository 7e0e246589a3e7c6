/** Importers of what works on cells or rows: arithmetic, activations, products, sums. */
import { foldCols, gelu, Images, type Matrix, relu } from '../../driver/index.js';
import type { Constant } from './graph.js';
import { affine } from './image-importers.js';
import type { Importer, NodeSite } from './node-site.js';
import { besideDims, type ConstantCells, RowsValue, stretchedCells } from './rows-value.js';

type Binary = (a: Matrix, b: Matrix | number) => Matrix;

const cellwise = (cells: (x: Matrix, site: NodeSite) => Matrix): Importer => {
  return (site) => site.rows().map((x) => cells(x, site));
};

/** Constants alone; the same operator as of data. */
function ofConstants(site: NodeSite, by: (a: number, b: number) => number): Constant {
  const [a, b] = [site.constant(0), site.constant(1)];
  const longer = a.cells.length >= b.cells.length ? a : b;
  const isScalar = ({ cells }: Constant): boolean => cells.length === 1;
  if (!isScalar(a) && !isScalar(b) && a.dims.join() !== b.dims.join()) {
    return site.refuse('constants of one shape');
  }
  const cells = longer.cells.map((_, i) =>
    by(a.cells[isScalar(a) ? 0 : i]!, b.cells[isScalar(b) ? 0 : i]!),
  );
  return { dims: longer.dims, cells };
}

/** How a constant meets a value: a number, a row, or one number a channel. */
function beside(site: NodeSite, x: RowsValue, constant: Constant): Matrix | number {
  if (constant.cells.length === 1) return constant.cells[0]!;
  const own = besideDims(constant, x.dims);
  if (own === undefined) return site.refuse(`a constant beside rows of ${x.dims.join(' x ')}`);
  const isByChannel = x.isImages && own[1] === 1 && own[2] === 1;
  if (isByChannel) return x.images.byChannel(site.row(constant, x.matrix));
  const cells = (): Float64Array => stretchedCells(constant, own, x);
  const form = `row of ${x.dims.join(' x ')}`;
  return site.matrices.matrix(x.matrix, constant, [1, x.matrix.cols], form, cells);
}

/** One number a channel, where that is what the constant is. */
function ofChannels(x: RowsValue, constant: Constant): ConstantCells | undefined {
  const own = x.isImages ? besideDims(constant, x.dims) : undefined;
  if (own?.[1] !== 1 || own[2] !== 1) return undefined;
  const { cells } = constant;
  const count = cells.length;
  return () => Float64Array.from({ length: x.images.channels }, (_, i) => cells[i % count]!);
}

/** Operands of data and data: of one shape, or one number a channel or a row beside the other. */
export function betweenRows(
  site: NodeSite,
  a: RowsValue,
  b: RowsValue,
  by: (a: Matrix, b: Matrix) => Matrix,
): RowsValue {
  if (a.dims.join() === b.dims.join()) return new RowsValue(by(a.matrix, b.matrix), a.dims);
  const stretched = (small: RowsValue, large: RowsValue): Matrix | undefined => {
    if (small.matrix.cols === 1) return small.matrix;
    const isByChannel =
      large.isImages && small.isImages && small.dims[1] === 1 && small.dims[2] === 1;
    if (!isByChannel || small.dims[0] !== large.dims[0]) return undefined;
    return large.images.byChannel(small.matrix);
  };
  const [ofB, ofA] = [stretched(b, a), stretched(a, b)];
  if (ofB) return new RowsValue(by(a.matrix, ofB), a.dims);
  if (ofA) return new RowsValue(by(ofA, b.matrix), b.dims);
  return site.refuse(`operands of like sizes (${a.dims.join(' x ')} and ${b.dims.join(' x ')})`);
}

interface Arithmetic {
  readonly by: Binary;
  readonly ofNumbers: (a: number, b: number) => number;
  /** With the operands exchanged; the same where it is left out. */
  readonly turned?: (b: Matrix, a: Matrix | number) => Matrix;
  /** By a number a channel: as a product or a sum that a convolution takes in. */
  readonly ofChannel?: (by: number) => { readonly scale?: number; readonly shift?: number };
}

function binary({ by, ofNumbers, turned, ofChannel }: Arithmetic): Importer {
  return (site) => {
    const [a, b] = site.inputs;
    if (a instanceof RowsValue && b instanceof RowsValue) return betweenRows(site, a, b, by);
    if (!(a instanceof RowsValue) && !(b instanceof RowsValue)) return ofConstants(site, ofNumbers);
    if (!(a instanceof RowsValue)) {
      const x = site.rows(1);
      if (turned === undefined) return folded(site, x, site.constant(0));
      const constant = beside(site, x, site.constant(0));
      return x.map((cells) => turned(cells, constant));
    }
    return folded(site, a, site.constant(1));
  };

  function folded(site: NodeSite, x: RowsValue, constant: Constant): RowsValue {
    const numbers = ofChannel && x.fold && ofChannels(x, constant);
    if (numbers) {
      const { scale, shift } = ofChannel(1);
      const each = (part: 'scale' | 'shift') => (): Float64Array =>
        numbers().map((one) => ofChannel(one)[part]!);
      return affine(
        ...([site, x, scale === undefined ? undefined : each('scale')] as const),
        shift === undefined ? undefined : each('shift'),
      );
    }
    const other = beside(site, x, constant);
    return x.map((cells) => by(cells, other));
  }
}

const arithmetic: Readonly<Record<string, Arithmetic>> = {
  Add: { by: (a, b) => a.add(b), ofNumbers: (a, b) => a + b, ofChannel: (shift) => ({ shift }) },
  Mul: { by: (a, b) => a.mul(b), ofNumbers: (a, b) => a * b, ofChannel: (scale) => ({ scale }) },
  Sub: {
    ...{ by: (a, b) => a.sub(b), ofNumbers: (a, b) => a - b },
    ...{ turned: (b, a) => b.neg().add(a), ofChannel: (b) => ({ shift: -b }) },
  },
  Div: {
    ...{ by: (a, b) => a.div(b), ofNumbers: (a, b) => a / b },
    ...{ turned: (b, a) => b.recip().mul(a), ofChannel: (b) => ({ scale: 1 / b }) },
  },
  Pow: {
    ...{ by: (a, b) => (b === 2 ? a.square() : a.pow(b)), ofNumbers: (a, b) => a ** b },
    turned: (b, a) => b.mul(0).add(a).pow(b),
  },
  Min: { by: (a, b) => a.minimum(b), ofNumbers: Math.min },
  Max: { by: (a, b) => a.maximum(b), ofNumbers: Math.max },
};

/** Least and greatest: attributes of older files, operands of newer ones. */
function clipped(x: Matrix, site: NodeSite): Matrix {
  const least = site.optional(1)?.cells[0] ?? site.number('min', Number.NEGATIVE_INFINITY);
  const greatest = site.optional(2)?.cells[0] ?? site.number('max', Number.POSITIVE_INFINITY);
  return within(x, least, greatest);
}

/** ConstantCells beyond float32, which stand for no bound, are none. */
export function within(x: Matrix, least: number, greatest: number): Matrix {
  const raised = least > -3e38 ? x.maximum(least) : x;
  return greatest < 3e38 ? raised.minimum(greatest) : raised;
}

export const hardSigmoid = (x: Matrix, alpha: number, beta: number): Matrix =>
  within(x.mul(alpha).add(beta), 0, 1);

export const leakyRelu = (x: Matrix, alpha: number): Matrix =>
  x.maximum(0).add(x.minimum(0).mul(alpha));

export const elu = (x: Matrix, alpha: number): Matrix =>
  x.maximum(0).add(x.minimum(0).expm1().mul(alpha));

const sum: Importer = (site) => {
  const [first, ...others] = site.inputs.map((_, at) => site.rows(at)) as [
    RowsValue,
    ...RowsValue[],
  ];
  return others.reduce((total, one) => betweenRows(site, total, one, (a, b) => a.add(b)), first);
};

const gemm: Importer = (site) => {
  const x = site.rows();
  const [weights, bias] = [site.constant(1), site.optional(2)];
  const isTurned = site.number('transB', 0) !== 0;
  if (site.number('transA', 0) !== 0 || x.dims.length !== 1) return site.refuse('rows');
  const alpha = site.number('alpha', 1);
  const product = times(site, x.matrix, weights, isTurned);
  const scaled = alpha === 1 ? product : product.mul(alpha);
  const dims = [product.cols];
  const beta = site.number('beta', 1);
  if (bias === undefined) return new RowsValue(scaled, dims);
  const added = beside(site, new RowsValue(scaled, dims), bias);
  return new RowsValue(
    scaled.add(typeof added === 'number' || beta === 1 ? added : added.mul(beta)),
    dims,
  );
};

function times(site: NodeSite, x: Matrix, { dims, cells }: Constant, isTurned: boolean): Matrix {
  const [rows, cols] = dims as [number, number];
  if (dims.length !== 2) return site.refuse('a matrix of weights');
  const constant = site.constant(1);
  if (!isTurned) return x.matmul(site.matrices.matrix(x, constant, [rows, cols]));
  const turned = (): Float64Array =>
    Float64Array.from(
      { length: cells.length },
      (_, i) => cells[(i % rows) * cols + Math.floor(i / rows)]!,
    );
  return x.matmul(site.matrices.matrix(x, constant, [cols, rows], 'turned', turned));
}

const matMul: Importer = (site) => byWeights(site, site.rows(), site.constant(1));

/** By a matrix of weights; of rows of vectors a product each, which is a convolution of pixels. */
export function byWeights(
  site: NodeSite,
  x: RowsValue,
  weights: Constant,
  bias?: Constant,
): RowsValue {
  const added = bias && site.row(bias, x.matrix);
  if (x.dims.length === 1) {
    const product = times(site, x.matrix, weights, false);
    return new RowsValue(added ? product.add(added) : product, [product.cols]);
  }
  const [count, size] = x.dims as [number, number];
  if (x.dims.length !== 2 || weights.dims.length !== 2) return site.refuse('rows of vectors');
  const pixels = new Images(x.matrix, { height: count, width: 1, channels: size });
  const filters = site.matrices.matrix(x.matrix, weights, [size, weights.dims[1]!]);
  const made = pixels.conv2d(filters, { window: 1, ...(added ? { bias: added } : {}) });
  return new RowsValue(made.matrix, [count, weights.dims[1]!]);
}

const softmax: Importer = (site) => {
  const x = site.rows();
  const isOld = site.opset < 13;
  const axis = site.number('axis', isOld ? 1 : -1);
  if (isOld && axis === 1) return x.map((cells) => cells.softmax());
  const last = x.dims.length - 1;
  if (x.isImages || site.axes([axis], x)[0] !== last) return site.refuse('the last axis');
  return x.map((cells) => cells.softmax(x.dims[last]!));
};

/** Of the last axis of vectors, or of all pixels of images. */
const reduceMean: Importer = (site) => {
  const x = site.rows();
  const axes = site.axes(site.listOr('axes', 1) ?? [], x);
  const keeps = site.number('keepdims', 1) !== 0;
  if (x.isImages && [...axes].sort().join() === '1,2') {
    const mean = x.images.globalAvgPool2d();
    return keeps ? RowsValue.ofImages(mean) : new RowsValue(mean.matrix, [mean.channels]);
  }
  const last = x.dims.length - 1;
  if (x.isImages || axes.join() !== `${last}`) return site.refuse('the last axis, or all pixels');
  const width = x.dims[last]!;
  const mean = foldCols(x.matrix, { width, fold: 'sum' }).div(width);
  return RowsValue.ofPlain(mean, [...x.dims.slice(0, last), ...(keeps ? [1] : [])]);
};

export const same: Importer = (site) => site.inputs[0] ?? site.refuse('an operand');

export const cellImporters: Readonly<Record<string, Importer>> = {
  ...Object.fromEntries(Object.entries(arithmetic).map(([name, one]) => [name, binary(one)])),
  Sum: sum,
  Relu: cellwise(relu),
  Clip: cellwise(clipped),
  Sigmoid: cellwise((x) => x.sigmoid()),
  HardSigmoid: cellwise((x, site) =>
    hardSigmoid(x, site.number('alpha', 0.2), site.number('beta', 0.5)),
  ),
  HardSwish: cellwise((x) => x.mul(hardSigmoid(x, 1 / 6, 0.5))),
  LeakyRelu: cellwise((x, site) => leakyRelu(x, site.number('alpha', 0.01))),
  Elu: cellwise((x, site) => elu(x, site.number('alpha', 1))),
  Erf: cellwise((x) => x.erf()),
  Gelu: cellwise((x, site) => {
    const approximate = site.text('approximate', 'none');
    if (approximate === 'none' || approximate === 'tanh') return gelu(x, approximate);
    return site.refuse('none or tanh as its approximation');
  }),
  Softplus: cellwise((x) => x.softplus()),
  Tanh: cellwise((x) => x.tanh()),
  Exp: cellwise((x) => x.exp()),
  Log: cellwise((x) => x.log()),
  Sqrt: cellwise((x) => x.sqrt()),
  Abs: cellwise((x) => x.abs()),
  Neg: cellwise((x) => x.neg()),
  Reciprocal: cellwise((x) => x.recip()),
  Identity: same,
  // Of inference.
  Dropout: same,
  Gemm: gemm,
  MatMul: matMul,
  Softmax: softmax,
  ReduceMean: reduceMean,
};
