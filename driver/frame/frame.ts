/**
 * A frame as a program sees it: a lineage leaf named by its files' digests, and what it holds.
 * Invariant: the leaf's attributes say what the rows are (format, digests, row counts) and never
 * where they lie; the paths are payload.
 */
import { DataError } from '../errors.js';
import type { Attrs, AttrValue } from '../ir/attrs.js';
import { type DType, dtypeAttr } from '../ir/dtype.js';
import type { Evaluator } from '../ir/evaluator.js';
import type { Expr } from '../ir/expr.js';
import type { FrameColumn, FrameDescription, FrameEngine } from '../ir/frame-engine.js';
import type { DescribeOptions } from '../ir/read-options.js';
import { encode as encodeOp } from '../operators/encode.js';
import type { EncodedFeature, EncodedPart } from '../operators/encode-block.js';
import { kfold } from '../operators/kfold.js';
import { frameLeaf } from './frame-leaf.js';
import { fileSeed } from './parts.js';

export interface EncodeOptions {
  /** Of the cells; numbers are rounded to float32 as they are read. Default float64. */
  readonly dtype?: DType;
  /**
   * What some of the rows each need of the features: moments and losses are then made part by part,
   * so that they stay when files come and go.
   */
  readonly parts?: readonly EncodedPart[] | undefined;
}

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
    const own = description.isUniform === false ? { ...source, isUndivided: true } : source;
    this.#evaluator = evaluator;
    this.description = { ...description, source: own };
    this.expr = frameLeaf(evaluator, own, columns.length);
  }

  get columns(): readonly FrameColumn[] {
    return this.description.columns;
  }

  /**
   * The matrix of these features, a lazy node.
   * @shape [rows, sum of the features' widths]
   * @throws DTypeError for a dtype there is not
   */
  encode(features: readonly EncodedFeature[], { dtype, parts }: EncodeOptions = {}): Expr {
    const attrs: Attrs = { features: features as unknown as AttrValue, ...dtypeAttr(dtype) };
    return this.#evaluator.intern(encodeOp, [this.expr], attrs, parts);
  }

  /**
   * Folds of rows shuffled within each of several files, so that a row's fold never depends
   * on the files beside it; undefined for one file, whose rows `kfold` shuffles.
   * @shape [rows, 1]
   */
  foldsByFile(folds: number, seed: number): Expr | undefined {
    const filled = this.description.source.files.filter((file) => file.rows > 0);
    if (filled.length < 2) return undefined;
    const files = filled.map((file) => [file.rows, fileSeed(seed, file)]);
    const attrs = { rows: this.expr.rows, folds, first: 0, files };
    return this.#evaluator.intern(kfold, [], attrs);
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
