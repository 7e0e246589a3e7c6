/**
 * Folds of cells, of a matrix or of a chain that ends in them: by rows, by columns or of all. One
 * kernel folds `inner` cells into each of `outputs`; how many items share an output depends on
 * shapes alone, and they are joined in a tree, so that sums come out the same each time and lose
 * few digits. Sums are float64 throughout.
 */
import type { DType } from '../../../driver/ir/dtype.js';
import type { Expr, Meta } from '../../../driver/ir/expr.js';
import type { ops } from '../../../driver/operators/index.js';
import { cellSource } from './cell-code.js';
import { type ChainText, chainText, columnsIn, placeType } from './chain-text.js';
import {
  type DeviceStep,
  GROUP,
  groupsStep,
  integer,
  type KernelCode,
  type Lowered,
  long,
  loweredNode,
  Scratch,
  type StepOperand,
} from './lowered.js';

/** Start, how a cell joins the total, and how two totals do; in C, over float64. */
interface Fold {
  readonly start: string;
  readonly step: string;
  readonly merge: string;
}

const SUM = 'total + other';
const folds = {
  sum: { start: '0.0', step: 'total + own', merge: SUM },
  sumSq: { start: '0.0', step: 'total + own * own', merge: SUM },
  min: { start: 'INFINITE', step: 'LEAST(total, own)', merge: 'LEAST(total, other)' },
  max: { start: '-INFINITE', step: 'GREATEST(total, own)', merge: 'GREATEST(total, other)' },
} satisfies Record<string, Fold>;

export type FoldName = keyof typeof folds;
type Direction = 'all' | 'rows' | 'cols';

/** By operator: its fold, and whether it is of rows, columns or all. */
const aggregates: ReadonlyMap<string, readonly [FoldName, Direction]> = new Map([
  ['sum', ['sum', 'all']],
  ['rowSums', ['sum', 'rows']],
  ['colSums', ['sum', 'cols']],
  ['sumSq', ['sumSq', 'all']],
  ['rowSumSqs', ['sumSq', 'rows']],
  ['colSumSqs', ['sumSq', 'cols']],
  ['min', ['min', 'all']],
  ['rowMins', ['min', 'rows']],
  ['colMins', ['min', 'cols']],
  ['max', ['max', 'all']],
  ['rowMaxs', ['max', 'rows']],
  ['colMaxs', ['max', 'cols']],
] as const satisfies readonly (readonly [keyof typeof ops, readonly [FoldName, Direction]])[]);

export const aggregateNames: readonly string[] = [...aggregates.keys()];

/** Groups of a launch at most, beyond which a part is as long as it must. */
const MAX_GROUPS = 1024;
/** Cells that an item folds at least before the work is divided further. */
const MIN_SHARE = 32;
/** Neighbouring outputs of a group, of which each folds cells far apart. */
const MAX_LANES = 32;
/** Cells of a row that an item folds where several share it. */
const CELLS_ACROSS = 4;

/** Cells (o, k), k of `inner`, that lie at o * outerStep + k * innerStep. */
export interface Reduction {
  readonly outputs: number;
  readonly inner: number;
  readonly outerStep: number;
  readonly innerStep: number;
}

/** An aggregate over a matrix or over the cells of a chain. @param nodes cell-wise, may be none */
export function lowerAggregate(expr: Expr, nodes: readonly Expr[] = []): Lowered | undefined {
  const [x] = expr.inputs as [Expr];
  const [fold, direction] = aggregates.get(expr.op.name)!;
  const over = reductionOf(x, direction);
  if (nodes.length === 0) return lowerFold(expr, fold, over);
  const chain = chainText(nodes, x);
  if (chain === undefined) return undefined;
  const cells: FoldedCells = { ...chain, result: chain.names.get(x)! };
  const scratch = new Scratch();
  const folded = { code: chainFold(cells, fold), ...cells };
  const out = { operand: { output: 0 }, dtype: expr.dtype };
  const steps = reduceSteps(fold, folded, over, out, scratch);
  return { inputs: chain.inputs, outputs: [expr], steps, scratchBytes: scratch.bytes };
}

