/**
 * How Spark stores a kept value. Spark drops what it can't hold in memory or writes it to its local
 * disks, as the level says; the level also decides whether the RDD's lineage can be cut, which
 * needs a disk.
 */

import type { Segment } from '../../driver/backend/backend.js';
import type { Expr } from '../../driver/ir/expr.js';

/** Names of Spark's `StorageLevel`. */
export type StorageLevel = 'MEMORY_ONLY' | 'MEMORY_AND_DISK' | 'MEMORY_AND_DISK_SER';

/** Local disks of a cluster, a node, read at about this rate. @units bytes/s */
const DISK_BYTES_PER_SECOND = 300e6;
/** Of the budget: a larger value will spill, so it is stored in the form it spills in. */
const SERIALISED_SHARE = 0.25;

/**
 * Memory only where making a lost partition again is faster than reading it from disk and needs
 * nothing but row numbers; the serialised form where the value is so large that much of it goes to
 * disk.
 * @param secondsOf expected time of one node's own work on the cluster
 */
export function chooseLevel(
  expr: Expr,
  bytes: number,
  budgetBytes: number,
  segment: Segment,
  secondsOf: (expr: Expr) => number,
): StorageLevel {
  const seconds = secondsToRemake(expr, segment, secondsOf);
  if (seconds !== undefined && seconds < bytes / DISK_BYTES_PER_SECOND) return 'MEMORY_ONLY';
  return bytes > budgetBytes * SERIALISED_SHARE ? 'MEMORY_AND_DISK_SER' : 'MEMORY_AND_DISK';
}

/** Time to remake the value from generated rows; undefined for files, host or kept values. */
function secondsToRemake(
  expr: Expr,
  segment: Segment,
  secondsOf: (expr: Expr) => number,
): number | undefined {
  const seen = new Set<Expr>();
  const open = [expr];
  let total = 0;
  while (open.length > 0) {
    const next = open.pop()!;
    if (seen.has(next)) continue;
    seen.add(next);
    if (next.inputs.length === 0 && next.rows * next.cols === 1) continue;
    if (!segment.blocked.has(next) || segment.inputs.has(next)) return undefined;
    total += secondsOf(next);
    open.push(...next.inputs);
  }
  return total;
}
