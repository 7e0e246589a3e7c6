/**
 * Fitted steps as a model file has them: plain numbers, applied to rows of new data one stage after
 * the other. Invariant: matrices and arrays are given the same, by `applyStages` on any engine and by
 * `applyToRows` to a block here; a missing cell is NaN.
 */
import * as z from 'zod';
import { InternalError, type Matrix, matrix, scalar } from '../../driver/index.js';
import { networkColumns, type StoredNetwork, storedNetwork } from './stored-network.js';
import { termCells } from './terms.js';

/** NaN and infinities, which JSON has no numbers for, are null. */
const numbers = z.array(z.number().nullable());

const columnsStage = z.strictObject({
  kind: z.literal('columns'),
  columns: z.array(z.string()).meta({ description: 'Names of what comes out.' }),
  fill: numbers.optional().meta({ description: 'For missing cells, by column that goes in.' }),
  scale: z.array(z.number()).optional().meta({ description: 'A factor a column.' }),
  matrix: z.array(z.array(z.number())).optional().meta({
    description: 'In place of `scale`: a row for each column that goes in.',
  }),
  shift: z.array(z.number()).optional().meta({ description: 'Added at last, by column.' }),
});

const outliersStage = z.strictObject({
  kind: z.literal('outliers'),
  action: z.enum(['clip', 'zero', 'missing']),
  low: numbers.meta({ description: 'Where outliers begin, by column; null: nowhere.' }),
  high: numbers,
});

const polynomialStage = z.strictObject({
  kind: z.literal('polynomial'),
  terms: z.array(z.array(z.int().nonnegative())).meta({
    description: 'Numbers of the factors of each column that comes out.',
  }),
});

const branchStage = z.discriminatedUnion('kind', [
  columnsStage,
  outliersStage,
  polynomialStage,
  storedNetwork,
]);

const besideStage = z.strictObject({
  kind: z.literal('beside'),
  branches: z.array(z.array(branchStage)).min(1).meta({
    description: 'Stages that each begin with the same columns; what they make, side by side.',
  }),
});

export const storedStage = z.discriminatedUnion('kind', [branchStage, besideStage]);

/** One stage of fitted steps. */
export type StoredStage = z.output<typeof storedStage>;
type ColumnsStage = z.output<typeof columnsStage>;
type OutliersStage = z.output<typeof outliersStage>;
/** A stage of one branch. */
export type BranchStage = z.output<typeof branchStage>;

/** Pretrained networks among stages, which are applied as expressions alone. */
export function networksIn(stages: readonly StoredStage[]): readonly StoredNetwork[] {
  return stages.flatMap((stage) => {
    if (stage.kind === 'beside') return stage.branches.flatMap(networksIn);
    return stage.kind === 'network' ? [stage] : [];
  });
}

/** How many columns come out of so many. */
export function widthAfter(stages: readonly StoredStage[], width: number): number {
  return stages.reduce((own, stage) => {
    if (stage.kind === 'columns' || stage.kind === 'network') return stage.columns.length;
    if (stage.kind === 'beside') {
      return stage.branches.reduce((sum, branch) => sum + widthAfter(branch, own), 0);
    }
    return stage.kind === 'polynomial' ? stage.terms.length : own;
  }, width);
}

/** @param X NaN where a cell is missing: [n, width] */
export function applyStages(X: Matrix, stages: readonly StoredStage[]): Matrix {
  return stages.reduce(applyStage, X);
}

function applyStage(X: Matrix, stage: StoredStage): Matrix {
  switch (stage.kind) {
    case 'columns':
      return mapped(X, stage);
    case 'outliers':
      return bounded(X, stage);
    case 'polynomial':
      return termCells(X, stage.terms);
    case 'network':
      return networkColumns(X, stage);
    case 'beside': {
      const [first, ...others] = stage.branches.map((branch) => applyStages(X, branch));
      return first!.cbind(...others);
    }
  }
}

function row(X: Matrix, cells: readonly (number | null)[], none: number): Matrix {
  return matrix(
    X.session,
    1,
    cells.length,
    Float64Array.from(cells, (cell) => cell ?? none),
  );
}

function mapped(X: Matrix, { fill, scale, matrix: mix, shift, columns }: ColumnsStage): Matrix {
  const own = fill ? X.isNaN().ifelse(row(X, fill, Number.NaN), X) : X;
  const cells = mix && matrix(X.session, mix.length, columns.length, Float64Array.from(mix.flat()));
  const made = cells ? mixedCells(own, cells) : scale ? own.mul(row(X, scale, 1)) : own;
  return shift ? made.add(row(X, shift, 0)) : made;
}

