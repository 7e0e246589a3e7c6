/**
 * Results over the rows of many files as results over some of the files each. Only what a later run
 * can use is seen so: a result whose other operands are computed from files too is another one as
 * soon as a file is added. Invariant: a part's node is a function of its own files, and the merge
 * of the parts, always in the order of the rows, is the node.
 */

import type { SegmentPart } from '../backend/backend.js';
import { frameLeaf, sourceOf } from '../frame/frame-leaf.js';
import { partFiles, subSource } from '../frame/parts.js';
import { denseBytes, type Expr, type NodeMaker } from '../ir/expr.js';
import { mergeRows } from '../ir/op-def.js';
import { ops } from '../operators/index.js';
import { summedRows } from './plan-rules/merge-row-parts.js';

/** A run of rows of a node's data: some files of a data set, and the node over these alone. */
export type FilePart = SegmentPart;

/** What the results of one node over all parts may take together, and results by rows at all. @units bytes */
const RESULT_BYTES = 64 * 1024 * 1024;
/** Longer chains of operators above the data are not looked through. */
const MAX_DEPTH = 128;

/** Centred moments by fold are no such sum: the searches of jobs keep theirs by file, with columns and folds of the file's own. */
function isFileSum(expr: Expr): boolean {
  return expr.attrs.center !== true && summedRows(expr) !== undefined;
}

/** Whether its rows come one by one, and at more than the price of a copy. */
function isComputedByRows({ op, inputs, attrs }: Expr): boolean {
  return op.work !== 'move' && op.rowRule(inputs, attrs).kind === 'map';
}

/** Serves one plan: what it made is remembered. */
export class FileParts {
  readonly #maker: NodeMaker;
  readonly #frames = new Map<Expr, Expr | null>();
  /** Nodes over a part, by the part's leaf and the node. */
  readonly #made = new Map<Expr, Map<Expr, Expr>>();

  constructor(maker: NodeMaker) {
    this.#maker = maker;
  }

  /** A reduction or a row-wise result as its parts, in order; undefined where it can't be, or no later run could use them. */
  of(expr: Expr): readonly FilePart[] | undefined {
    if (!expr.readsFiles || !expr.isDeterministic) return undefined;
    const isSum = isFileSum(expr);
    if (!isSum && (!isComputedByRows(expr) || denseBytes(expr) > RESULT_BYTES)) return undefined;
    const frame = isSum ? this.#common(expr, 0) : this.#frameOf(expr, 0);
    const source = frame ? sourceOf(frame) : undefined;
    if (frame === undefined || source === undefined || source.isUndivided) return undefined;
    if (source.files.length < 2) return undefined;
    const groups = partFiles(source.files, isSum ? denseBytes(expr) : 0, RESULT_BYTES);
    if (groups.length < 2) return undefined;
    let from = 0;
    return groups.map((files) => {
      const leaf = frameLeaf(this.#maker, subSource(source, files), frame.cols);
      const part = { expr: this.#over(expr, leaf), from, to: from + leaf.rows };
      from = part.to;
      return part;
    });
  }

  /** The node, given the results over its parts. */
  merged(expr: Expr, results: readonly Expr[]): Expr {
    if (!isFileSum(expr)) return this.#maker.intern(ops.rbind, results);
    return mergeRows(expr, results, this.#maker);
  }

  /** The frame whose rows a value has, one by one; undefined when it has none, or depends on more than these rows. */
  #frameOf(expr: Expr, depth: number): Expr | undefined {
    const known = this.#frames.get(expr);
    if (known !== undefined) return known ?? undefined;
    if (depth > MAX_DEPTH) return undefined;
    const isMap = expr.op.rowRule(expr.inputs, expr.attrs).kind === 'map';
    let frame: Expr | undefined;
    if (expr.op.source === 'scan') frame = expr.inputs[0];
    else if (isMap) frame = this.#common(expr, depth + 1);
    this.#frames.set(expr, frame ?? null);
    return frame;
  }

  /** The one frame that all operands taken by rows are rows of; constant columns are as long as one likes. */
  #common(expr: Expr, depth: number): Expr | undefined {
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    if (!('blocked' in rule)) return undefined;
    const { blocked } = rule;
    if (expr.inputs.some((input, i) => !blocked[i] && input.readsFiles)) return undefined;
    let frame: Expr | undefined;
    for (const [i, input] of expr.inputs.entries()) {
      if (!blocked[i] || input.op.constant !== undefined) continue;
      const own = this.#frameOf(input, depth);
      if (own === undefined || (frame !== undefined && own !== frame)) return undefined;
      frame = own;
    }
    return frame;
  }

  /** The node over the rows of another leaf. */
  #over(expr: Expr, leaf: Expr): Expr {
    let made = this.#made.get(leaf);
    if (made === undefined) {
      made = new Map();
      this.#made.set(leaf, made);
    }
    return this.#substitute(expr, leaf, made);
  }

  #substitute(expr: Expr, leaf: Expr, made: Map<Expr, Expr>): Expr {
    const known = made.get(expr);
    if (known !== undefined) return known;
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    let part: Expr;
    if (expr.op.source === 'scan') part = this.#maker.intern(expr.op, [leaf], expr.attrs);
    else if (expr.op.constant !== undefined) {
      part = this.#maker.intern(expr.op, [], { ...expr.attrs, rows: leaf.rows });
    } else {
      const inputs = expr.inputs.map((input, i) =>
        'blocked' in rule && rule.blocked[i] ? this.#substitute(input, leaf, made) : input,
      );
      part = this.#maker.intern(expr.op, inputs, expr.attrs);
    }
    made.set(expr, part);
    return part;
  }
}
