/**
 * Operators over groups of rows, whose rows are listed first (`row-order.ts`): each row is read for
 * its own group alone.
 */
import type { Expr } from '../../../driver/ir/expr.js';
import { gramOperands, SUM_ROWS } from '../../../driver/operators/group-gram.js';
import { wrongCount } from '../../../driver/operators/select-rows.js';
import { cellSource } from './cell-code.js';
import {
  type DeviceStep,
  GROUP,
  groupsStep,
  integer,
  itemsStep,
  type Lowered,
  long,
  loweredNode,
  Scratch,
  type StepOperand,
} from './lowered.js';
import { MIN_WIDE, tileProducts, tileSizes, tileStart } from './product-code.js';
import { joinParts } from './reduce.js';
import {
  listedParts,
  partText,
  type RowOrder,
  rowOrder,
  rowsByGroup,
  weightsKind,
} from './row-order.js';

export function lowerSelectRows(expr: Expr): Lowered {
  const [x, mask] = expr.inputs as [Expr, Expr];
  const scratch = new Scratch();
  const of = { operand: { input: 1 }, dtype: mask.dtype, rows: x.rows, groups: 1, isMask: true };
  const { steps, order, offsets, runs } = rowOrder(of, scratch);
  const status = scratch.take(16);
  const source = cellSource(takeText, x.dtype);
  const operands = [{ input: 0 }, order, offsets, status, { output: 0 }];
  const sizes = [runs, expr.rows, expr.cols].map(long);
  const cells = expr.rows * expr.cols;
  const take = itemsStep({ name: 'take_listed', source }, [...operands, ...sizes], cells);
  const lowered = loweredNode(expr, [...steps, take], scratch.bytes);
  const error = ([got]: Float64Array): Error | undefined =>
    got === expr.rows ? undefined : wrongCount(expr.rows, got!);
  return { ...lowered, status: { scratch: scratch.bytes.length - 1, error } };
}

const takeText = `
KERNEL void take_listed(GLOBAL const cell *RESTRICT x, GLOBAL const int *RESTRICT order,
    GLOBAL const int64 *RESTRICT offsets, GLOBAL double *RESTRICT status,
    GLOBAL cell *RESTRICT out, const int64 runs, const int64 rows, const int64 cols) {
  const int64 at = GLOBAL_ID(0);
  const int64 count = offsets[runs];
  if (at == 0) {
    status[0] = (double)count;
    status[1] = 0.0;
  }
  if (at >= rows * cols) return;
  const int64 i = at / cols;
  out[at] = i < count ? x[(int64)order[i] * cols + (at - i * cols)] : 0;
}
`;

/** Products of the columns [1 X Y] of each group's rows, about means where there are any. */
interface GroupProduct {
  readonly expr: Expr;
  readonly list: RowOrder;
  /** 1: sums of columns alone; else as many as columns. */
  readonly m: number;
  readonly means: StepOperand | undefined;
  readonly out: StepOperand;
}

export function lowerGroupGram(expr: Expr): Lowered {
  const groups = expr.attrs.groups as number;
  const side = expr.cols;
  const scratch = new Scratch();
  const list = rowsByGroup(expr, scratch);
  const out: StepOperand = { output: 0 };
  const product = { expr, list, m: side, means: undefined, out };
  if (expr.attrs.center !== true) {
    const steps = [...list.steps, ...groupProductSteps(product, scratch)];
    return loweredNode(expr, steps, scratch.bytes);
  }
  const means = scratch.take(8 * groups * side);
  const sums = groupProductSteps({ ...product, m: 1, out: means }, scratch);
  const sizes = [long(groups), long(side)];
  const code = (name: string) => ({ name, source: meansText });
  const steps = [
    ...list.steps,
    ...sums,
    itemsStep(code('means_of_sums'), [means, ...sizes], groups * GROUP),
    ...groupProductSteps({ ...product, means }, scratch),
    itemsStep(code('put_means'), [means, out, ...sizes], groups * side),
  ];
  return loweredNode(expr, steps, scratch.bytes);
}

