/** What sums of rows by group change by when rows change groups: a fold for each cell of the result. */
import type { Expr } from '../../../driver/ir/expr.js';
import {
  type DeviceStep,
  integer,
  type Lowered,
  long,
  loweredNode,
  narrowFlag,
  Scratch,
  type StepOperand,
} from './lowered.js';
import { foldKernel, reduceSteps } from './reduce.js';
import { weightsKind } from './row-order.js';

export function lowerRegroupSums(expr: Expr): Lowered {
  const [x, from, to, w] = expr.inputs as [Expr, Expr, Expr, Expr?];
  const widths = expr.attrs.widths as readonly number[];
  const scratch = new Scratch();
  const steps: DeviceStep[] = [];
  let first = 0;
  for (const [model, width] of widths.entries()) {
    const operands: StepOperand[] = [
      ...[0, 1, 2, w === undefined ? 0 : 3].map((input) => ({ input })),
      ...[x.cols, widths.length, model, w?.cols ?? 1].map(long),
      ...[x, from, to].map(narrowFlag),
      integer(weightsKind(w)),
    ];
    const outputs = width * expr.cols;
    const over = { outputs, inner: x.rows, outerStep: 1, innerStep: expr.cols };
    const out = { operand: { output: 0 }, dtype: expr.dtype, first: first * expr.cols };
    const folded = { code: { name: 'fold_regroup', source: regroupText }, operands };
    steps.push(...reduceSteps('sum', folded, over, out, scratch));
    first += width;
  }
  return loweredNode(expr, steps, scratch.bytes);
}

const cells = {
  parameters: `GLOBAL const void *RESTRICT x, GLOBAL const void *RESTRICT before,
    GLOBAL const void *RESTRICT after, GLOBAL const void *RESTRICT w, const int64 x_cols,
    const int64 models, const int64 model, const int64 w_cols, const int is_narrow_x,
    const int is_narrow_before, const int is_narrow_after, const int weights, `,
  statements: `
      const int64 group = o / (x_cols + 1);
      const int64 column = o - group * (x_cols + 1);
      const double left = CELL_OF(before, k * models + model, is_narrow_before);
      const double joined = CELL_OF(after, k * models + model, is_narrow_after);
      double moved = 0.0;
      if (left != joined && (left == group || joined == group)) {
        const double weight = weights == 0 ? 1.0
            : CELL_OF(w, k * w_cols + (w_cols == 1 ? 0 : model), weights == 1);
        if (weight != 0.0) {
          moved = column == x_cols ? weight : weight * CELL_OF(x, k * x_cols + column, is_narrow_x);
          if (left == group) moved = -moved;
        }
      }
`,
  result: 'moved',
};
const regroupText = `typedef int64 place;\n${foldKernel('sum', cells, 'regroup')}`;
