/**
 * Cells that go elsewhere: almost every such operator is the same kernel, which copies a box of
 * three axes from one place to another, each axis with steps of its own on both sides.
 */
import type { Attrs } from '../../../driver/ir/attrs.js';
import type { DType } from '../../../driver/ir/dtype.js';
import type { Expr } from '../../../driver/ir/expr.js';
import { axesOf } from '../../../driver/operators/permute-axes.js';
import { rangeOf } from '../../../driver/operators/slice.js';
import { cellSource, cType } from './cell-code.js';
import {
  type DeviceStep,
  groupsStep,
  itemsStep,
  type KernelCode,
  type Lowered,
  long,
  loweredNode,
  narrowFlag,
  type StepOperand,
} from './lowered.js';
import { fillStep } from './sources.js';

type Three = readonly [number, number, number];

/** Cell (i, j, k) lies at `first` + i, j and k times the steps. */
interface Side {
  readonly operand: StepOperand;
  readonly first?: number;
  readonly steps: Three;
}

const OUTPUT: StepOperand = { output: 0 };
const INPUT: StepOperand = { input: 0 };

function moveStep(dtype: DType, sizes: Three, from: Side, to: Side): DeviceStep {
  const [n0, n1, n2] = sizes;
  const cells = n0 * n1 * n2;
  const sides = [from, to].flatMap(({ first, steps }) => [first ?? 0, ...steps]);
  const operands = [from.operand, to.operand, ...[cells, n1, n2, ...sides].map(long)];
  return itemsStep(code('move', dtype), operands, cells);
}

/** A matrix into the place of another that has `cols` columns, from cell `first` on. */
function placed(input: number, x: Expr, first: number, cols: number): DeviceStep {
  const from = { operand: { input }, steps: [0, x.cols, 1] } as const;
  const to = { operand: OUTPUT, first, steps: [0, cols, 1] } as const;
  return moveStep(x.dtype, [1, x.rows, x.cols], from, to);
}

function flat(cells: number, dtype: DType): DeviceStep {
  const steps: Three = [0, 0, 1];
  return moveStep(dtype, [1, 1, cells], { operand: INPUT, steps }, { operand: OUTPUT, steps });
}

export function lowerReshape(expr: Expr): Lowered {
  return loweredNode(expr, [flat(expr.rows * expr.cols, expr.dtype)]);
}

export function lowerSlice(expr: Expr): Lowered {
  const [x] = expr.inputs as [Expr];
  const [row] = rangeOf(expr.attrs, 'rows', x.rows);
  const [col] = rangeOf(expr.attrs, 'cols', x.cols);
  const from = { operand: INPUT, first: row * x.cols + col, steps: [0, x.cols, 1] } as const;
  const to = { operand: OUTPUT, steps: [0, expr.cols, 1] } as const;
  return loweredNode(expr, [moveStep(expr.dtype, [1, expr.rows, expr.cols], from, to)]);
}

export function lowerRbind(expr: Expr): Lowered {
  return joined(expr, ({ rows }) => rows * expr.cols);
}

export function lowerCbind(expr: Expr): Lowered {
  return joined(expr, ({ cols }) => cols);
}

/** @param cells of the output from where an operand begins to where the next does */
function joined(expr: Expr, cells: (input: Expr) => number): Lowered {
  let first = 0;
  const steps = expr.inputs.map((input, i) => {
    const step = placed(i, input, first, expr.cols);
    first += cells(input);
    return step;
  });
  return loweredNode(expr, steps);
}

/** Run i of each operand beside run i of the others. */
export function lowerBindRuns(expr: Expr): Lowered {
  const runs = expr.attrs.runs as number;
  const total = expr.cols / runs;
  let first = 0;
  const steps = expr.inputs.map((input, i) => {
    const width = input.cols / runs;
    const from = { operand: { input: i }, steps: [0, width, 1] } as const;
    const to = { operand: OUTPUT, first, steps: [0, total, 1] } as const;
    first += width;
    return moveStep(expr.dtype, [1, expr.rows * runs, width], from, to);
  });
  return loweredNode(expr, steps);
}

/** Some columns of each run. */
export function lowerSliceRuns(expr: Expr): Lowered {
  const { width, from: first, to: end } = expr.attrs as { width: number; from: number; to: number };
  const count = end - first;
  const from = { operand: INPUT, first, steps: [0, width, 1] } as const;
  const to = { operand: OUTPUT, steps: [0, count, 1] } as const;
  const runs = (expr.rows * expr.cols) / count;
  return loweredNode(expr, [moveStep(expr.dtype, [1, runs, count], from, to)]);
}

