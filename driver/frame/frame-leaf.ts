/**
 * The lineage leaf of rows in files. Invariant: its attributes say what the rows are (format,
 * digests, row counts, how they are read) and never where they lie, so equal files are one leaf
 * whatever their paths and whoever makes it; the paths are payload.
 */
import type { Attrs, AttrValue } from '../ir/attrs.js';
import type { Expr } from '../ir/expr.js';
import type { FrameSource } from '../ir/frame-engine.js';
import type { Interner } from '../ir/intern.js';
import { frame } from '../operators/frame.js';
import { partitionAttr } from './partitions.js';
import { TEXT_GRAMMAR } from './text-columns.js';

/** @param cols columns of the frame, read or not */
export function frameLeaf(
  maker: Pick<Interner, 'intern'>,
  source: FrameSource,
  cols: number,
): Expr {
  const files = source.files.map(({ digest, rows, partition }) => ({
    digest,
    rows,
    ...(partition ? { partition: partitionAttr(partition) } : {}),
  }));
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  const isText = source.format === 'csv' || source.format === 'jsonl';
  const options = source.options as AttrValue | undefined;
  const attrs: Attrs = {
    format: source.format,
    files,
    rows,
    cols,
    ...(options === undefined ? {} : { options }),
    ...(isText ? { grammar: TEXT_GRAMMAR } : {}),
  };
  return maker.intern(frame, [], attrs, source);
}

/** Where the rows of a leaf are; undefined for other nodes. */
export function sourceOf(leaf: Expr): FrameSource | undefined {
  return leaf.op.source === 'files' ? (leaf.payload as FrameSource | undefined) : undefined;
}
