/** Results over parts of the rows, from the payloads of an answer. */

import type { Segment } from '../../driver/backend/backend.js';
import type { Expr } from '../../driver/ir/expr.js';
import { dense, type Value } from '../../driver/ir/value.js';
import { bytesToCells } from '../channel/frame-codec.js';

/** Results over parts, as they follow the outputs; they have the reduction's shape. */
export function addParts(
  segment: Segment,
  ids: readonly number[],
  payloads: readonly Uint8Array[],
  values: Map<Expr, Value>,
): void {
  let next = 0;
  for (const id of ids) {
    for (const [expr, parts] of segment.parts ?? []) {
      if (expr.id !== id) continue;
      for (const part of parts) {
        const cells = payloads[next++];
        if (cells === undefined) return;
        values.set(part.expr, dense(expr.rows, expr.cols, bytesToCells(cells, expr.dtype)));
      }
    }
  }
}
