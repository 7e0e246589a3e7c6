/**
 * Compressed rows as operands of kernels: products that cost what is held of them, and the cells of
 * all others, made on the device. A block holds values, row starts and columns one after another,
 * as `csrToBytes` writes them. Invariant: the value is that of the dense operands up to rounding;
 * where a zero meets a cell that is not finite it is not skipped.
 */
import type { DType } from '../../../driver/ir/dtype.js';
import { denseBytes, type Expr, type Meta } from '../../../driver/ir/expr.js';
import { matmul } from '../../../driver/operators/matmul.js';
import { mmchain } from '../../../driver/operators/mmchain.js';
import { tsmm } from '../../../driver/operators/tsmm.js';
import { cellSource } from './cell-code.js';
import { cellStep } from './cells.js';
import {
  type DeviceStep,
  GROUP,
  groupsStep,
  integer,
  itemsStep,
  type KernelCode,
  type Lowered,
  long,
  type PlacedOperand,
  Scratch,
} from './lowered.js';
import { reduceSteps, sumSquares } from './reduce.js';
import { fillStep } from './sources.js';

/** What is known of a compressed operand when its node is lowered. */
export interface CompressedMeta extends Meta {
  readonly dtype: DType;
  /** Cells that are held. */
  readonly nnz: number;
  /** All cells are finite numbers. */
  readonly isFinite: boolean;
}

/** An operand's compressed form, or undefined where the node reads cells. */
export type CompressedOf = (expr: Expr) => CompressedMeta | undefined;

type Form = (expr: Expr, compressedOf: CompressedOf) => Lowered | undefined;

const forms: ReadonlyMap<Expr['op'], Form> = new Map([
  [matmul, lowerProduct],
  [mmchain, lowerChain],
  [tsmm, lowerGram],
]);

/** Launches over compressed operands; undefined: the node needs the cells. */
export function lowerCompressed(expr: Expr, compressedOf: CompressedOf): Lowered | undefined {
  return forms.get(expr.op)?.(expr, compressedOf);
}

/** Cells that an item adds up at least where several share a cell of the result. */
const MIN_SHARE = 8;
const MAX_SHARES = 32;
/** Densities from which on a Gram matrix of all cells takes less. */
const MOST_HELD = 1 / 20;

interface CompressedProduct {
  /** Its rows are the result's `row`s, its columns the inner side. */
  readonly x: PlacedOperand;
  readonly meta: CompressedMeta;
  /** Cell (k, c) of the dense factor lies at k * inner + c * outer. */
  readonly y: { readonly operand: PlacedOperand; readonly inner: number; readonly outer: number };
  readonly n: number;
  readonly out: { readonly operand: PlacedOperand; readonly row: number; readonly col: number };
}

/** Behind the sums of squares of the dense factor's columns, which say where a zero counts. */
function productSteps(
  { x, meta, y, n, out }: CompressedProduct,
  dtype: DType,
  scratch: Scratch,
): DeviceStep[] {
  const { rows, cols, nnz } = meta;
  const squares = scratch.take(8 * n);
  const over = { outputs: n, inner: cols, outerStep: y.outer, innerStep: y.inner };
  const folded = { code: sumSquares(dtype), operands: [y.operand] };
  const into = { operand: squares, dtype: 'float64' } as const;
  const shares = sharesOf(nnz / Math.max(1, rows));
  const sizes = [rows, cols, nnz, n, y.inner, y.outer, out.row, out.col].map(long);
  const operands = [x, y.operand, squares, out.operand, ...sizes, integer(shares)];
  return [
    ...reduceSteps('sumSq', folded, over, into, scratch),
    groupsStep(code('csr_product', dtype), operands, Math.ceil((rows * n * shares) / GROUP)),
  ];
}

function sharesOf(cellsOfRow: number): number {
  const wanted = 2 ** Math.floor(Math.log2(Math.max(1, cellsOfRow / MIN_SHARE)));
  return Math.min(MAX_SHARES, wanted);
}

