/**
 * `encode` and its frame. They have no kernel over values: rows come from a frame reader, chunk by
 * chunk, and are encoded into a block (`../stream.ts`). Here stands what a scan must read for them.
 */
import { DataError } from '../../../driver/errors.js';
import type { Attrs } from '../../../driver/ir/attrs.js';
import type { CsrMatrix } from '../../../driver/ir/csr.js';
import type { Expr } from '../../../driver/ir/expr.js';
import type { FrameSource, RawChunk, RawColumn } from '../../../driver/ir/frame-engine.js';
import type { Cells } from '../../../driver/ir/value.js';
import {
  type EncodedFeature,
  encodeBlock,
  encodeCsr,
  isHashed,
  rawColumn,
} from '../../../driver/operators/encode-block.js';
import { columnsAt } from '../frame-reader.js';
import { type CodedRows, codeRows } from './coded-rows.js';
import type { Allocate } from './kernel.js';

/** One reading of a frame that feeds all `encode` nodes over it. */
export interface Scan {
  readonly source: FrameSource;
  readonly columns: readonly RawColumn[];
  /** Per `encode` node, which scanned column each of its features takes. */
  readonly columnsOf: ReadonlyMap<Expr, readonly number[]>;
}

/** The scans that feed these `encode` nodes: one a frame, each distinct raw column read once. */
export function planScans(encodes: readonly Expr[]): Scan[] {
  const byFrame = new Map<Expr, Expr[]>();
  for (const expr of encodes) {
    const group = byFrame.get(expr.inputs[0]!);
    if (group === undefined) byFrame.set(expr.inputs[0]!, [expr]);
    else group.push(expr);
  }
  return [...byFrame].map(([frame, group]) => {
    const columns: RawColumn[] = [];
    const positions = new Map<string, number>();
    const columnsOf = new Map<Expr, number[]>();
    for (const expr of group) {
      const taken = featuresOf(expr).map((feature) => {
        const column = rawColumn(feature);
        const key = JSON.stringify(column);
        let position = positions.get(key);
        if (position === undefined) {
          position = columns.push(column) - 1;
          positions.set(key, position);
        }
        return position;
      });
      columnsOf.set(expr, taken);
    }
    return { source: frame.payload as FrameSource, columns, columnsOf };
  });
}

/**
 * Encodes a chunk for one node into `out`, whose cells it clears first.
 * @throws DataError for a missing value where the feature allows none
 */
export function encodeChunk(
  scan: Scan,
  expr: Expr,
  chunk: RawChunk,
  rowOffset: number,
  out: Cells,
): void {
  const own = columnsAt(chunk, scan.columnsOf.get(expr)!);
  out.fill(0);
  const bad = encodeBlock(featuresOf(expr), own, out, expr.cols, 0);
  if (bad !== undefined) throw missingIn(expr, own, bad, rowOffset);
}

/** Whether rows are of hashed text, and others beside it: they are compressed then. */
export function hasHashed(attrs: Attrs): boolean {
  return (attrs.features as unknown as readonly EncodedFeature[]).some(isHashed);
}

/**
 * The same as compressed rows.
 * @throws DataError for a missing value where the feature allows none
 */
export function compressChunk(
  scan: Scan,
  expr: Expr,
  chunk: RawChunk,
  rowOffset: number,
): CsrMatrix {
  const own = columnsAt(chunk, scan.columnsOf.get(expr)!);
  const rows = encodeCsr(featuresOf(expr), own, expr.dtype);
  if (typeof rows !== 'string') return rows;
  throw missingIn(expr, own, rows, rowOffset);
}

/**
 * The same as coded rows, see `coded-rows.ts`.
 * @throws DataError for a missing value where the feature allows none
 */
export function codeChunk(
  scan: Scan,
  expr: Expr,
  chunk: RawChunk,
  rowOffset: number,
  allocate: Allocate,
): CodedRows {
  const columns = scan.columnsOf.get(expr)!.map((position) => chunk.columns[position]!);
  return codeRows(featuresOf(expr), { rows: chunk.rows, columns }, allocate, (feature) =>
    missingValue(expr, columns, feature, rowOffset),
  );
}

/** @param name of the feature that has a missing value */
function missingIn(expr: Expr, { columns }: RawChunk, name: string, rowOffset: number): DataError {
  const feature = featuresOf(expr).findIndex((one) => one.name === name);
  return missingValue(expr, columns, feature, rowOffset);
}

function missingValue(
  expr: Expr,
  columns: readonly Float64Array[],
  feature: number,
  rowOffset: number,
): DataError {
  const { name } = featuresOf(expr)[feature]!;
  const row = rowOffset + columns[feature]!.findIndex((cell) => Number.isNaN(cell));
  return new DataError(
    `encode: expected a number in every row of feature \`${name}\`, got a missing value in row ${row + 1}; give the feature an \`impute\``,
    { op: 'encode', feature: name, row: row + 1 },
  );
}

function featuresOf(expr: Expr): readonly EncodedFeature[] {
  return expr.attrs.features as unknown as readonly EncodedFeature[];
}