/** Axes of a row at most, but for axes that stay beside each other. */
const MAX_AXES = 5;

export function canPermute({ attrs }: Expr): boolean {
  return permutedAxes(attrs).length <= MAX_AXES;
}

export function lowerPermuteAxes(expr: Expr): Lowered {
  const axes = permutedAxes(expr.attrs);
  const padded = [
    ...Array.from({ length: MAX_AXES - axes.length }, () => ({ size: 1, step: 0 })),
    ...axes,
  ];
  const cells = expr.rows * expr.cols;
  const numbers = [cells, expr.cols, ...padded.flatMap(({ size, step }) => [size, step])].map(long);
  return loweredNode(expr, [
    itemsStep(code('permute', expr.dtype), [INPUT, OUTPUT, ...numbers], cells),
  ]);
}

/** Of the result: sizes, and cells of the operand from one to the next; neighbours as one. */
function permutedAxes(attrs: Attrs): { size: number; step: number }[] {
  const { shape, order } = axesOf(attrs);
  const steps = shape.map((_, axis) => shape.slice(axis + 1).reduce((size, one) => size * one, 1));
  const axes: { size: number; step: number }[] = [];
  for (const axis of order.filter((one) => shape[one] !== 1)) {
    const last = axes.at(-1);
    const [size, step] = [shape[axis]!, steps[axis]!];
    if (last?.step === size * step) axes.splice(-1, 1, { size: last.size * size, step });
    else axes.push({ size, step });
  }
  return axes;
}

export function lowerRepeatCols(expr: Expr): Lowered {
  const [x] = expr.inputs as [Expr];
  const { width, times } = expr.attrs as { width: number; times: number };
  const from = { operand: INPUT, steps: [width, 0, 1] } as const;
  const to = { operand: OUTPUT, steps: [width * times, width, 1] } as const;
  const runs = (x.rows * x.cols) / width;
  return loweredNode(expr, [moveStep(expr.dtype, [runs, times, width], from, to)]);
}

export function lowerRestack(expr: Expr): Lowered {
  const [x] = expr.inputs as [Expr];
  const { cols } = expr;
  const from = { operand: INPUT, steps: [cols, x.cols, 1] } as const;
  const to = { operand: OUTPUT, steps: [x.rows * cols, cols, 1] } as const;
  return loweredNode(expr, [moveStep(expr.dtype, [x.cols / cols, x.rows, cols], from, to)]);
}

export function lowerDiag(expr: Expr): Lowered {
  const [x] = expr.inputs as [Expr];
  const alone: Three = [0, 0, 1];
  const diagonal: Three = [0, 0, x.rows + 1];
  const isColumn = x.cols === 1;
  const from = { operand: INPUT, steps: isColumn ? alone : diagonal };
  const to = { operand: OUTPUT, steps: isColumn ? diagonal : alone };
  const move = moveStep(expr.dtype, [1, 1, x.rows], from, to);
  return loweredNode(expr, isColumn ? [fillStep(expr, 0), move] : [move]);
}

export function lowerTranspose(expr: Expr): Lowered {
  const [x] = expr.inputs as [Expr];
  if (x.rows === 1 || x.cols === 1) return lowerReshape(expr);
  const tiles = Math.ceil(x.rows / 16) * Math.ceil(x.cols / 16);
  const operands = [INPUT, OUTPUT, long(x.rows), long(x.cols)];
  return loweredNode(expr, [groupsStep(code('transpose', x.dtype), operands, tiles)]);
}

export function lowerAddDiag(expr: Expr): Lowered {
  const [, d] = expr.inputs as [Expr, Expr];
  const operands = [INPUT, { input: 1 }, OUTPUT, long(expr.rows), long(expr.cols)];
  const step = long(d.rows === 1 ? 0 : 1);
  return loweredNode(expr, [
    itemsStep(code('add_diag', expr.dtype), [...operands, step], expr.rows * expr.cols),
  ]);
}

export function lowerCast(expr: Expr): Lowered {
  const [x] = expr.inputs as [Expr];
  const cells = x.rows * x.cols;
  if (x.dtype === expr.dtype) return loweredNode(expr, [flat(cells, x.dtype)]);
  const kernel = { name: `to_${cType(expr.dtype)}`, source: castText };
  return loweredNode(expr, [itemsStep(kernel, [INPUT, OUTPUT, long(cells)], cells)]);
}

