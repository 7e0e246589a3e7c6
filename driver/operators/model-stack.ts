/**
 * Where the matrices of K models lie in the one they stand in (`BatchLayout`); what operators over
 * such operands share.
 */
import type { Attrs } from '../ir/attrs.js';
import type { BatchLayout } from '../ir/batch-rule.js';
import type { Meta } from '../ir/expr.js';
import { type Cells, cellsOf, type DenseMatrix, dense } from '../ir/value.js';
import { choiceAttr } from './shape-check.js';

const LAYOUTS: readonly BatchLayout[] = ['shared', 'columns', 'stack'];

/** Where the matrices lie: that of model k begins at cell k * `step`, rows are `stride` apart. */
export interface ModelView {
  readonly rows: number;
  readonly cols: number;
  readonly step: number;
  readonly stride: number;
}

/** @returns undefined where the shape is none of K models in that layout */
export function modelView(
  { rows, cols }: Meta,
  layout: BatchLayout,
  models: number,
): ModelView | undefined {
  const down = layout === 'stack' ? models : 1;
  const across = layout === 'columns' ? models : 1;
  if (rows % down !== 0 || cols % across !== 0) return undefined;
  const one = { rows: rows / down, cols: cols / across };
  const step = layout === 'shared' ? 0 : layout === 'columns' ? one.cols : one.rows * cols;
  return { ...one, step, stride: cols };
}

/** The attribute of an operand or the result. @throws PlanError */
export function layoutAttr(
  op: string,
  attrs: Attrs,
  name: string,
  fallback: BatchLayout,
): BatchLayout {
  return attrs[name] === undefined ? fallback : choiceAttr(op, attrs, name, LAYOUTS);
}

/** The matrix of model k; not copied where its rows lie one after the other. */
export function takeModel<C extends Cells>(
  { dtype, data }: DenseMatrix<C>,
  { rows, cols, step, stride }: ModelView,
  k: number,
): DenseMatrix<C> {
  const from = k * step;
  if (stride === cols) return dense(rows, cols, data.subarray(from, from + rows * cols) as C);
  const cells = cellsOf(dtype, rows * cols) as C;
  for (let i = 0; i < rows; i++) {
    const row = from + i * stride;
    for (let j = 0; j < cols; j++) cells[i * cols + j] = data[row + j]!;
  }
  return dense(rows, cols, cells);
}

/** Writes the matrix of model k. */
export function putModel(
  out: Cells,
  { rows, cols, step, stride }: ModelView,
  k: number,
  cells: Cells,
): void {
  for (let i = 0; i < rows; i++) {
    const row = k * step + i * stride;
    for (let j = 0; j < cols; j++) out[row + j] = cells[i * cols + j]!;
  }
}
