/**
 * Sums of columns over the rows of each group, plain or weighted, and moments about their means.
 * Rows are listed first; a row of no weight does not count, whatever it holds. Sums are float64.
 */
import type { DType } from '../../../driver/ir/dtype.js';
import type { Expr } from '../../../driver/ir/expr.js';
import { gramOperands } from '../../../driver/operators/group-gram.js';
import {
  type DeviceStep,
  GROUP,
  groupsStep,
  integer,
  itemsStep,
  type Lowered,
  long,
  loweredNode,
  narrowFlag,
  Scratch,
  type StepOperand,
} from './lowered.js';
import { joinParts } from './reduce.js';
import { listedParts, partText, type RowOrder, rowsByGroup, weightsKind } from './row-order.js';

/** What a row adds: its weight, its weighted cell, the weighted square of cell less mean. */
const TERMS = { weights: 0, cells: 1, squares: 2 };

/** Neighbouring columns of a group of items. */
const LANES = 32;

interface ListedSums {
  readonly expr: Expr;
  readonly list: RowOrder;
  readonly term: keyof typeof TERMS;
  /** groups x columns of X. */
  readonly out: { readonly operand: StepOperand; readonly dtype: DType };
}

export function lowerGroupSums(expr: Expr): Lowered {
  const scratch = new Scratch();
  const list = rowsByGroup(expr, scratch);
  const out = { operand: { output: 0 }, dtype: expr.dtype };
  const steps = sumSteps({ expr, list, term: 'cells', out }, scratch);
  return loweredNode(expr, [...list.steps, ...steps], scratch.bytes);
}

export function lowerColumnMoments(expr: Expr): Lowered {
  const scratch = new Scratch();
  const list = rowsByGroup(expr, scratch);
  const groups = expr.attrs.groups as number;
  const sums = (term: ListedSums['term']) => {
    const operand = scratch.take(8 * groups * expr.cols);
    const out = { operand, dtype: 'float64' } as const;
    return { operand, steps: sumSteps({ expr, list, term, out }, scratch) };
  };
  const cells = groups * expr.cols;
  const put = (name: string, operands: readonly StepOperand[]): DeviceStep =>
    itemsStep(
      { name, source: momentsText },
      [...operands, { output: 0 }, long(cells), long(expr.cols)],
      cells,
    );
  const [weights, totals, squares] = [sums('weights'), sums('cells'), sums('squares')];
  const steps = [
    ...list.steps,
    ...weights.steps,
    ...totals.steps,
    put('put_weighted_means', [weights.operand, totals.operand]),
    ...squares.steps,
    put('put_squares', [squares.operand]),
  ];
  return loweredNode(expr, steps, scratch.bytes);
}

/** Means of squares are read from the output, where the step before has put them. */
function sumSteps({ expr, list, term, out }: ListedSums, scratch: Scratch): DeviceStep[] {
  const { inputs, attrs, cols } = expr;
  const groups = attrs.groups as number;
  const [x] = inputs.slice(1) as [Expr];
  const { weights } = gramOperands(inputs, attrs);
  const tiles = Math.ceil(cols / LANES);
  const parts = listedParts(x.rows, tiles * groups);
  const outCells = groups * cols;
  const target = parts > 1 ? scratch.take(8 * outCells * parts) : out.operand;
  const operands = [{ input: 1 }, { input: inputs.length - 1 }, list.order, list.offsets];
  const flags = [
    weightsKind(weights),
    TERMS[term],
    parts === 1 && out.dtype === 'float32' ? 1 : 0,
  ].map(integer);
  const step = groupsStep(
    { name: 'listed_sums', source: sumsText },
    [
      ...operands,
      term === 'squares' ? { output: 0 } : target,
      target,
      ...[list.runs, cols, tiles, parts, outCells].map(long),
      narrowFlag(x),
      ...flags,
    ],
    tiles * parts * groups,
  );
  if (parts === 1) return [step];
  const sums = { operand: target, dtype: 'float64', count: parts, outputs: outCells } as const;
  return [step, ...joinParts('sum', sums, out, scratch)];
}

const sumsText = `
KERNEL void listed_sums(GLOBAL const void *RESTRICT x, GLOBAL const void *RESTRICT w,
    GLOBAL const int *RESTRICT order, GLOBAL const int64 *RESTRICT offsets,
    GLOBAL const void *moments, GLOBAL void *out, const int64 runs, const int64 cols,
    const int64 tiles, const int64 parts, const int64 out_cells, const int is_narrow,
    const int weights, const int term, const int is_narrow_out) {
  LOCAL double totals[${GROUP}];
  const int item = LOCAL_ID(0);
  const int share = item / ${LANES};
${partText}
  const int64 column = tile * ${LANES} + item % ${LANES};
  double total = 0.0;
  if (column < cols) {
    const double mean =
        term == 2 ? ((GLOBAL const double *)moments)[(3 * group + 1) * cols + column] : 0.0;
    for (int64 k = part * length + share; k < end; k += ${GROUP / LANES}) {
      const int64 row = order[first + k];
      const double weight = weights > 0 ? CELL_OF(w, row, weights == 1) : 1.0;
      if (term == 0) total += weight;
      else if (weight != 0.0) {
        const double cell = CELL_OF(x, row * cols + column, is_narrow) - mean;
        total += weight * (term == 2 ? cell * cell : cell);
      }
    }
  }
  totals[item] = total;
  BARRIER();
  for (int half_size = ${GROUP / 2}; half_size >= ${LANES}; half_size /= 2) {
    if (item < half_size) totals[item] += totals[item + half_size];
    BARRIER();
  }
  if (share > 0 || column >= cols) return;
  const int64 to = part * out_cells + group * cols + column;
  PUT_CELL(out, to, totals[item], is_narrow_out);
}
`;

const momentsText = `
KERNEL void put_weighted_means(GLOBAL const double *RESTRICT weights,
    GLOBAL const double *RESTRICT totals, GLOBAL double *RESTRICT out, const int64 cells,
    const int64 cols) {
  const int64 at = GLOBAL_ID(0);
  if (at >= cells) return;
  const int64 to = at / cols * 3 * cols + at % cols;
  out[to] = weights[at];
  out[to + cols] = weights[at] != 0.0 ? totals[at] / weights[at] : totals[at];
}

KERNEL void put_squares(GLOBAL const double *RESTRICT squares, GLOBAL double *RESTRICT out,
    const int64 cells, const int64 cols) {
  const int64 at = GLOBAL_ID(0);
  if (at < cells) out[at / cols * 3 * cols + 2 * cols + at % cols] = squares[at];
}
`;
