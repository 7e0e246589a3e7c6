/** A pass over rows of a compiled loop, as `segment.ts` runs it, over operands that stay in place. */
import type { LoopPass } from '../../../driver/backend/loop-program.js';
import type { Expr } from '../../../driver/ir/expr.js';
import type { DenseMatrix } from '../../../driver/ir/value.js';
import { runSegment } from '../segment.js';
import type { StreamContext } from '../stream.js';
import { type KernelUnit, type Now, TurnMemory } from './kernel-unit.js';

export function passUnit(
  { nodes, operands, outputs, blocked }: LoopPass,
  cellsOf: (expr: Expr) => DenseMatrix,
  nowOf: (expr: Expr) => Now,
  stream: StreamContext,
): KernelUnit {
  const given = operands.map((expr) => [expr, nowOf(expr)] as const);
  const outs = outputs.map((expr) => cellsOf(expr).data);
  const memory = new TurnMemory(outs);
  const own = { ...stream, kernels: { ...stream.kernels, allocate: memory.allocate } };
  const segment = { nodes, outputs, persist: [], blocked };
  return {
    run: async () => {
      memory.begin();
      const inputs = new Map(given.map(([expr, now]) => [expr, now()]));
      const { values } = await runSegment({ ...segment, inputs }, own);
      for (const [i, out] of outs.entries()) {
        const { data } = values.get(outputs[i]!) as DenseMatrix;
        if (data !== out) out.set(data);
      }
    },
    bytes: () => memory.bytes,
  };
}
