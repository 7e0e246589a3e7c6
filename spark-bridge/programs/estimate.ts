/** What Spark is expected to take for work and transfers at first; the cost model corrects it. */

import type { BackendCosts, CostEstimate } from '../../driver/backend/backend.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { WireDescription } from '../channel/wire.js';
import { keptBytes } from '../rdd/kept-bytes.js';

/** A program with one Spark job that does nothing, on an embedded Spark. @units seconds */
const JOB_SECONDS = 0.03;
/** Block kernels with a native BLAS, a core; without. @units flops/s */
const NATIVE_FLOPS = 2e10;
const JAVA_FLOPS = 2e9;
/** Everything else: compiled loops over cells, a core. @units flops/s */
const LOOP_FLOPS = 1e9;
/** Rows written and read by operators, a core. @units bytes/s */
const MEMORY_BYTES = 2e9;

export function estimateOn(
  { nativeBlas, parallelism }: Pick<WireDescription, 'nativeBlas' | 'parallelism'>,
  expr: Expr,
): CostEstimate {
  const product = nativeBlas ? NATIVE_FLOPS : JAVA_FLOPS;
  const rate = expr.op.work === 'product' ? product : LOOP_FLOPS;
  let bytes = keptBytes(expr);
  for (const input of expr.inputs) bytes += keptBytes(input);
  const flops = expr.op.flops(expr.inputs, expr.attrs, expr);
  const seconds = (flops / rate + bytes / MEMORY_BYTES) / Math.max(1, parallelism);
  return { seconds: JOB_SECONDS + seconds, startSeconds: JOB_SECONDS };
}

/** Through the direct channel on loopback; over Livy statements, first programs correct it. */
export const sparkCosts: BackendCosts = {
  exchangeSeconds: JOB_SECONDS,
  uploadBytesPerSecond: 2e8,
  downloadBytesPerSecond: 2e8,
};
