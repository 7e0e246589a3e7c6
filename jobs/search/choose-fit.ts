/**
 * Whether a search's fits are made of products of the columns with each other, or by passes over the
 * rows that never form them: of many columns, few of whose cells are not zero, the latter take a
 * fraction of the time and memory. A rule over counts, so that a plan can say it before it runs.
 */

import type { Matrix } from '../../driver/index.js';
import { memoryShares } from '../../driver/support/memory.js';
import { formatBytes } from '../../driver/support/size.js';
import type { Estimator, Params } from '../estimators/estimator.js';
import { WIDE_COLUMNS } from '../estimators/linear-design.js';
import { formatCount } from '../format.js';
import type { Partition } from './splits/partition.js';

/** What the choice depends on. */
export interface FitShape {
  readonly rows: number;
  /** Encoded columns. */
  readonly columns: number;
  /** Cells that are not zero, where most are: undefined for dense rows. */
  readonly nonZeros: number | undefined;
  /** Groups of rows that moments are summed by. */
  readonly groups: number;
  /** Fits of all candidates on all splits. */
  readonly fits: number;
}

export interface FitChoice {
  /** What fits: the estimator, or the same by rows. */
  readonly estimator: Estimator;
  /** No products of columns are made. */
  readonly isByRows: boolean;
  /** The reason, where there was a choice. */
  readonly why?: string;
}

/** Sustained rates, of products on two lanes and of cells of sparse rows. @units flops/s */
const PRODUCT_FLOPS = 50e9;
const SPARSE_FLOPS = 2e9;
/** Passes until fits converge, measured: of one-hot columns, and of columns that depend. */
const PASSES = { sparse: 30, dense: 300 } as const;
/** Operations a cubed column of eigenvectors. */
const EIGEN_FLOPS = 25;
/** Gram matrices at work beside those of the groups. */
const WORKING = 4;

/** Columns a cell that is not zero from which rows count as sparse, as backends keep them. */
const SPARSE_WIDTH = 25;

/** Groups that moments are summed by; partitions of the same groups share them. */
export function groupCount(partitions: readonly Partition[]): number {
  const groups = new Map(partitions.map(({ groupOf, groups }) => [groupOf.expr, groups]));
  return [...groups.values()].reduce((sum, count) => sum + count, 0);
}

/** What the choice of fits depends on. */
export function fitShape(
  X: Matrix,
  partitions: readonly Partition[],
  candidates: number,
): FitShape {
  const { rows, cols: columns, nnz, dtype } = X.expr;
  const isSparse = dtype === 'float64' && nnz !== undefined && nnz * SPARSE_WIDTH <= rows * columns;
  return {
    rows,
    columns,
    nonZeros: isSparse ? nnz : undefined,
    groups: groupCount(partitions),
    fits: candidates * partitions.reduce((sum, { splits }) => sum + splits.length, 0),
  };
}

export function chooseFit(
  estimator: Estimator,
  candidates: readonly Params[],
  shape: FitShape,
): FitChoice {
  const byRows = estimator.reads === 'moments' ? estimator.byRows : estimator;
  const asIs = { estimator, isByRows: false };
  if (byRows?.reads !== 'rows' || shape.columns < WIDE_COLUMNS) return asIs;
  if (byRows.isForSparse && shape.nonZeros === undefined) return asIs;
  if (!candidates.every((params) => byRows.fitsWide?.(params))) return asIs;
  const rows = rowSeconds(shape);
  const gramBytes = (shape.groups + WORKING) * 8 * (shape.columns + 2) ** 2;
  const gram =
    gramSeconds(shape) +
    (estimator.reads === 'moments' ? solveSeconds(shape) : eigenSeconds(shape) + rows);
  const fits = gramBytes <= memoryShares().cacheBytes;
  const isByRows = !fits || rows < gram;
  const why = `${formatCount(shape.columns)} columns, ${cellsText(shape)}: passes over the rows are expected to take ${seconds(rows)}, products of columns ${seconds(gram)} and ${formatBytes(gramBytes)}${fits ? '' : ', which do not fit'}`;
  return { estimator: isByRows ? byRows : estimator, isByRows, why };
}

/** A product with all rows and each fit's own column, in time of dense operations. */
function rowWork({ rows, columns, nonZeros }: FitShape): number {
  const dense = (2 * rows * columns) / PRODUCT_FLOPS;
  return nonZeros === undefined ? dense : Math.min(dense, (2 * nonZeros) / SPARSE_FLOPS);
}

function rowSeconds(shape: FitShape): number {
  const passes = PASSES[shape.nonZeros === undefined ? 'dense' : 'sparse'];
  return 2 * passes * shape.fits * rowWork(shape);
}

function gramSeconds({ rows, columns, nonZeros }: FitShape): number {
  const dense = (rows * columns ** 2) / PRODUCT_FLOPS;
  if (nonZeros === undefined) return dense;
  return Math.min(dense, nonZeros ** 2 / rows / SPARSE_FLOPS);
}

function solveSeconds({ columns, fits }: FitShape): number {
  return (fits * columns ** 3) / 3 / PRODUCT_FLOPS;
}

function eigenSeconds({ columns }: FitShape): number {
  return (EIGEN_FLOPS * columns ** 3) / PRODUCT_FLOPS;
}

function cellsText({ rows, columns, nonZeros = rows * columns }: FitShape): string {
  return `${Number((nonZeros / rows).toPrecision(3))} cells of a row not zero`;
}

function seconds(n: number): string {
  return n < 1 ? 'less than 1 s' : `${formatCount(Math.round(n))} s`;
}
