/**
 * The kernels of all products of matrices: tiles of the result in local memory, of one matrix or
 * of many models, operands lying in any direction, rows weighted. A long inner side over few tiles
 * is cut into parts, whose products are added up by `reduce.ts`; a product with a vector is a fold
 * there. Invariant: how it is cut depends on shapes alone, and on whether the device is a processor.
 */
import { cellBytes, type DType } from '../../../driver/ir/dtype.js';
import { cellSource } from './cell-code.js';
import {
  type DeviceStep,
  GROUP,
  integer,
  type KernelCode,
  long,
  type PlacedOperand,
  type Scratch,
  WANTED_GROUPS,
} from './lowered.js';
import { PANEL_SIDE, panelCode, productParameters, tileOfGroup } from './product-panels.js';
import { dotCode, joinParts, reduceSteps } from './reduce.js';

/** A factor: cell (i, j) of model k, j of the inner side, at i * outer + j * inner + k * step. */
export interface Factor {
  readonly operand: PlacedOperand;
  /** Cells before it. Default 0. */
  readonly first?: number;
  readonly outer: number;
  readonly inner: number;
  readonly step: number;
}

/** A product for each model: m x inner times inner x n, summed over `inner`. */
export interface Product {
  readonly dtype: DType;
  readonly m: number;
  readonly n: number;
  readonly inner: number;
  readonly models: number;
  readonly a: Factor;
  readonly b: Factor;
  /** By which cells of A are multiplied: of model k at inner * `inner` + k * `step`. */
  readonly weights?: Omit<Factor, 'outer' | 'first'>;
  /** It is known to be symmetric: tiles above the diagonal are copies. */
  readonly isSymmetric?: boolean;
  /** The device is a processor, whose items share nothing by being neighbours. */
  readonly isProcessor: boolean;
  /** Cell (i, j) of model k lies at i * `row` + j * `col` + k * `step`; they fill the result. */
  readonly out: {
    readonly operand: PlacedOperand;
    readonly row: number;
    readonly col: number;
    readonly step: number;
    /** Cells before it. Default 0. */
    readonly first?: number;
  };
}

/** Cells of the inner side that a part has at least. */
const MIN_PART = 256;
/** Groups that keep a processor's cores busy. */
const PROCESSOR_GROUPS = 32;
/** Sides from which on an item computes 4 x 4 cells. */
export const MIN_WIDE = 48;

export function productSteps(product: Product, scratch: Scratch): DeviceStep[] {
  return vectorSteps(product, scratch) ?? tileSteps(product, scratch);
}

/** With a vector: sums over the cells of the other factor, each read once; no tile is filled. */
function vectorSteps(product: Product, scratch: Scratch): DeviceStep[] | undefined {
  const { dtype, m, n, inner, models, weights, out } = product;
  const isRow = m === 1;
  const isVector = (isRow || n === 1) && models === 1 && weights === undefined;
  if (!isVector || (isRow ? out.col : out.row) !== 1) return undefined;
  const [matrix, vector] = isRow ? [product.b, product.a] : [product.a, product.b];
  if (matrix.first || vector.first) return undefined;
  const operands = [matrix.operand, vector.operand, long(vector.inner)];
  const folded = { code: dotCode(dtype), operands };
  const outputs = isRow ? n : m;
  const over = { outputs, inner, outerStep: matrix.outer, innerStep: matrix.inner };
  return reduceSteps('sum', folded, over, { ...out, dtype }, scratch);
}

function tileSteps(given: Product, scratch: Scratch): DeviceStep[] {
  const product = given.isProcessor ? turned(given) : given;
  const { dtype, m, n, inner, models, a, b, out } = product;
  const { code, side, local, wantedGroups } = tilingOf(product);
  const across = Math.ceil(n / side);
  const tiles = across * Math.ceil(m / side);
  const most = Math.ceil(wantedGroups / (tiles * models));
  const length = Math.ceil(inner / Math.max(1, Math.min(Math.floor(inner / MIN_PART), most)));
  const chunks = Math.ceil(inner / length);
  const outCells = models * m * n;
  const partial = chunks > 1 ? scratch.take(outCells * chunks * cellBytes(product)) : undefined;
  const weights = product.weights ?? { operand: a.operand, inner: 0, step: 0 };
  const operands = [a.operand, b.operand, weights.operand, partial ?? out.operand];
  const sizes = [
    ...[m, n, inner, a.first ?? 0, a.outer, a.inner, a.step],
    ...[b.first ?? 0, b.outer, b.inner, b.step, weights.inner, weights.step],
    ...[partial ? 0 : (out.first ?? 0), out.row, out.col, out.step, outCells],
    ...[across, tiles, chunks, length],
  ].map(long);
  const flags = [product.weights !== undefined, product.isSymmetric === true];
  const step = {
    code,
    operands: [...operands, ...sizes, ...flags.map((flag) => integer(flag ? 1 : 0))],
    global: [tiles * chunks * models * local],
    local: [local],
  };
  if (partial === undefined) return withProduct([step], given);
  const sums = { operand: partial, dtype, count: chunks, outputs: outCells };
  const target = { operand: out.operand, dtype, first: out.first };
  return withProduct([step, ...joinParts('sum', sums, target, scratch)], given);
}

