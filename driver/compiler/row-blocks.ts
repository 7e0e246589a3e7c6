/** Which values are walked by rows, and how an operator takes its operands on a backend. */

import type { Backend } from '../backend/backend.js';
import { isFrameData } from '../frame/frame-data.js';
import { denseBytes, type Expr } from '../ir/expr.js';
import type { RowRule } from '../ir/op-def.js';
import type { Value } from '../ir/value.js';

/** Results of reductions below this size are made where the data are, small or not. @units bytes */
const LARGE_RESULT_BYTES = 64 * 1024 * 1024;

/**
 * Whether a reduction makes more than it reads: moments of more columns than rows. Elsewhere each
 * task would hold such a result, and it would travel; the host takes the rows instead and makes it
 * once.
 */
export function makesMoreThanItReads(expr: Expr, byRows: readonly boolean[]): boolean {
  const made = denseBytes(expr);
  if (made < LARGE_RESULT_BYTES) return false;
  let read = 0;
  for (const [i, input] of expr.inputs.entries()) if (byRows[i]) read += denseBytes(input);
  return read < made;
}

/** Generated matrices and literals of at least this size count as data. @units bytes */
export const DATA_BYTES = 32 * 1024;

/** Data that exist whole on the host but are walked by rows all the same. */
export function isHostData(expr: Expr, value: Value | undefined): boolean {
  if (value?.kind !== 'dense' || expr.rows === 1) return false;
  return denseBytes(value) >= DATA_BYTES || isFrameData(expr);
}

/** The row rule there: where row blocks stay, operators that only move rows take rows too. */
export function rowRuleOn(expr: Expr, backend: Backend): RowRule {
  const rule = expr.op.rowRule(expr.inputs, expr.attrs);
  if (rule.kind !== 'whole' || backend.capabilities.blocks !== 'resident') return rule;
  const blocked = expr.op.moveRule?.(expr.inputs, expr.attrs);
  return blocked === undefined ? rule : { kind: 'map', blocked };
}

/** Whether a node on that backend takes this operand by rows wherever it is an input. */
export function takesByRows(expr: Expr, input: Expr, backend: Backend): boolean {
  const rule = rowRuleOn(expr, backend);
  if (rule.kind === 'source') return true;
  if (rule.kind === 'whole') return false;
  return expr.inputs.every((other, i) => other !== input || rule.blocked[i] === true);
}
