/** Which values count as data, that is, are walked by rows and not handed over whole. */
import { isFrameData } from '../frame/frame-data.js';
import { denseBytes, type Expr } from '../ir/expr.js';
import type { Value } from '../runtime/value.js';

/** Generated matrices and literals of at least this size count as data. @units bytes */
export const DATA_BYTES = 32 * 1024;

/** Data that exist whole on the host but are walked by rows all the same. */
export function isHostData(expr: Expr, available: ReadonlyMap<Expr, Value>): boolean {
  const value = available.get(expr);
  if (value?.kind !== 'dense' || expr.rows === 1) return false;
  return denseBytes(value) >= DATA_BYTES || isFrameData(expr);
}