function lowerProduct(expr: Expr, compressedOf: CompressedOf): Lowered | undefined {
  const [a, b] = expr.inputs as [Expr, Expr];
  const { transposeA, transposeB } = expr.attrs;
  const isOfA = compressedOf(a) !== undefined;
  const [x, y] = isOfA ? [a, b] : [b, a];
  const meta = compressedOf(x);
  if (meta === undefined || compressedOf(y) !== undefined) return undefined;
  // t(A B) = t(B) t(A): the compressed factor comes first.
  const isByColumns = isOfA ? transposeA === true : transposeB !== true;
  const isAcross = isOfA ? transposeB === true : transposeA !== true;
  const { rows: m, cols: n } = expr;
  const scratch = new Scratch();
  const steps = productSteps(
    {
      x: { compressed: 0 },
      meta: isByColumns ? { ...meta, rows: meta.cols, cols: meta.rows } : meta,
      y: isAcross
        ? { operand: { input: 0 }, inner: 1, outer: y.cols }
        : { operand: { input: 0 }, inner: y.cols, outer: 1 },
      n: isOfA ? n : m,
      out: { operand: { output: 0 }, row: isOfA ? n : 1, col: isOfA ? 1 : n },
    },
    expr.dtype,
    scratch,
  );
  const by = isByColumns ? 'columns' : 'rows';
  const compressed = [{ expr: x, by }] as const;
  return { inputs: [y], compressed, outputs: [expr], steps, scratchBytes: scratch.bytes };
}

/** t(X) %*% (w * (X %*% v)). */
function lowerChain(expr: Expr, compressedOf: CompressedOf): Lowered | undefined {
  const [x, v, w] = expr.inputs as [Expr, Expr, Expr?];
  const meta = compressedOf(x);
  const isAlone = compressedOf(v) === undefined && (w === undefined || !compressedOf(w));
  if (meta === undefined || !isAlone) return undefined;
  const { dtype, cols: k } = expr;
  const scratch = new Scratch();
  const product = { rows: x.rows, cols: k, dtype };
  const lines = (operand: PlacedOperand) => ({ operand, inner: k, outer: 1 });
  const into = (operand: PlacedOperand) => ({ operand, row: k, col: 1 });
  let inner = scratch.take(denseBytes(product));
  const steps = productSteps(
    { x: { compressed: 0 }, meta, y: lines({ input: 0 }), n: k, out: into(inner) },
    dtype,
    scratch,
  );
  if (w !== undefined) {
    const weighted = scratch.take(denseBytes(product));
    const operands = [
      { operand: inner, meta: product },
      { operand: { input: 1 }, meta: w },
    ];
    steps.push(cellStep('mul', operands, weighted, product));
    inner = weighted;
  }
  const turned = { ...meta, rows: meta.cols, cols: meta.rows };
  const last = { x: { compressed: 1 }, meta: turned, y: lines(inner), n: k };
  steps.push(...productSteps({ ...last, out: into({ output: 0 }) }, dtype, scratch));
  const compressed = [
    { expr: x, by: 'rows' },
    { expr: x, by: 'columns' },
  ] as const;
  const inputs = w === undefined ? [v] : [v, w];
  return { inputs, compressed, outputs: [expr], steps, scratchBytes: scratch.bytes };
}

/** Each column against the rows it is in; a zero that meets what is not finite is not there. */
function lowerGram(expr: Expr, compressedOf: CompressedOf): Lowered | undefined {
  const [x] = expr.inputs as [Expr];
  const meta = compressedOf(x);
  if (meta === undefined || !meta.isFinite) return undefined;
  const { rows, cols, nnz } = meta;
  if (nnz > MOST_HELD * rows * cols) return undefined;
  const operands = [{ compressed: 0 }, { compressed: 1 }, { output: 0 }] as const;
  const sizes = [rows, cols, nnz].map(long);
  const steps = [
    fillStep(expr, 0),
    itemsStep(code('csr_gram', expr.dtype), [...operands, ...sizes], cols),
    itemsStep(code('csr_mirror', expr.dtype), [operands[2], long(cols)], cols * cols),
  ];
  const compressed = [
    { expr: x, by: 'rows' },
    { expr: x, by: 'columns' },
  ] as const;
  return { inputs: [], compressed, outputs: [expr], steps, scratchBytes: [] };
}

