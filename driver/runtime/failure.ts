/** Errors of kernels as ours. Invariant: our own errors, and cancellations, pass unchanged. */

import type { Backend } from '../backend/backend.js';
import { ExecutionError, RepriseError } from '../errors.js';
import type { Expr } from '../ir/expr.js';

/** The error a node's failing is reported as. */
export function failureOf(expr: Expr, error: unknown, backend: Backend): Error {
  if (error instanceof RepriseError) return error;
  if (error instanceof Error && error.name === 'AbortError') return error;
  const got = error instanceof Error ? error.message : String(error);
  return new ExecutionError(
    `${expr.op.name}: expected backend \`${backend.name}\` to run it, got ${got}`,
    { op: expr.op.name, backend: backend.name },
    { cause: error },
  );
}
