/**
 * What of a segment is computed by row blocks: cell-wise steps and products by rows over large
 * values, and the reductions that take them in. Invariant: it follows from the segment and from
 * what the device may hold, never from what it holds just now, so that results have the same bits
 * each time.
 */
import type { Segment } from '../../../driver/backend/backend.js';
import { denseBytes, type Expr } from '../../../driver/ir/expr.js';
import { rowOperandsOf } from '../../../driver/ir/op-def.js';
import { compressedValue } from '../compressed.js';

export interface StreamLimits {
  /** What the device may hold. @units bytes */
  readonly memoryBytes: number;
  /** In one piece. @units bytes */
  readonly largestBytes: number;
  /** For tests and measuring: all that can be is computed by blocks of so many rows. */
  readonly rowsPerBlock?: number | undefined;
}

export interface StreamedNodes {
  /** Computed block by block, inputs before consumers. */
  readonly maps: ReadonlySet<Expr>;
  /** Reductions over rows of these, or of large operands. */
  readonly sinks: ReadonlySet<Expr>;
}

/** Of what the device may hold; larger operands are taken by rows. */
const LARGE_SHARE = 1 / 16;

/** Undefined where all of it is computed whole: it fits, or nothing can be done by rows. */
export function streamedNodes(segment: Segment, limits: StreamLimits): StreamedNodes | undefined {
  const { memoryBytes, rowsPerBlock } = limits;
  const isForced = rowsPerBlock !== undefined;
  if (!isForced && fits(segment, limits)) return undefined;
  const largeBytes = isForced ? 0 : memoryBytes * LARGE_SHARE;
  const wholeReaders = new Set(segment.nodes.flatMap(readWhole));
  const maps = new Set<Expr>();
  const sinks = new Set<Expr>();
  for (const expr of segment.nodes) {
    const isByRows = (input: Expr): boolean =>
      maps.has(input) ||
      (input.rows > 1 && bytesOf(segment, input) >= largeBytes && !wholeReaders.has(input));
    const rows = rowOperandsOf(expr);
    if (!rows.some(isByRows) || !canStream(expr)) continue;
    (kindOf(expr) === 'map' ? maps : sinks).add(expr);
  }
  return maps.size + sinks.size > 0 ? { maps, sinks } : undefined;
}

function readWhole(expr: Expr): readonly Expr[] {
  const rule = expr.op.rowRule(expr.inputs, expr.attrs);
  return expr.inputs.filter((_, i) => !rule.blocked[i]);
}

/** Whether a result larger than any piece of memory can be made: rows by rows. */
export function isMadeByRows(expr: Expr): boolean {
  return rowOperandsOf(expr).length > 0 && canStream(expr) && kindOf(expr) === 'map';
}

function kindOf({ op, inputs, attrs }: Expr): string {
  return op.rowRule(inputs, attrs).kind;
}

/** Whether its results over blocks are rows of the result, or join to it. */
function canStream(expr: Expr): boolean {
  if (expr.op.numbersRows) return false;
  return kindOf(expr) === 'map' || expr.op.combine !== undefined;
}

/** Compressed rows are as they are read. @units bytes */
function bytesOf(segment: Segment, expr: Expr): number {
  return compressedValue(segment, expr)?.bytes ?? denseBytes(expr);
}

/** Whether its values, each from its maker to its last reader, fit on the device. */
function fits(segment: Segment, limits: StreamLimits): boolean {
  const { nodes, persist, outputs, spare } = segment;
  const { memoryBytes, largestBytes } = limits;
  const kept = new Set([...persist.filter((expr) => !spare?.has(expr)), ...outputs]);
  const lastReader = new Map<Expr, Expr>();
  for (const node of nodes) for (const input of node.inputs) lastReader.set(input, node);
  const held = new Set<Expr>();
  let bytes = 0;
  for (const node of nodes) {
    for (const expr of [...node.inputs, node]) {
      if (held.has(expr)) continue;
      held.add(expr);
      bytes += bytesOf(segment, expr);
      if (bytesOf(segment, expr) > largestBytes) return false;
    }
    if (bytes > memoryBytes) return false;
    for (const input of new Set(node.inputs)) {
      if (lastReader.get(input) === node && !kept.has(input)) bytes -= bytesOf(segment, input);
    }
  }
  return true;
}