/** The cells of compressed rows. */
export function lowerExpanded(expr: Expr, { nnz }: CompressedMeta): Lowered {
  const { rows, cols, dtype } = expr;
  const operands = [{ compressed: 0 }, { output: 0 }, ...[rows, cols, nnz].map(long)];
  const steps = [fillStep(expr, 0), itemsStep(code('csr_expand', dtype), operands, nnz)];
  const compressed = [{ expr, by: 'rows' }] as const;
  return { inputs: [], compressed, outputs: [expr], steps, scratchBytes: [] };
}

function code(name: string, dtype: DType): KernelCode {
  return { name, source: cellSource(csrText, dtype) };
}

const csrText = `
KERNEL void csr_product(GLOBAL const cell *RESTRICT values, GLOBAL const cell *RESTRICT y,
    GLOBAL const double *RESTRICT squares, GLOBAL cell *RESTRICT out, const int64 rows,
    const int64 cols, const int64 nnz, const int64 n, const int64 y_inner, const int64 y_outer,
    const int64 out_row, const int64 out_col, const int shares) {
  LOCAL cell totals[${GROUP}];
  GLOBAL const int *RESTRICT starts = (GLOBAL const int *)(values + nnz);
  GLOBAL const int *RESTRICT columns = starts + rows + 1;
  const int item = LOCAL_ID(0);
  const int width = ${GROUP} / shares;
  const int share = item / width;
  const int64 at = GROUP_ID(0) * width + item % width;
  const int64 row = at / n;
  const int64 col = at - row * n;
  cell total = 0;
  if (row < rows) {
    GLOBAL const cell *RESTRICT from = y + col * y_outer;
    const int end = starts[row + 1];
    if (squares[col] * 0.0 == 0.0) {
      for (int k = starts[row] + share; k < end; k += shares)
        total += values[k] * from[columns[k] * y_inner];
    } else if (share == 0) {
      int k = starts[row];
      for (int64 i = 0; i < cols; i++) {
        cell own = 0;
        if (k < end && columns[k] == i) own = values[k++];
        total += own * from[i * y_inner];
      }
    }
  }
  totals[item] = total;
  BARRIER();
  for (int count = shares / 2; count > 0; count /= 2) {
    if (share < count) {
      total += totals[item + count * width];
      totals[item] = total;
    }
    BARRIER();
  }
  if (share == 0 && row < rows) out[row * out_row + col * out_col] = total;
}

KERNEL void csr_gram(GLOBAL const cell *RESTRICT values, GLOBAL const cell *RESTRICT by_column,
    GLOBAL cell *RESTRICT out, const int64 rows, const int64 cols, const int64 nnz) {
  GLOBAL const int *RESTRICT starts = (GLOBAL const int *)(values + nnz);
  GLOBAL const int *RESTRICT columns = starts + rows + 1;
  GLOBAL const int *RESTRICT column_starts = (GLOBAL const int *)(by_column + nnz);
  GLOBAL const int *RESTRICT members = column_starts + cols + 1;
  const int64 j = GLOBAL_ID(0);
  if (j >= cols) return;
  for (int e = column_starts[j]; e < column_starts[j + 1]; e++) {
    const int row = members[e];
    const cell factor = by_column[e];
    for (int k = starts[row]; k < starts[row + 1] && columns[k] <= j; k++)
      out[j * cols + columns[k]] += factor * values[k];
  }
}

KERNEL void csr_mirror(GLOBAL cell *cells, const int64 n) {
  const int64 at = GLOBAL_ID(0);
  const int64 i = at / n;
  const int64 j = at - i * n;
  if (i < n && i < j) cells[i * n + j] = cells[j * n + i];
}

KERNEL void csr_expand(GLOBAL const cell *RESTRICT values, GLOBAL cell *RESTRICT out,
    const int64 rows, const int64 cols, const int64 nnz) {
  GLOBAL const int *RESTRICT starts = (GLOBAL const int *)(values + nnz);
  GLOBAL const int *RESTRICT columns = starts + rows + 1;
  const int64 k = GLOBAL_ID(0);
  if (k >= nnz) return;
  int64 row = 0;
  int64 end = rows;
  while (end - row > 1) {
    const int64 middle = (row + end) / 2;
    if (starts[middle] <= k) row = middle;
    else end = middle;
  }
  out[row * cols + columns[k]] = values[k];
}
`;