/** The transposed product where that has the longer side for the vectors, which lies ready. */
function turned(product: Product): Product {
  const { m, n, a, b, out, weights, isSymmetric = false } = product;
  if (n >= m || a.outer !== 1 || weights !== undefined || isSymmetric) return product;
  return { ...product, m: n, n: m, a: b, b: a, out: { ...out, row: out.col, col: out.row } };
}

interface Tiling {
  readonly code: KernelCode;
  /** Rows and columns of a tile. */
  readonly side: number;
  /** Items of a group. */
  readonly local: number;
  readonly wantedGroups: number;
}

function tilingOf({ dtype, m, n, isProcessor }: Product): Tiling {
  if (isProcessor) {
    const wantedGroups = PROCESSOR_GROUPS;
    return { code: panelCode(dtype), side: PANEL_SIDE, local: 1, wantedGroups };
  }
  const cells = m >= MIN_WIDE && n >= MIN_WIDE ? 4 : 1;
  const code = productCode(dtype, cells);
  return { code, side: 16 * cells, local: GROUP, wantedGroups: WANTED_GROUPS };
}

/** The same by a vendor's library, which knows no weights. */
function withProduct(steps: readonly DeviceStep[], product: Product): DeviceStep[] {
  const [first, ...rest] = steps as readonly [DeviceStep, ...DeviceStep[]];
  if (product.weights !== undefined) return [...steps];
  return [{ ...first, product: { ...product, covers: steps.length } }, ...rest];
}

/** @param cells an item computes so many by so many */
function productCode(dtype: DType, cells: 1 | 4): KernelCode {
  return { name: `product${cells}`, source: cellSource(texts[cells], dtype) };
}

/** Sizes of tiles: 16 x 16 items; `DEPTH` inner cells of both factors at a time. */
export function tileSizes(cells: number): string {
  return `
#define ITEM ${cells}
#define SIDE (16 * ITEM)
#define DEPTH 16
`;
}

/** A kernel's tiles of both factors, an item's place, and its totals; in cells of type `total`. */
export const tileStart = `
  LOCAL total a_tile[DEPTH * (SIDE + 1)];
  LOCAL total b_tile[DEPTH * (SIDE + 1)];
  const int item = LOCAL_ID(0);
  const int across_item = item % 16;
  const int down_item = item / 16;
  total totals[ITEM][ITEM];
  for (int r = 0; r < ITEM; r++)
    for (int c = 0; c < ITEM; c++) totals[r][c] = 0;
`;

/** Adds the products of tiles that the items of the group have filled. */
export const tileProducts = `
    BARRIER();
    for (int k = 0; k < DEPTH; k++) {
      total left[ITEM];
      total right[ITEM];
      for (int r = 0; r < ITEM; r++) left[r] = a_tile[k * (SIDE + 1) + down_item + 16 * r];
      for (int c = 0; c < ITEM; c++) right[c] = b_tile[k * (SIDE + 1) + across_item + 16 * c];
      for (int r = 0; r < ITEM; r++)
        for (int c = 0; c < ITEM; c++) totals[r][c] += left[r] * right[c];
    }
    BARRIER();
`;

function kernelText(cells: number): string {
  return `${tileSizes(cells)}
typedef cell total;
KERNEL void product${cells}(${productParameters}) {
${tileStart}
${tileOfGroup}
  GLOBAL const cell *RESTRICT a_model = a + a_first + model * a_step;
  GLOBAL const cell *RESTRICT b_model = b + b_first + model * b_step;
  for (int64 from = chunk * length; from < end; from += DEPTH) {
    for (int r = 0; r < ITEM; r++) {
      const int e = item + r * 256;
      const int a_k = a_inner == 1 ? e % DEPTH : e / SIDE;
      const int a_i = a_inner == 1 ? e / DEPTH : e % SIDE;
      const int64 row = first_row + a_i;
      const int64 ka = from + a_k;
      cell value = 0;
      if (row < m && ka < end) {
        value = a_model[row * a_outer + ka * a_inner];
        if (is_weighted) value = w[ka * w_inner + model * w_step] * value;
      }
      a_tile[a_k * (SIDE + 1) + a_i] = value;
      const int b_k = b_inner == 1 ? e % DEPTH : e / SIDE;
      const int b_j = b_inner == 1 ? e / DEPTH : e % SIDE;
      const int64 col = first_col + b_j;
      const int64 kb = from + b_k;
      b_tile[b_k * (SIDE + 1) + b_j] =
          col < n && kb < end ? b_model[col * b_outer + kb * b_inner] : 0;
    }
${tileProducts}
  }
  GLOBAL cell *RESTRICT target = out + out_first + chunk * out_cells + model * out_step;
  for (int r = 0; r < ITEM; r++) {
    for (int c = 0; c < ITEM; c++) {
      const int64 i = first_row + down_item + 16 * r;
      const int64 j = first_col + across_item + 16 * c;
      if (i >= m || j >= n) continue;
      target[i * out_row + j * out_col] = totals[r][c];
      if (is_symmetric && first_col < first_row)
        target[j * out_row + i * out_col] = totals[r][c];
    }
  }
}
`;
}

const texts = { 1: kernelText(1), 4: kernelText(4) };
