/** Importers of shapes: what is known before any data are, and moves of cells within a row. */
import type { Constant } from './graph.js';
import type { Importer, NodeSite } from './node-site.js';
import { RowsValue } from './rows-value.js';

const list = (cells: readonly number[]): Constant => ({
  dims: [cells.length],
  cells: Float64Array.from(cells),
});

const constant: Importer = (site) => {
  const tensor = site.tensor('value');
  if (tensor) return tensor;
  const single = site.number('value_float', site.number('value_int', Number.NaN));
  if (!Number.isNaN(single)) return { ...list([single]), dims: [] };
  return list(site.list('value_floats') ?? site.list('value_ints') ?? site.refuse('numbers'));
};

const constantOfShape: Importer = (site) => {
  const dims = [...site.constant(0).cells];
  const cell = site.tensor('value')?.cells[0] ?? 0;
  const count = dims.reduce((size, one) => size * one, 1);
  return { dims, cells: new Float32Array(count).fill(cell) };
};

const shape: Importer = (site) => {
  const { matrix, dims } = site.rows();
  const all = [matrix.rows, ...dims];
  return list(all.slice(site.number('start', 0), site.number('end', all.length)));
};

const cast: Importer = (site) => {
  const [x] = site.inputs;
  const isFloat = [1, 11].includes(site.number('to', 1));
  if (x instanceof RowsValue) return isFloat ? x : site.refuse('a cast to float');
  const given = site.constant(0);
  return isFloat ? given : { dims: given.dims, cells: given.cells.map(Math.trunc) };
};

/** Of a list: its cells; of data: channels. */
const slice: Importer = (site) => {
  const [x] = site.inputs;
  const [starts, ends] = [site.listOr('starts', 1)!, site.listOr('ends', 2)!];
  const axes = site.listOr('axes', 3) ?? starts.map((_, i) => i);
  const steps = site.optional(4)?.cells ?? [];
  if (axes.length !== 1 || steps.some((step) => step !== 1)) return site.refuse('one axis, step 1');
  const range = (size: number): [number, number] => {
    const [from, to] = [starts[0]!, ends[0]!].map((at) =>
      Math.max(0, Math.min(size, at < 0 ? at + size : at)),
    ) as [number, number];
    return [from, to];
  };
  if (!(x instanceof RowsValue)) {
    const given = site.constant(0);
    if (given.dims.length !== 1) return site.refuse('a list');
    return list([...given.cells.slice(...range(given.cells.length))]);
  }
  const [axis] = site.axes(axes, x) as [number];
  return part(site, x, axis, range(x.dims[axis]!));
};

function part(site: NodeSite, x: RowsValue, axis: number, [from, to]: [number, number]): RowsValue {
  if (axis !== 0) return site.refuse('the first axis after the rows');
  if (x.isImages) return RowsValue.ofImages(x.images.sliceChannels(from, to));
  const run = x.matrix.cols / x.dims[0]!;
  const cells = x.matrix.slice(null, [from * run, to * run]);
  return new RowsValue(cells, [to - from, ...x.dims.slice(1)]);
}

const split: Importer = (site) => {
  const x = site.rows();
  const [axis] = site.axes([site.number('axis', 0)], x) as [number];
  const size = x.dims[axis]!;
  const parts = site.operation.outputs.length;
  const sizes = site.listOr('split', 1) ?? Array<number>(parts).fill(size / parts);
  let from = 0;
  return sizes.map((one) => {
    const own = part(site, x, axis, [from, from + one]);
    from += one;
    return own;
  });
};

/** Channels, or columns; lists, which are constants. */
const concat: Importer = (site) => {
  if (site.inputs.every((one) => !(one instanceof RowsValue))) {
    const constants = site.inputs.map((_, at) => site.constant(at));
    const isOfLists = [0, -1].includes(site.number('axis', 0));
    if (!isOfLists || constants.some(({ dims }) => dims.length > 1)) return site.refuse('lists');
    return list(constants.flatMap(({ cells }) => [...cells]));
  }
  const [first, ...others] = site.inputs.map((_, at) => site.rows(at)) as [
    RowsValue,
    ...RowsValue[],
  ];
  const [axis] = site.axes([site.number('axis', 1)], first) as [number];
  if (axis !== 0) return site.refuse('the first axis after the rows');
  if (first.isImages) {
    const images = others.map((one) => one.images);
    return RowsValue.ofImages(first.images.bindChannels(...images));
  }
  const size = others.reduce((total, { dims }) => total + dims[0]!, first.dims[0]!);
  const bound = first.matrix.cbind(...others.map(({ matrix }) => matrix));
  return new RowsValue(bound, [size, ...first.dims.slice(1)]);
};

