/** A backend of this machine that counts the convolutions it runs, whichever way. */
import type { Backend } from '../../driver/backend/backend.js';
import type { Expr } from '../../driver/ir/expr.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';

export interface CountingBackend {
  readonly backend: Backend;
  convolutions: number;
}

export async function countingBackend(
  options: Parameters<typeof createCpuBackend>[0] = {},
): Promise<CountingBackend> {
  const inner: Backend = await createCpuBackend(options);
  const count = (expr: Expr): void => {
    if (expr.op.name === 'conv2d') counted.convolutions++;
  };
  const own: Pick<Backend, 'runSync' | 'run'> = {
    runSync: (expr, inputs) => {
      const made = inner.runSync?.(expr, inputs);
      if (made !== undefined) count(expr);
      return made;
    },
    run: (segment, context) => {
      for (const node of segment.nodes) count(node);
      return inner.run(segment, context);
    },
  };
  const backend = new Proxy(inner, {
    get: (_, key) => {
      const value = key in own ? own[key as 'run'] : inner[key as keyof Backend];
      return typeof value === 'function' ? (value as () => unknown).bind(inner) : value;
    },
  });
  const counted = { convolutions: 0, backend };
  return counted;
}
