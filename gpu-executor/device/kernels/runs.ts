/**
 * Runs of neighbouring cells, of a row or of one model in a row: softmax, the place of the best
 * cell, and folds. Several items share a run, and several runs a group, by the run's length
 * alone.
 */
import type { Expr } from '../../../driver/ir/expr.js';
import type { ColumnFold } from '../../../driver/operators/aggregate.js';
import { exp } from '../../../driver/operators/cells.js';
import { cellFunction, cellSource } from './cell-code.js';
import {
  type DeviceStep,
  GROUP,
  groupsStep,
  integer,
  type KernelCode,
  type Lowered,
  long,
  loweredNode,
} from './lowered.js';
import { isFold, lanesOf, lowerFold } from './reduce.js';

/** The first greatest or least of each row, or the first NaN. */
export function lowerRowIndex(expr: Expr): Lowered {
  const [x] = expr.inputs as [Expr];
  return lowerPositions(expr, x.cols, expr.op.name === 'rowIndexMin');
}

/** One number of each run. */
export function lowerFoldCols(expr: Expr): Lowered {
  const [x] = expr.inputs as [Expr];
  const { width, fold } = expr.attrs as { width: number; fold: ColumnFold };
  if (!isFold(fold)) return lowerPositions(expr, width, fold === 'indexMin');
  const outputs = (x.rows * x.cols) / width;
  return lowerFold(expr, fold, { outputs, inner: width, outerStep: width, innerStep: 1 });
}

function lowerPositions(expr: Expr, width: number, isLeast: boolean): Lowered {
  const [x] = expr.inputs as [Expr];
  const source = cellSource(positionText, x.dtype);
  const step = runsStep({ name: 'position', source }, expr, width, [isLeast ? 1 : 0]);
  return loweredNode(expr, [step]);
}

export function lowerSoftmax(expr: Expr): Lowered {
  const source = cellSource(softmaxText, expr.dtype);
  const width = expr.attrs.width as number;
  return loweredNode(expr, [runsStep({ name: 'softmax', source }, expr, width, [])]);
}

function runsStep(
  code: KernelCode,
  expr: Expr,
  width: number,
  flags: readonly number[],
): DeviceStep {
  const [x] = expr.inputs as [Expr];
  const runs = (x.rows * x.cols) / width;
  const lanes = lanesOf(runs, width, true);
  const sizes = [long(runs), long(width), integer(lanes)];
  const operands = [{ input: 0 }, { output: 0 }, ...sizes, ...flags.map(integer)];
  return groupsStep(code, operands, Math.ceil(runs / lanes));
}

/** An item's share of a run: which run, and the first of its cells. */
const share = `
  const int item = LOCAL_ID(0);
  const int shares = ${GROUP} / lanes;
  const int share = item % shares;
  const int64 run = GROUP_ID(0) * lanes + item / shares;
`;

const positionText = `
FUNCTION int is_better(const double a, const int64 i, const double b, const int64 j) {
  if (i < 0 || j < 0) return j < 0;
  if (a != a || b != b) return a != a && (b == b || i < j);
  return a > b || (a == b && i < j);
}

KERNEL void position(GLOBAL const cell *RESTRICT x, GLOBAL double *RESTRICT out, const int64 runs,
    const int64 width, const int lanes, const int is_least) {
  LOCAL double cells[${GROUP}];
  LOCAL int64 places[${GROUP}];
${share}
  double best = 0.0;
  int64 place = -1;
  if (run < runs) {
    for (int64 j = share; j < width; j += shares) {
      const double own = is_least ? -(double)x[run * width + j] : (double)x[run * width + j];
      if (is_better(own, j, best, place)) {
        best = own;
        place = j;
      }
    }
  }
  cells[item] = best;
  places[item] = place;
  BARRIER();
  for (int count = shares / 2; count > 0; count /= 2) {
    if (share < count && is_better(cells[item + count], places[item + count], best, place)) {
      best = cells[item + count];
      place = places[item + count];
      cells[item] = best;
      places[item] = place;
    }
    BARRIER();
  }
  if (share == 0 && run < runs) out[run] = (double)place;
}
`;

const softmaxText = `${cellFunction(exp, 'float64')!.text}
KERNEL void softmax(GLOBAL const cell *RESTRICT x, GLOBAL cell *RESTRICT out, const int64 runs,
    const int64 width, const int lanes) {
  LOCAL double shared[${GROUP}];
${share}
  GLOBAL const cell *RESTRICT from = x + run * width;
  GLOBAL cell *RESTRICT to = out + run * width;
  double greatest = -INFINITE;
  if (run < runs)
    for (int64 j = share; j < width; j += shares)
      if (from[j] > greatest) greatest = from[j];
  shared[item] = greatest;
  BARRIER();
  for (int count = shares / 2; count > 0; count /= 2) {
    if (share < count && shared[item + count] > greatest) greatest = shared[item + count];
    if (share < count) shared[item] = greatest;
    BARRIER();
  }
  greatest = shared[item - share];
  BARRIER();
  double total = 0.0;
  if (run < runs) {
    for (int64 j = share; j < width; j += shares) {
      const double one = exp_double((double)from[j] - greatest);
      to[j] = (cell)one;
      total += one;
    }
  }
  shared[item] = total;
  BARRIER();
  for (int count = shares / 2; count > 0; count /= 2) {
    if (share < count) {
      total += shared[item + count];
      shared[item] = total;
    }
    BARRIER();
  }
  const double factor = 1.0 / shared[item - share];
  if (run < runs)
    for (int64 j = share; j < width; j += shares) to[j] = (cell)((double)to[j] * factor);
}
`;