const gather: Importer = (site) => {
  const [given, at] = [site.constant(0), site.constant(1)];
  const isOfList = given.dims.length === 1 && [0, -1].includes(site.number('axis', 0));
  if (!isOfList) return site.refuse('a list');
  const cells = at.cells.map((one) => given.cells[one < 0 ? one + given.cells.length : one]!);
  return { dims: at.dims, cells };
};

/** Rows stay rows: the first size is theirs, or free. */
const reshape: Importer = (site) => {
  const [x] = site.inputs;
  const wanted = site.listOr('shape', 1) ?? site.refuse('a shape');
  if (site.number('allowzero', 0) !== 0 && wanted.includes(0)) return site.refuse('cells');
  if (!(x instanceof RowsValue)) {
    const given = site.constant(0);
    return { dims: filled([...wanted], given.dims, given.cells.length), cells: given.cells };
  }
  const { rows, cols } = x.matrix;
  const dims = filled([...wanted], [rows, ...x.dims], rows * cols);
  // A network made for one row at a time says so.
  const isOfOne = dims[0] === 1 && wanted[0] === 1;
  const own = isOfOne ? filled(wanted.slice(1), x.dims, cols) : dims.slice(1);
  const isKept = isOfOne || dims[0] === rows;
  if (!isKept || own.reduce((size, one) => size * one, 1) !== cols) {
    return site.refuse(`rows that stay rows, got ${wanted.join(' x ')}`);
  }
  return x.reshaped(own);
};

/** 0 stands for the size there was, -1 for what is left. */
function filled(wanted: readonly number[], before: readonly number[], count: number): number[] {
  const dims = wanted.map((one, i) => (one === 0 ? before[i]! : one));
  const known = dims.reduce((size, one) => (one === -1 ? size : size * one), 1);
  return dims.map((one) => (one === -1 ? count / known : one));
}

const flatten: Importer = (site) => {
  const x = site.rows();
  if (site.number('axis', 1) !== 1) return site.refuse('axis 1');
  return x.reshaped([x.matrix.cols]);
};

const squeeze: Importer = (site) => {
  const [x] = site.inputs;
  if (!(x instanceof RowsValue)) {
    const { dims, cells } = site.constant(0);
    return { dims: dims.filter((one) => one !== 1), cells };
  }
  const given = site.listOr('axes', 1);
  const axes = given ? site.axes(given, x) : x.dims.flatMap((one, i) => (one === 1 ? [i] : []));
  return x.reshaped(x.dims.filter((_, axis) => !axes.includes(axis)));
};

const unsqueeze: Importer = (site) => {
  const [x] = site.inputs;
  const axes = site.listOr('axes', 1) ?? site.refuse('axes');
  const isRows = x instanceof RowsValue;
  const dims = isRows ? [x.matrix.rows, ...x.dims] : [...site.constant(0).dims];
  const size = dims.length + axes.length;
  const places = axes.map((axis) => (axis < 0 ? axis + size : axis)).sort((a, b) => a - b);
  for (const place of places) dims.splice(place, 0, 1);
  if (!isRows) return { dims, cells: site.constant(0).cells };
  return places.includes(0) ? site.refuse('rows that stay rows') : x.reshaped(dims.slice(1));
};

const transpose: Importer = (site) => {
  const x = site.rows();
  const order = site.list('perm') ?? site.refuse('perm');
  if (order[0] !== 0) return site.refuse('rows that stay rows');
  return x.permuted(order.slice(1).map((axis) => axis - 1));
};

export const shapeImporters: Readonly<Record<string, Importer>> = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Shape: shape,
  Cast: cast,
  Slice: slice,
  Split: split,
  Concat: concat,
  Gather: gather,
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
};
