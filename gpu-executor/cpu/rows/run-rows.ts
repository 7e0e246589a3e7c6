/** Runs a pass over rows of host values as a row program. */
import type { Expr } from '../../../driver/ir/expr.js';
import { type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { asExecutionError, type StreamContext } from '../stream.js';
import type { StreamPass } from '../stream-pass.js';
import type { RowPlan } from './row-program.js';

/** The values of its sinks and kept nodes. @throws AbortError, ExecutionError */
export async function runRows(
  { sinks, kept, values }: StreamPass,
  { program, operands, flops }: RowPlan,
  { kernels, rows, signal, onProgress }: StreamContext,
): Promise<Map<Expr, DenseMatrix>> {
  const written = kept.map(({ rows: count, cols, dtype }) =>
    dense(count, cols, kernels.allocate(count * cols, dtype)),
  );
  const inputs = operands.map((expr) => values.get(expr)!);
  const { provider } = kernels.choice ?? {};
  const settings = { signal, onProgress: (part: number) => onProgress?.(part), provider };
  try {
    const results = await rows.run(program, inputs, written, flops, settings);
    return new Map([
      ...sinks.map((expr, i) => [expr, results[i]!] as const),
      ...kept.map((expr, i) => [expr, written[i]!] as const),
    ]);
  } catch (error) {
    throw asExecutionError((sinks[0] ?? kept[0])!, error);
  }
}
