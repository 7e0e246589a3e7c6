/**
 * Rows that steps are fitted on: those of the data, or made by a step that is no map of columns.
 * Invariant: `encoded` are finite, a missing cell being 0 there and 1 in its indicator, so moments of
 * columns with any fill follow from one pass; `cells` are the same with NaN.
 */
import { eye, Matrix, matrix, ops, scalar, zeros } from '../../driver/index.js';
import { linearDesign } from '../estimators/linear-design.js';
import type { Columns, StepSplit } from './columns.js';

/** How rows were made of columns, for the model that is kept. */
export interface MadeRows {
  readonly of: Columns;
  readonly kind: 'outliers' | 'polynomial' | 'map' | 'network';
  /** Numbers that rows are made with, by name. */
  readonly values: Readonly<Record<string, Matrix>>;
  /** What is no number. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly names: readonly string[] | undefined;
}

interface RowFacts {
  readonly cells: Matrix;
  readonly encoded: Matrix;
  /** Which encoded columns are the columns' own, and which their indicators: [e, c]. */
  readonly select: Matrix | null;
  readonly carry: Matrix | null;
  /** Columns that may be missing. */
  readonly missing: readonly number[];
  readonly names: readonly string[] | undefined;
  readonly made?: MadeRows;
}

export class StepRows {
  readonly cells: Matrix;
  readonly encoded: Matrix;
  readonly select: Matrix | null;
  readonly carry: Matrix | null;
  readonly missing: readonly number[];
  readonly names: readonly string[] | undefined;
  readonly made: MadeRows | undefined;

  constructor({ made, ...facts }: RowFacts) {
    this.cells = facts.cells;
    this.encoded = facts.encoded;
    this.select = facts.select;
    this.carry = facts.carry;
    this.missing = facts.missing;
    this.names = facts.names;
    this.made = made;
  }

  get width(): number {
    return this.cells.cols;
  }

  /**
   * Moments of the encoded columns and others by group, about the means.
   * @param weight of the rows: [n, 1]
   */
  gram({ groupOf, groups }: StepSplit, others: readonly Matrix[], weight?: Matrix): Matrix {
    const { session } = this.encoded;
    const operands = [groupOf, this.encoded, ...others, ...(weight ? [weight] : [])];
    const attrs = { groups, center: true, ...(weight ? { weighted: true } : {}) };
    return Matrix.of(
      session,
      session.intern(
        ops.groupGram,
        operands.map(({ expr }) => expr),
        attrs,
      ),
    );
  }
}

/** A column that is 0 where its indicator is 1. */
export interface IndicatedColumn {
  /** Numbers of encoded columns. */
  readonly column: number;
  readonly indicator: number;
}

/** Rows of the data, as they are encoded. @param names of the columns without the indicators */
export function encodedRows(
  X: Matrix,
  indicated: readonly IndicatedColumn[],
  names: readonly string[],
): StepRows {
  if (indicated.length === 0) {
    return new StepRows({ cells: X, encoded: X, select: null, carry: null, missing: [], names });
  }
  const { session } = X;
  const { design, kept } = linearDesign(session, X.cols, indicated, false);
  const [select, carry] = [design.select!, design.carry!];
  // A cell is 0 where its indicator is 1, and 0 / 0 is NaN.
  const cells = X.matmul(select).div(scalar(session, 1).sub(X.matmul(carry)));
  const missing = indicated.map(({ column }) => kept.indexOf(column)).sort((a, b) => a - b);
  return new StepRows({ cells, encoded: X, select, carry, missing, names });
}

/** Rows by their cells. @param missing numbers of the columns that may be NaN */
export function cellRows(
  cells: Matrix,
  missing: readonly number[],
  names?: readonly string[],
  made?: MadeRows,
): StepRows {
  const own = { cells, names, ...(made ? { made } : {}) };
  if (missing.length === 0) {
    return new StepRows({ ...own, encoded: cells, select: null, carry: null, missing });
  }
  const { session, cols } = cells;
  const unknown = cells.isNaN();
  const all = missing.length === cols;
  const pick = new Float64Array(cols * missing.length);
  for (const [j, column] of missing.entries()) pick[column * missing.length + j] = 1;
  const picked = matrix(session, cols, missing.length, pick);
  const encoded = unknown.ifelse(0, cells).cbind(all ? unknown : unknown.matmul(picked));
  return new StepRows({
    ...own,
    encoded,
    select: eye(session, cols).rbind(zeros(session, missing.length, cols)),
    carry: zeros(session, cols, cols).rbind(picked.t()),
    missing,
  });
}