function groupProductSteps(
  { expr, list, m, means, out }: GroupProduct,
  scratch: Scratch,
): DeviceStep[] {
  const { inputs, attrs } = expr;
  const groups = attrs.groups as number;
  const side = expr.cols;
  const { columns, weights } = gramOperands(inputs, attrs);
  const [x, y = x] = columns as [Expr, Expr?];
  const cells = m >= MIN_WIDE ? 4 : 1;
  const across = Math.ceil(side / (16 * cells));
  const tiles = across * Math.ceil(m / (16 * cells));
  const { rows } = inputs[0]!;
  const parts = Math.max(Math.ceil(rows / SUM_ROWS), listedParts(rows, tiles * groups));
  const outCells = groups * m * side;
  const target = parts > 1 ? scratch.take(8 * outCells * parts) : out;
  const weightInput: StepOperand = { input: inputs.length - 1 };
  const operands = [{ input: 1 }, { input: columns.length }, weightInput];
  const sizes = [list.runs, m, side, x!.cols, across, tiles, parts, outCells].map(long);
  const flags = [
    y === x ? 0 : y!.cols,
    weightsKind(weights),
    means === undefined ? 0 : 1,
    m === side ? 1 : 0,
  ].map(integer);
  const step = groupsStep(
    { name: `group_product${cells}`, source: cellSource(groupProductTexts[cells], x!.dtype) },
    [...operands, list.order, list.offsets, means ?? target, target, ...sizes, ...flags],
    tiles * parts * groups,
  );
  if (parts === 1) return [step];
  const dtype = 'float64';
  const sums = { operand: target, dtype, count: parts, outputs: outCells } as const;
  return [step, ...joinParts('sum', sums, { operand: out, dtype }, scratch)];
}

function groupProductText(cells: number): string {
  return `typedef double total;
${tileSizes(cells)}
FUNCTION double column_of(GLOBAL const cell *RESTRICT x, GLOBAL const cell *RESTRICT y,
    const int64 row, const int64 column, const int64 x_cols, const int64 y_cols) {
  if (column == 0) return 1.0;
  if (column <= x_cols) return (double)x[row * x_cols + column - 1];
  return (double)y[row * y_cols + column - 1 - x_cols];
}

KERNEL void group_product${cells}(GLOBAL const cell *RESTRICT x, GLOBAL const cell *RESTRICT y,
    GLOBAL const void *RESTRICT w, GLOBAL const int *RESTRICT order,
    GLOBAL const int64 *RESTRICT offsets, GLOBAL const double *means, GLOBAL double *out,
    const int64 runs, const int64 m, const int64 side, const int64 x_cols, const int64 across,
    const int64 tiles, const int64 parts, const int64 out_cells, const int y_cols,
    const int weights, const int has_means, const int is_symmetric) {
${tileStart}
${partText}
  const int64 first_row = tile / across * SIDE;
  const int64 first_col = tile % across * SIDE;
  if (is_symmetric && first_col > first_row) return;
  for (int64 from = part * length; from < end; from += DEPTH) {
    for (int r = 0; r < ITEM; r++) {
      const int e = item + r * ${GROUP};
      const int k = e / SIDE;
      const int i = e % SIDE;
      double left = 0.0;
      double right = 0.0;
      if (from + k < end) {
        const int64 row = order[first + from + k];
        const int64 a = first_row + i;
        const int64 b = first_col + i;
        if (a < m) {
          left = column_of(x, y, row, a, x_cols, y_cols);
          if (has_means) left -= means[group * side + a];
          if (weights > 0) left *= CELL_OF(w, row, weights == 1);
        }
        if (b < side) {
          right = column_of(x, y, row, b, x_cols, y_cols);
          if (has_means) right -= means[group * side + b];
        }
      }
      a_tile[k * (SIDE + 1) + i] = left;
      b_tile[k * (SIDE + 1) + i] = right;
    }
${tileProducts}
  }
  GLOBAL double *target = out + part * out_cells + group * m * side;
  for (int r = 0; r < ITEM; r++) {
    for (int c = 0; c < ITEM; c++) {
      const int64 i = first_row + down_item + 16 * r;
      const int64 j = first_col + across_item + 16 * c;
      if (i >= m || j >= side) continue;
      target[i * side + j] = totals[r][c];
      if (is_symmetric && first_col < first_row) target[j * side + i] = totals[r][c];
    }
  }
}
`;
}

const groupProductTexts = { 1: groupProductText(1), 4: groupProductText(4) };

/** A group of items for each group: its sums become means, the number of rows 0. */
const meansText = `
KERNEL void means_of_sums(GLOBAL double *RESTRICT sums, const int64 groups, const int64 side) {
  GLOBAL double *RESTRICT own = sums + GROUP_ID(0) * side;
  const double count = own[0];
  BARRIER_ALL();
  for (int64 c = LOCAL_ID(0); c < side; c += ${GROUP})
    own[c] = c == 0 || !(count > 0.0) ? 0.0 : own[c] / count;
}

KERNEL void put_means(GLOBAL const double *RESTRICT means, GLOBAL double *RESTRICT out,
    const int64 groups, const int64 side) {
  const int64 at = GLOBAL_ID(0);
  if (at >= groups * side) return;
  const int64 group = at / side;
  const int64 c = at - group * side;
  if (c == 0) return;
  out[group * side * side + c] = means[at];
  out[group * side * side + c * side] = means[at];
}
`;