/** A fold of an operand itself. */
export function lowerFold(expr: Expr, fold: FoldName, over: Reduction): Lowered {
  const folded = { code: plainCode(expr.inputs[0]!.dtype, fold), operands: [{ input: 0 }] };
  const scratch = new Scratch();
  const out = { operand: { output: 0 }, dtype: expr.dtype };
  return loweredNode(expr, reduceSteps(fold, folded, over, out, scratch), scratch.bytes);
}

export function isFold(name: string): name is FoldName {
  return Object.hasOwn(folds, name);
}

function reductionOf({ rows, cols }: Meta, direction: Direction): Reduction {
  if (direction === 'rows') return { outputs: rows, inner: cols, outerStep: cols, innerStep: 1 };
  if (direction === 'cols') return { outputs: cols, inner: rows, outerStep: 1, innerStep: cols };
  return { outputs: 1, inner: rows * cols, outerStep: 1, innerStep: 1 };
}

/** What is folded: by which kernel, over which operands; of a chain, its shape. */
interface Folded {
  readonly code: KernelCode;
  readonly operands: readonly StepOperand[];
  readonly shape?: Meta;
}

interface FoldResult {
  readonly operand: StepOperand;
  readonly dtype: DType;
  /** Cells before it. Default 0. */
  readonly first?: number | undefined;
}

/** Folds in one launch, or in parts of `inner` whose results are folded by a second one. */
export function reduceSteps(
  fold: FoldName,
  { code, operands, shape }: Folded,
  { outputs, inner, outerStep, innerStep }: Reduction,
  out: FoldResult,
  scratch: Scratch,
): DeviceStep[] {
  const isAcross = innerStep === 1 && outputs > 1;
  const lanes = lanesOf(outputs, inner, isAcross);
  const shares = GROUP / lanes;
  const tiles = Math.ceil(outputs / lanes);
  const most = Math.floor(MAX_GROUPS / tiles);
  const wanted = Math.max(1, Math.min(Math.floor(inner / (shares * MIN_SHARE)), most));
  const length = Math.ceil(inner / wanted);
  const chunks = Math.ceil(inner / length);
  const partial = chunks > 1 ? scratch.take(8 * chunks * outputs) : undefined;
  const first = partial === undefined ? (out.first ?? 0) : 0;
  const lengths = [outputs, inner, outerStep, innerStep, first, chunks, length];
  const sizes = [...lengths, shape?.cols ?? 1].map(long);
  const isNarrow = partial === undefined && out.dtype === 'float32';
  const flags = [lanes, isAcross ? 1 : 0, isNarrow ? 1 : 0].map(integer);
  const target = partial ?? out.operand;
  const step = groupsStep(code, [...operands, target, ...sizes, ...flags], tiles * chunks);
  if (partial === undefined) return [step];
  const merged = fold === 'sumSq' ? 'sum' : fold;
  const parts = { operand: partial, dtype: 'float64', count: chunks, outputs } as const;
  return [step, ...joinParts(merged, parts, out, scratch)];
}

/** Results of parts, one part's `outputs` behind the other's. */
interface Parts extends FoldResult {
  readonly count: number;
  readonly outputs: number;
}

/** Folds what parts of the work came to. */
export function joinParts(
  fold: FoldName,
  { operand, dtype, count, outputs }: Parts,
  out: FoldResult,
  scratch: Scratch,
): DeviceStep[] {
  const folded = { code: plainCode(dtype, fold), operands: [operand] };
  const over = { outputs, inner: count, outerStep: 1, innerStep: outputs };
  return reduceSteps(fold, folded, over, out, scratch);
}

