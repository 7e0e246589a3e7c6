/**
 * Which operators have kernels, and the launches of a node. Invariant: `deviceOps` names what
 * `lower` answers for, where `hasKernel` holds; what a device lacks (float64, groups of that
 * size) is asked for here and nowhere else.
 */
import type { Expr } from '../../../driver/ir/expr.js';
import { type OpName, ops } from '../../../driver/operators/index.js';
import type { DeviceProperties } from '../driver.js';
import { lowerBestColumns } from './best-columns.js';
import { cellFunction } from './cell-code.js';
import { lowerCell, lowerCells } from './cells.js';
import { lowerGroupGram, lowerSelectRows } from './groups.js';
import {
  lowerConv2d,
  lowerConv2dFilterGradient,
  lowerConv2dInputGradient,
  lowerMaxPool2d,
  lowerMaxPool2dGradient,
} from './images.js';
import { lowerColumnMoments, lowerGroupSums } from './listed-sums.js';
import { GROUP, type Lowered } from './lowered.js';
import {
  canPermute,
  lowerAddDiag,
  lowerBindRuns,
  lowerCast,
  lowerCbind,
  lowerDiag,
  lowerPermuteAxes,
  lowerRbind,
  lowerRepeatCols,
  lowerReshape,
  lowerRestack,
  lowerSlice,
  lowerSliceRuns,
  lowerTakeRows,
  lowerTranspose,
} from './moves.js';
import {
  lowerBlockProducts,
  lowerMatmul,
  lowerMmchain,
  lowerStackProduct,
  lowerTsmm,
  lowerWeightedGram,
} from './products.js';
import { aggregateNames, lowerAggregate } from './reduce.js';
import { lowerRegroupSums } from './regroup-sums.js';
import { canOrderRows } from './row-order.js';
import { lowerFoldCols, lowerRowIndex, lowerSoftmax } from './runs.js';
import { lowerFill, lowerRand, lowerSeq, lowerShuffledAt, lowerUniformAt } from './sources.js';
import {
  canFactor,
  canSolve,
  isSmallSystem,
  lowerCholesky,
  lowerSolve,
  lowerStackCholesky,
  lowerStackSolve,
} from './systems.js';
import { canRank, lowerTopK } from './top-k.js';

type Lowering = (expr: Expr, properties: DeviceProperties) => Lowered | undefined;

const cellOps = Object.values(ops).filter(
  (op) => op.elementwise && cellFunction(op, 'float64') !== undefined,
);

const others: Readonly<Partial<Record<OpName, Lowering>>> = {
  matmul: lowerMatmul,
  tsmm: lowerTsmm,
  mmchain: lowerMmchain,
  weightedGram: lowerWeightedGram,
  stackProduct: lowerStackProduct,
  blockProducts: lowerBlockProducts,
  bestColumns: lowerBestColumns,
  fill: lowerFill,
  seq: lowerSeq,
  rand: lowerRand,
  uniformAt: lowerUniformAt,
  shuffledAt: lowerShuffledAt,
  cast: lowerCast,
  selectRows: lowerSelectRows,
  groupGram: lowerGroupGram,
  groupSums: lowerGroupSums,
  columnMoments: lowerColumnMoments,
  solve: lowerSolve,
  cholesky: lowerCholesky,
  stackSolve: lowerStackSolve,
  stackCholesky: lowerStackCholesky,
  softmax: lowerSoftmax,
  foldCols: lowerFoldCols,
  rowIndexMax: lowerRowIndex,
  rowIndexMin: lowerRowIndex,
  transpose: lowerTranspose,
  slice: lowerSlice,
  rbind: lowerRbind,
  cbind: lowerCbind,
  takeRows: lowerTakeRows,
  reshape: lowerReshape,
  restack: lowerRestack,
  repeatCols: lowerRepeatCols,
  diag: lowerDiag,
  addDiag: lowerAddDiag,
  bindRuns: lowerBindRuns,
  sliceRuns: lowerSliceRuns,
  permuteAxes: lowerPermuteAxes,
  conv2d: lowerConv2d,
  conv2dInputGradient: lowerConv2dInputGradient,
  conv2dFilterGradient: lowerConv2dFilterGradient,
  maxPool2d: lowerMaxPool2d,
  maxPool2dGradient: lowerMaxPool2dGradient,
  topK: lowerTopK,
  regroupSums: lowerRegroupSums,
};

const lowerings: ReadonlyMap<string, Lowering> = new Map<string, Lowering>([
  ...cellOps.map(({ name }) => [name, lowerCell] as const),
  ...aggregateNames.map((name) => [name, (expr: Expr) => lowerAggregate(expr)] as const),
  ...Object.entries(others),
]);

/** Names of the operators that have kernels. */
export const deviceOps: ReadonlySet<string> = new Set(lowerings.keys());

type Limit = (expr: Expr, properties: DeviceProperties) => boolean;

/** Operators whose kernels take some sizes only: asked before they are lowered. */
const limits: Readonly<Partial<Record<string, Limit>>> = {
  selectRows: canOrderRows,
  groupGram: canOrderRows,
  groupSums: canOrderRows,
  columnMoments: canOrderRows,
  solve: canSolve,
  cholesky: canFactor,
  stackSolve: isSmallSystem,
  stackCholesky: isSmallSystem,
  permuteAxes: canPermute,
  topK: canRank,
} satisfies Partial<Record<OpName, Limit>>;

/** Whether `lower` answers for a node. */
export function hasKernel(expr: Expr, properties: DeviceProperties): boolean {
  if (!isWithinLimits(expr, properties)) return false;
  const hasAll = properties.hasFloat64 && properties.largestWorkGroup >= GROUP;
  return hasAll || lower(expr, properties) !== undefined;
}

function isWithinLimits(expr: Expr, properties: DeviceProperties): boolean {
  return limits[expr.op.name]?.(expr, properties) !== false;
}

/** Launches that compute a node from its operands; undefined: it runs elsewhere. */
export function lower(expr: Expr, properties: DeviceProperties): Lowered | undefined {
  if (!isWithinLimits(expr, properties)) return undefined;
  const lowered = fitting(lowerings.get(expr.op.name)?.(expr, properties), properties);
  // The kernel of all operators on cells needs float64 for some of them.
  if (lowered === undefined && expr.op.elementwise) return lowerChain([expr], [expr], properties);
  return lowered;
}

/**
 * Launches that compute nodes together, of which only `outputs` are written: cell-wise nodes of one
 * shape, of which any may be outputs; or the same and last an aggregate, the only output.
 * @param nodes inputs before consumers
 */
export function lowerChain(
  nodes: readonly Expr[],
  outputs: readonly Expr[],
  properties: DeviceProperties,
): Lowered | undefined {
  const last = nodes.at(-1)!;
  if (!aggregateNames.includes(last.op.name))
    return fitting(lowerCells(nodes, outputs), properties);
  const isAlone = outputs.length === 1 && outputs[0] === last;
  return isAlone ? fitting(lowerAggregate(last, nodes.slice(0, -1)), properties) : undefined;
}

function fitting(
  lowered: Lowered | undefined,
  { hasFloat64, largestWorkGroup }: DeviceProperties,
): Lowered | undefined {
  if (lowered === undefined || largestWorkGroup < GROUP) return undefined;
  if (hasFloat64) return lowered;
  return lowered.steps.some(({ code }) => /\bdouble\b/.test(code.source)) ? undefined : lowered;
}
