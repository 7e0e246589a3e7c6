/**
 * The rows of each group, in their order: how many there are is counted by short runs of rows,
 * counts are added up, and each run writes its rows where they belong. No atomics, so the order
 * is one. And how kernels over listed rows share them out, which follows from shapes alone.
 */
import type { Typed } from '../../../driver/ir/dtype.js';
import type { Expr } from '../../../driver/ir/expr.js';
import { cellSource } from './cell-code.js';
import {
  type DeviceStep,
  GROUP,
  groupsStep,
  integer,
  itemsStep,
  type KernelCode,
  long,
  type Scratch,
  type StepOperand,
  WANTED_GROUPS,
} from './lowered.js';

/** Rows of a run, counted by one item for each group. */
const RUN = 256;
/** Row numbers are of 32 bits. */
const MAX_ROWS = 2 ** 31 - RUN;
/** Counts, each of which reads a run: beyond, sorting on the host is quicker. */
const MAX_COUNTS = 2 ** 20;

/** Whether the rows of a node's groups are listed here. */
export function canOrderRows({ inputs: [x], attrs }: Expr): boolean {
  const groups = (attrs.groups as number | undefined) ?? 1;
  return x!.rows <= MAX_ROWS && groups * Math.ceil(x!.rows / RUN) <= MAX_COUNTS;
}

export interface RowOrder {
  readonly steps: readonly DeviceStep[];
  /** Row numbers (int), group by group. */
  readonly order: StepOperand;
  /** Where each run of each group begins (int64): group g's from g * `runs` on, then the end. */
  readonly offsets: StepOperand;
  readonly runs: number;
}

export interface RowGroups extends Typed {
  /** A column: the group of each row, or not zero where `isMask`, which is group 0. */
  readonly operand: StepOperand;
  readonly rows: number;
  readonly groups: number;
  readonly isMask: boolean;
}

/** Rows whose group is none of 0 .. groups - 1 are in no list. */
export function rowOrder(of: RowGroups, scratch: Scratch): RowOrder {
  const runs = Math.ceil(of.rows / RUN);
  const counts = of.groups * runs;
  const offsets = scratch.take(8 * (counts + 1));
  const order = scratch.take(4 * of.rows);
  const source = cellSource(orderText, of.dtype);
  const code = (name: string): KernelCode => ({ name, source });
  const sizes = [...[of.rows, runs, of.groups].map(long), integer(of.isMask ? 1 : 0)];
  const steps = [
    itemsStep(code('count_rows'), [of.operand, offsets, ...sizes], counts),
    groupsStep(code('add_up'), [offsets, long(counts)], 1),
    itemsStep(code('order_rows'), [of.operand, offsets, order, ...sizes], counts),
  ];
  return { steps, order, offsets, runs };
}

/** Of an operator whose first operand is the group of each row. */
export function rowsByGroup({ inputs: [g], attrs }: Expr, scratch: Scratch): RowOrder {
  const { dtype, rows } = g!;
  const groups = attrs.groups as number;
  return rowOrder({ operand: { input: 0 }, dtype, rows, groups, isMask: false }, scratch);
}

/** Rows of a part at least. */
const MIN_PART = 256;

/** Parts into which the rows of each group are cut, so that a device is filled. */
export function listedParts(rows: number, groups: number): number {
  return Math.min(Math.ceil(WANTED_GROUPS / groups), Math.ceil(rows / MIN_PART));
}

/** A group of items' tile, its part of a group of rows, and which of the listed rows that is. */
export const partText = `
  const int64 tile = GROUP_ID(0) % tiles;
  const int64 rest = GROUP_ID(0) / tiles;
  const int64 part = rest % parts;
  const int64 group = rest / parts;
  const int64 first = offsets[group * runs];
  const int64 count = offsets[(group + 1) * runs] - first;
  const int64 length = (count + parts - 1) / parts;
  const int64 end = (part + 1) * length < count ? (part + 1) * length : count;
`;

/** How a kernel that counts rows by weights reads them: not at all, as float32 or as float64. */
export function weightsKind(weights: Typed | undefined): number {
  if (weights === undefined) return 0;
  return weights.dtype === 'float32' ? 1 : 2;
}

const orderText = `
#define IS_IN(cell_, group_) (is_mask ? (cell_) != 0 : (cell_) == (group_))

KERNEL void count_rows(GLOBAL const cell *RESTRICT g, GLOBAL int64 *RESTRICT counts,
    const int64 rows, const int64 runs, const int64 groups, const int is_mask) {
  const int64 at = GLOBAL_ID(0);
  if (at >= runs * groups) return;
  const int64 group = at / runs;
  const int64 first = (at - group * runs) * ${RUN};
  const int64 end = first + ${RUN} < rows ? first + ${RUN} : rows;
  int64 count = 0;
  for (int64 i = first; i < end; i++) count += IS_IN(g[i], group) ? 1 : 0;
  counts[at] = count;
}

KERNEL void add_up(GLOBAL int64 *RESTRICT counts, const int64 size) {
  LOCAL int64 totals[${GROUP}];
  const int item = LOCAL_ID(0);
  const int64 length = (size + ${GROUP - 1}) / ${GROUP};
  const int64 end = (item + 1) * length < size ? (item + 1) * length : size;
  int64 own = 0;
  for (int64 at = item * length; at < end; at++) own += counts[at];
  totals[item] = own;
  BARRIER();
  int64 before = 0;
  for (int other = 0; other < item; other++) before += totals[other];
  if (item == ${GROUP - 1}) counts[size] = before + own;
  for (int64 at = item * length; at < end; at++) {
    const int64 count = counts[at];
    counts[at] = before;
    before += count;
  }
}

KERNEL void order_rows(GLOBAL const cell *RESTRICT g, GLOBAL const int64 *RESTRICT offsets,
    GLOBAL int *RESTRICT order, const int64 rows, const int64 runs, const int64 groups,
    const int is_mask) {
  const int64 at = GLOBAL_ID(0);
  if (at >= runs * groups) return;
  const int64 group = at / runs;
  const int64 first = (at - group * runs) * ${RUN};
  const int64 end = first + ${RUN} < rows ? first + ${RUN} : rows;
  int64 to = offsets[at];
  for (int64 i = first; i < end; i++)
    if (IS_IN(g[i], group)) order[to++] = (int)i;
}
`;
