/**
 * A frame as a program sees it: a lineage leaf named by its files' digests, and what it holds.
 * Invariant: the leaf's attributes say what the rows are (format, digests, row counts) and never
 * where they lie; the paths are payload.
 */
import { DataError } from '../errors.js';
import type { Attrs, AttrValue } from '../ir/attrs.js';
import type { Evaluator } from '../ir/evaluator.js';
import type { Expr } from '../ir/expr.js';
import type { FrameColumn, FrameDescription, FrameEngine, FrameFile } from '../ir/frame-engine.js';
import type { DescribeOptions } from '../ir/read-options.js';
import { encode as encodeOp } from '../operators/encode.js';
import type { EncodedFeature } from '../operators/encode-block.js';
import { frameLeaf } from './frame-leaf.js';
import { subSource } from './parts.js';

export class Frame {
  readonly description: FrameDescription;
  /** The leaf (operator `frame`). */
  readonly expr: Expr;
  readonly #evaluator: Evaluator;

  constructor(evaluator: Evaluator, description: FrameDescription) {
    const { source, rows, columns } = description;
    if (rows === 0) {
      const paths = source.files.map((file) => file.path);
      throw new DataError(
        `data: expected rows in ${paths[0]}${paths.length > 1 ? ` and ${paths.length - 1} more files` : ''}, got none`,
        { paths },
      );
    }
    const isUndivided = description.isUniform === false;
    const own = isUndivided ? { ...source, isUndivided } : source;
    this.#evaluator = evaluator;
    this.description = description;
    this.expr = frameLeaf(evaluator, own, columns.length);
  }

  get columns(): readonly FrameColumn[] {
    return this.description.columns;
  }

  /** The rows of some of the files, as a frame of its own: its lineage does not know the others. */
  part(files: readonly FrameFile[]): Frame {
    const source = subSource(this.description.source, files);
    const rows = files.reduce((sum, file) => sum + file.rows, 0);
    return new Frame(this.#evaluator, { ...this.description, source, rows });
  }

  /**
   * The matrix of these features, a lazy node.
   * @shape [rows, sum of the features' widths]
   */
  encode(features: readonly EncodedFeature[]): Expr {
    const attrs: Attrs = { features: features as unknown as AttrValue };
    return this.#evaluator.intern(encodeOp, [this.expr], attrs);
  }
}

/**
 * Opens a file, folder or glob as a frame.
 * @throws DataError when nothing is there, a file can't be read, columns of two files differ, or
 *   there are no rows
 */
export async function openFrame(
  evaluator: Evaluator,
  engine: FrameEngine,
  path: string,
  options?: DescribeOptions,
): Promise<Frame> {
  return new Frame(evaluator, await engine.describe(path, options));
}