/** Row numbers of either dtype. */
export function lowerTakeRows(expr: Expr): Lowered {
  const [g, table] = expr.inputs as [Expr, Expr];
  const sizes = [long(expr.rows), long(expr.cols), long(table.rows)];
  const operands = [INPUT, { input: 1 }, OUTPUT, ...sizes, narrowFlag(g)];
  const kernel = { name: 'take_rows', source: cellSource(takeRowsText, expr.dtype) };
  return loweredNode(expr, [itemsStep(kernel, operands, expr.rows * expr.cols)]);
}

function code(name: string, dtype: DType): KernelCode {
  return { name, source: cellSource(movesText, dtype) };
}

const movesText = `
KERNEL void move(GLOBAL const cell *RESTRICT x, GLOBAL cell *RESTRICT out, const int64 cells,
    const int64 n1, const int64 n2, const int64 x_first, const int64 x0, const int64 x1,
    const int64 x2, const int64 out_first, const int64 out0, const int64 out1,
    const int64 out2) {
  const int64 at = GLOBAL_ID(0);
  if (at >= cells) return;
  const int64 rest = at / n2;
  const int64 i = rest / n1;
  const int64 j = rest - i * n1;
  const int64 k = at - rest * n2;
  out[out_first + i * out0 + j * out1 + k * out2] = x[x_first + i * x0 + j * x1 + k * x2];
}

KERNEL void permute(GLOBAL const cell *RESTRICT x, GLOBAL cell *RESTRICT out, const int64 cells,
    const int64 width, const int64 n0, const int64 s0, const int64 n1, const int64 s1,
    const int64 n2, const int64 s2, const int64 n3, const int64 s3, const int64 n4,
    const int64 s4) {
  const int64 at = GLOBAL_ID(0);
  if (at >= cells) return;
  const int64 row = at / width;
  int64 rest = at - row * width;
  int64 from = row * width + rest % n4 * s4;
  rest /= n4;
  from += rest % n3 * s3;
  rest /= n3;
  from += rest % n2 * s2;
  rest /= n2;
  out[at] = x[from + rest % n1 * s1 + rest / n1 % n0 * s0];
}

KERNEL void transpose(GLOBAL const cell *RESTRICT x, GLOBAL cell *RESTRICT out, const int64 rows,
    const int64 cols) {
  LOCAL cell tile[16 * 17];
  const int64 across = (cols + 15) / 16;
  const int64 row = GROUP_ID(0) / across * 16;
  const int64 col = GROUP_ID(0) % across * 16;
  const int a = LOCAL_ID(0) / 16;
  const int b = LOCAL_ID(0) % 16;
  if (row + a < rows && col + b < cols) tile[a * 17 + b] = x[(row + a) * cols + col + b];
  BARRIER();
  if (row + b < rows && col + a < cols) out[(col + a) * rows + row + b] = tile[b * 17 + a];
}

KERNEL void add_diag(GLOBAL const cell *RESTRICT a, GLOBAL const cell *RESTRICT d,
    GLOBAL cell *RESTRICT out, const int64 rows, const int64 cols, const int64 d_step) {
  const int64 at = GLOBAL_ID(0);
  if (at >= rows * cols) return;
  const int64 row = at / cols;
  out[at] = at - row * cols == row % cols ? a[at] + d[row * d_step] : a[at];
}
`;

const takeRowsText = `
KERNEL void take_rows(GLOBAL const void *RESTRICT g, GLOBAL const cell *RESTRICT table,
    GLOBAL cell *RESTRICT out, const int64 rows, const int64 cols, const int64 table_rows,
    const int is_narrow) {
  const int64 at = GLOBAL_ID(0);
  if (at >= rows * cols) return;
  const int64 i = at / cols;
  const double row = CELL_OF(g, i, is_narrow);
  out[at] = row >= 0 && row < table_rows ? table[(int64)row * cols + (at - i * cols)] : 0;
}
`;

const castText = `
KERNEL void to_float(GLOBAL const double *RESTRICT x, GLOBAL float *RESTRICT out,
    const int64 cells) {
  const int64 at = GLOBAL_ID(0);
  if (at < cells) out[at] = (float)x[at];
}

KERNEL void to_double(GLOBAL const float *RESTRICT x, GLOBAL double *RESTRICT out,
    const int64 cells) {
  const int64 at = GLOBAL_ID(0);
  if (at < cells) out[at] = (double)x[at];
}
`;