/** Outputs of a group: as many as have neighbouring cells, or as leave an item some cells each. */
export function lanesOf(outputs: number, inner: number, isAcross: boolean): number {
  if (!isAcross) return Math.min(2 ** Math.ceil(Math.log2(outputs)), MAX_LANES);
  const shares = 2 ** Math.floor(Math.log2(Math.max(1, inner / CELLS_ACROSS)));
  return GROUP / Math.min(GROUP, shares);
}

interface FoldedCells extends ChainText {
  /** The name of the cell that is folded. */
  readonly result: string;
}

/** The kernel that folds the operand of that dtype itself. */
function plainCode(dtype: DType, fold: FoldName): KernelCode {
  return { name: `fold_${fold}`, source: cellSource(plainText, dtype) };
}

/** Sums of the squares of an operand's cells. */
export function sumSquares(dtype: DType): KernelCode {
  return plainCode(dtype, 'sumSq');
}

/** Sums of the products of an operand's cells with the k-th of another, k * step cells on. */
export function dotCode(dtype: DType): KernelCode {
  return { name: 'fold_dot', source: cellSource(dotText, dtype) };
}

function chainFold(cells: FoldedCells, fold: FoldName): KernelCode {
  const { rows, cols } = cells.shape;
  const kernel = foldKernel(fold, cells);
  const source = `typedef ${placeType(rows * cols)} place;\n${cells.functions}${kernel}`;
  return { name: `fold_${fold}`, source };
}

/** A fold of what `statements` make of `o` and `k`, the numbers of the output and of its cell. */
export function foldKernel(
  fold: FoldName,
  { parameters, statements, result }: Pick<FoldedCells, 'parameters' | 'statements' | 'result'>,
  name: string = fold,
): string {
  const { start, step, merge } = folds[fold];
  return `
KERNEL void fold_${name}(${parameters}GLOBAL void *RESTRICT out, const int64 outputs,
    const int64 inner, const int64 outer_step, const int64 inner_step, const int64 first,
    const int64 chunks, const int64 length, const int64 width, const int lanes,
    const int is_across, const int is_narrow) {
  LOCAL double totals[${GROUP}];
${columnsIn(statements)}  const int item = LOCAL_ID(0);
  const int shares = ${GROUP} / lanes;
  const int lane = is_across ? item / shares : item % lanes;
  const int share = is_across ? item % shares : item / lanes;
  const int64 tile = GROUP_ID(0) / chunks;
  const int64 chunk = GROUP_ID(0) - tile * chunks;
  const int64 o = tile * lanes + lane;
  double total = ${start};
  if (o < outputs) {
    const int64 end = (chunk + 1) * length < inner ? (chunk + 1) * length : inner;
    for (int64 k = chunk * length + share; k < end; k += shares) {
      const place at = (place)(o * outer_step + k * inner_step);
${statements}      const double own = (double)${result};
      total = ${step};
    }
  }
  totals[share * lanes + lane] = total;
  BARRIER();
  for (int count = shares / 2; count > 0; count /= 2) {
    if (share < count) {
      const double other = totals[(share + count) * lanes + lane];
      total = ${merge};
      totals[share * lanes + lane] = total;
    }
    BARRIER();
  }
  if (share == 0 && o < outputs) {
    const int64 to = first + chunk * outputs + o;
    PUT_CELL(out, to, total, is_narrow);
  }
}
`;
}

const X = 'GLOBAL const cell *RESTRICT x, ';
const plainCells = { parameters: X, statements: '', result: 'x[at]' };
const plainFolds = (Object.keys(folds) as FoldName[]).map((name) => foldKernel(name, plainCells));
const plainText = ['typedef int64 place;\n', ...plainFolds].join('');

const dotCells = {
  parameters: `${X}GLOBAL const cell *RESTRICT y, const int64 y_step, `,
  statements: '',
  result: 'x[at] * (double)y[k * y_step]',
};
const dotText = `typedef int64 place;\n${foldKernel('sum', dotCells, 'dot')}`;
