/**
 * The column of each model that a row prefers: a product of all columns, then the greatest of each
 * model's. Neighbouring models of one width share a launch.
 */
import { denseBytes, type Expr } from '../../../driver/ir/expr.js';
import type { DeviceProperties } from '../driver.js';
import { cellSource } from './cell-code.js';
import { type DeviceStep, itemsStep, type Lowered, long, loweredNode, Scratch } from './lowered.js';
import { productSteps } from './product-code.js';

export function lowerBestColumns(expr: Expr, { isProcessor }: DeviceProperties): Lowered {
  const [x, w] = expr.inputs as [Expr, Expr];
  const { rows, cols: d, dtype } = x;
  const columns = w.cols;
  const scratch = new Scratch();
  const decisions = scratch.take(denseBytes({ rows, cols: columns, dtype }));
  const sides = { m: rows, n: columns, inner: d, models: 1 };
  const steps = productSteps(
    {
      ...{ dtype, ...sides, isProcessor },
      a: { operand: { input: 0 }, outer: d, inner: 1, step: 0 },
      b: { operand: { input: 1 }, outer: 1, inner: columns, step: 0 },
      out: { operand: decisions, row: columns, col: 1, step: 0 },
    },
    scratch,
  );
  const code = { name: 'best_columns', source: cellSource(bestText, dtype) };
  const chosen = runsOf(expr.attrs.widths as readonly number[]).map((run): DeviceStep => {
    const { column, width, model, models } = run;
    const sizes = [rows, columns, d * columns, column, width, model, models, expr.cols];
    const operands = [decisions, { input: 1 }, { output: 0 }, ...sizes.map(long)];
    return itemsStep(code, operands, rows * models);
  });
  return loweredNode(expr, [...steps, ...chosen], scratch.bytes);
}

/** Models of one width: how many, and the first and its first column. */
interface ModelRun {
  readonly column: number;
  readonly width: number;
  readonly model: number;
  readonly models: number;
}

function runsOf(widths: readonly number[]): readonly ModelRun[] {
  const runs: ModelRun[] = [];
  let column = 0;
  for (const [model, width] of widths.entries()) {
    const last = runs.at(-1);
    if (last?.width === width) runs[runs.length - 1] = { ...last, models: last.models + 1 };
    else runs.push({ column, width, model, models: 1 });
    column += width;
  }
  return runs;
}

const bestText = `
KERNEL void best_columns(GLOBAL const cell *RESTRICT decisions, GLOBAL const cell *RESTRICT w,
    GLOBAL float *RESTRICT out, const int64 rows, const int64 columns, const int64 intercepts,
    const int64 column, const int64 width, const int64 model, const int64 models,
    const int64 out_cols) {
  const int64 at = GLOBAL_ID(0);
  if (at >= rows * models) return;
  const int64 row = at / models;
  const int64 m = at - row * models;
  const int64 first = column + m * width;
  cell best = -INFINITE;
  int64 place = 0;
  for (int64 k = 0; k < width; k++) {
    const cell own = decisions[row * columns + first + k] + w[intercepts + first + k];
    if (!(own > best)) continue;
    best = own;
    place = k;
  }
  out[row * out_cols + model + m] = (float)place;
}
`;
