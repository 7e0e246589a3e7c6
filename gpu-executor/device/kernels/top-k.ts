/**
 * The first k rows by a column: keys and row numbers in a bitonic network, whose comparisons follow
 * from the number of rows alone, then the rows. Source: Batcher, "Sorting networks and their
 * applications" (AFIPS 1968).
 */
import type { Expr } from '../../../driver/ir/expr.js';
import { rankingOf } from '../../../driver/operators/top-k.js';
import {
  type DeviceStep,
  integer,
  itemsStep,
  type KernelCode,
  type Lowered,
  long,
  loweredNode,
  narrowFlag,
  Scratch,
} from './lowered.js';

/** Beyond, the host's selection of few is quicker than sorting all. */
const MAX_ROWS = 2 ** 22;

export function canRank({ inputs: [x] }: Expr): boolean {
  return x!.rows <= MAX_ROWS;
}

export function lowerTopK(expr: Expr): Lowered {
  const [x] = expr.inputs as [Expr];
  const { by, descending } = rankingOf(expr.attrs);
  const code = (name: string): KernelCode => ({ name, source: rankText });
  const isNarrow = narrowFlag(x);
  const places = 2 ** Math.ceil(Math.log2(x.rows));
  const scratch = new Scratch();
  const [keys, rows] = [scratch.take(8 * places), scratch.take(4 * places)];
  const sizes = [places, x.rows, x.cols, by].map(long);
  const flag = integer(descending ? 1 : 0);
  const steps: DeviceStep[] = [
    itemsStep(code('rank_keys'), [{ input: 0 }, keys, rows, ...sizes, flag, isNarrow], places),
  ];
  for (let width = 2; width <= places; width *= 2) {
    for (let apart = width / 2; apart >= 1; apart /= 2) {
      const numbers = [places / 2, width, apart].map(long);
      steps.push(itemsStep(code('rank_exchange'), [keys, rows, ...numbers], places / 2));
    }
  }
  const cells = expr.rows * expr.cols;
  const operands = [{ input: 0 }, rows, { output: 0 }, long(cells), long(x.cols), isNarrow];
  steps.push(itemsStep(code('rank_rows'), operands, cells));
  return loweredNode(expr, steps, scratch.bytes);
}

/** Keys ascend; NaN comes last, then places that are no rows; equal ones keep the order of rows. */
const rankText = `
KERNEL void rank_keys(GLOBAL const void *RESTRICT x, GLOBAL double *RESTRICT keys,
    GLOBAL int *RESTRICT rows, const int64 places, const int64 count, const int64 cols,
    const int64 by, const int is_descending, const int is_narrow) {
  const int64 at = GLOBAL_ID(0);
  if (at >= places) return;
  const double own = at < count ? CELL_OF(x, at * cols + by, is_narrow) : NOT_A_NUMBER;
  keys[at] = is_descending ? -own : own;
  rows[at] = (int)at;
}

KERNEL void rank_exchange(GLOBAL double *RESTRICT keys, GLOBAL int *RESTRICT rows,
    const int64 pairs, const int64 width, const int64 apart) {
  const int64 at = GLOBAL_ID(0);
  if (at >= pairs) return;
  const int64 low = at / apart * 2 * apart + at % apart;
  const int64 high = low + apart;
  const double a = keys[low];
  const double b = keys[high];
  const int is_same = a == b || (a != a && b != b);
  const int is_after = is_same ? rows[low] > rows[high] : a != a || a > b;
  const int is_down = low / width % 2 == 1;
  if (is_after == is_down) return;
  const int row = rows[low];
  keys[low] = b;
  keys[high] = a;
  rows[low] = rows[high];
  rows[high] = row;
}

KERNEL void rank_rows(GLOBAL const void *RESTRICT x, GLOBAL const int *RESTRICT rows,
    GLOBAL double *RESTRICT out, const int64 cells, const int64 cols, const int is_narrow) {
  const int64 at = GLOBAL_ID(0);
  if (at >= cells) return;
  const int64 place = at / (cols + 1);
  const int64 col = at - place * (cols + 1);
  const int64 row = rows[place];
  out[at] = col == 0 ? (double)row : CELL_OF(x, row * cols + col - 1, is_narrow);
}
`;