/** X V; a cell that is missing is so in the columns that have a share of it, and no others. */
function mixedCells(X: Matrix, V: Matrix): Matrix {
  const isMissing = X.isNaN();
  const shares = isMissing.matmul(V.ne(0));
  return shares.gt(0).ifelse(scalar(X.session, Number.NaN), isMissing.ifelse(0, X).matmul(V));
}

function bounded(X: Matrix, { action, low, high }: OutliersStage): Matrix {
  const least = row(X, low, Number.NEGATIVE_INFINITY);
  const greatest = row(X, high, Number.POSITIVE_INFINITY);
  if (action === 'clip') return X.maximum(least).minimum(greatest);
  const other = action === 'zero' ? 0 : scalar(X.session, Number.NaN);
  return X.lt(least).or(X.gt(greatest)).ifelse(other, X);
}

/** As `applyStages`, of stages without networks. @param cells row by row: [rows, width] */
export function applyToRows(
  cells: Float64Array,
  rows: number,
  stages: readonly StoredStage[],
): Float64Array {
  return stages.reduce((own, stage) => stageRows(own, own.length / rows, stage), cells);
}

function stageRows(cells: Float64Array, width: number, stage: StoredStage): Float64Array {
  switch (stage.kind) {
    case 'columns':
      return mappedRows(cells, width, stage);
    case 'outliers':
      return cells.map((cell, at) => boundedCell(cell, at % width, stage));
    case 'polynomial':
      return products(cells, width, stage.terms);
    case 'network':
      throw new InternalError('stages: expected none that is a network, got one');
    case 'beside':
      return besideRows(cells, width, stage.branches);
  }
}

function besideRows(
  cells: Float64Array,
  width: number,
  branches: readonly (readonly BranchStage[])[],
): Float64Array {
  const rows = cells.length / width;
  const widths = branches.map((branch) => widthAfter(branch, width));
  const all = widths.reduce((sum, own) => sum + own, 0);
  const made = new Float64Array(rows * all);
  let at = 0;
  for (const [b, branch] of branches.entries()) {
    const own = applyToRows(cells, rows, branch);
    for (let i = 0; i < rows; i++) {
      made.set(own.subarray(i * widths[b]!, (i + 1) * widths[b]!), i * all + at);
    }
    at += widths[b]!;
  }
  return made;
}

function mappedRows(cells: Float64Array, width: number, stage: ColumnsStage): Float64Array {
  const { fill, scale, matrix: mix, shift, columns } = stage;
  const own = fill ? cells.map((cell, at) => (Number.isNaN(cell) ? (fill[at % width] ?? cell) : cell)) : cells; // biome-ignore format: a choice
  const out = columns.length;
  const made = mix
    ? multiplied(own, width, mix, out)
    : scale
      ? own.map((cell, at) => cell * scale[at % width]!)
      : own;
  return shift ? made.map((cell, at) => cell + shift[at % out]!) : made;
}

function multiplied(
  cells: Float64Array,
  width: number,
  mix: readonly (readonly number[])[],
  out: number,
): Float64Array {
  const rows = cells.length / width;
  const made = new Float64Array(rows * out);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < width; j++) {
      const cell = cells[i * width + j]!;
      const factors = mix[j]!;
      const isMissing = Number.isNaN(cell);
      for (let k = 0; k < out; k++) {
        // What is missing adds nothing to columns that have no share of it.
        if (!isMissing || factors[k] !== 0) made[i * out + k]! += cell * factors[k]!;
      }
    }
  }
  return made;
}

function boundedCell(cell: number, column: number, { action, low, high }: OutliersStage): number {
  const [least, greatest] = [low[column] ?? -Infinity, high[column] ?? Infinity];
  if (action === 'clip') return Math.min(Math.max(cell, least), greatest);
  if (!(cell < least || cell > greatest)) return cell;
  return action === 'zero' ? 0 : Number.NaN;
}

function products(
  cells: Float64Array,
  width: number,
  terms: readonly (readonly number[])[],
): Float64Array {
  const rows = cells.length / width;
  const made = new Float64Array(rows * terms.length);
  for (let i = 0; i < rows; i++) {
    for (const [t, term] of terms.entries()) {
      made[i * terms.length + t] = term.reduce((product, j) => product * cells[i * width + j]!, 1);
    }
  }
  return made;
}
