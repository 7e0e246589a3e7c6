/**
 * Results over the rows of many files as results over some of the files each: as they are (`of`),
 * which a pass over all files makes besides, or by what each part holds (`split`). Invariant: a
 * part's node is a function of its own files, and the merge of the parts, always in the order of
 * the rows, is the node.
 */

import type { SegmentPart } from '../backend/backend.js';
import { frameLeaf, sourceOf } from '../frame/frame-leaf.js';
import { cutFiles, partFiles, subSource } from '../frame/parts.js';
import { denseBytes, type Expr, type NodeMaker } from '../ir/expr.js';
import type { FrameFile, FrameSource } from '../ir/frame-engine.js';
import {
  mergeResults,
  type PartOperands,
  type RowsAlone,
  type RowsPart,
  rowOperandsOf,
} from '../ir/op-def.js';
import { ops } from '../operators/index.js';
import { summedRows } from './plan-rules/merge-parts.js';

/** A run of rows of a node's data: some files of a data set, and the node over these alone. */
export type FilePart = SegmentPart;

/** Limit for one node's results over all parts together, and for results by rows. @units bytes */
const RESULT_BYTES = 64 * 1024 * 1024;
/** Longer chains of operators above the data are not looked through. */
const MAX_DEPTH = 128;

/** Whether its rows come one by one, and at more than the price of a copy. */
function isComputedByRows({ op, inputs, attrs }: Expr): boolean {
  return op.work !== 'move' && op.rowRule(inputs, attrs).kind === 'map';
}

/** Some files of a frame. */
interface Part {
  readonly leaf: Expr;
  readonly from: number;
  readonly to: number;
  /** Nodes over these rows, by the node over all. */
  readonly made: Map<Expr, Expr>;
}

type OwnOperand = PartOperands['own'][number];
type KnownParts = Map<Expr, readonly RowsPart[]>;

/** What results over groups of files were divided into. */
const divided = new WeakMap<
  Expr,
  { readonly parts: readonly WeakRef<readonly RowsPart[]>[]; readonly merged: WeakRef<Expr> }
>();

/** Serves one plan: what it found is remembered. */
export class FileParts {
  readonly #maker: NodeMaker;
  readonly #frames = new Map<Expr, Expr | null>();

  constructor(maker: NodeMaker) {
    this.#maker = maker;
  }

  /**
   * A reduction or a row-wise result as its parts, in order; undefined where it can't be, or no
   * later run could use them: a result whose other operands are computed from files too is another
   * one as soon as a file is added.
   */
  of(expr: Expr): readonly FilePart[] | undefined {
    if (!expr.readsFiles || !expr.isDeterministic || readsWhole(expr)) return undefined;
    const isSum = summedRows(expr) !== undefined;
    if (!isSum && (!isComputedByRows(expr) || denseBytes(expr) > RESULT_BYTES)) return undefined;
    const frame = this.#common(rowOperandsOf(expr), 0);
    const source = dividedSource(frame);
    if (frame === undefined || source === undefined) return undefined;
    const groups = partFiles(source.files, isSum ? denseBytes(expr) : 0, RESULT_BYTES);
    if (groups.length < 2) return undefined;
    const parts = this.#parts(frame, source, groups).map((part) => {
      return { expr: this.#over(expr, part), from: part.from, to: part.to };
    });
    return parts.every((part): part is FilePart => part.expr !== undefined) ? parts : undefined;
  }

  /** The node, given the results over its parts. */
  merged(expr: Expr, results: readonly Expr[]): Expr {
    if (summedRows(expr) === undefined) return this.#maker.intern(ops.rbind, results);
    return mergeResults(expr.op.merge!, expr, results, this.#maker);
  }

  /** The node from its parts, each with its own columns and values; undefined if not known. */
  split(expr: Expr): Expr | undefined {
    const known: KnownParts = new Map();
    for (const input of rowOperandsOf(expr)) {
      const parts = input.op.parts?.(input);
      if (parts !== undefined) known.set(input, parts);
    }
    return this.#divide(expr, known, false);
  }

  /** @param known the parts of those operands that have any, all divided alike */
  #divide(expr: Expr, known: KnownParts, isClosed: boolean): Expr | undefined {
    const [cut] = known.values();
    if (cut === undefined || cut.length < 2) return undefined;
    const operands = rowOperandsOf(expr);
    const frame = this.#common(operands, 0);
    const source = frame && sourceOf(frame);
    if (frame === undefined || source === undefined) return undefined;
    const parts = this.#parts(frame, source, cutFiles(source.files, cut)).map((part, k) => {
      const { from, to } = part;
      const own = new Map(
        operands.map((input) => {
          return [input, this.#own(input, part, known.get(input)?.[k] ?? { from, to })];
        }),
      );
      const within: KnownParts = new Map();
      for (const [input, { [k]: one }] of known) {
        const over = own.get(input)?.expr;
        if (over !== undefined && one?.parts) within.set(over, one.parts);
      }
      return {
        isCut: [...own.values()].every((one) => one !== undefined),
        own: expr.inputs.map((input) => own.get(input)),
        rows: (at: number): Expr => this.#over(expr.inputs[at]!, part)!,
        divided: (result: Expr): Expr =>
          this.#dividedOnce(result, within, cut[k]!.isClosed === true),
      };
    });
    if (parts.some(({ isCut }) => !isCut)) return undefined;
    return expr.op.overParts!(expr, parts, this.#maker, isClosed);
  }

  /** As `#divide`, and as before for the same parts while the result is in use. */
  #dividedOnce(expr: Expr, known: KnownParts, isClosed: boolean): Expr {
    const parts = [...known.values()];
    const before = divided.get(expr);
    const isSame =
      before?.parts.length === parts.length &&
      parts.every((one, i) => before.parts[i]!.deref() === one);
    const merged = isSame ? before?.merged.deref() : undefined;
    if (merged !== undefined) return merged;
    const made = this.#divide(expr, known, isClosed);
    if (made === undefined) return expr;
    divided.set(expr, { parts: parts.map((one) => new WeakRef(one)), merged: new WeakRef(made) });
    return made;
  }

  #parts(frame: Expr, source: FrameSource, groups: readonly (readonly FrameFile[])[]): Part[] {
    let from = 0;
    return groups.map((files) => {
      const leaf = frameLeaf(this.#maker, subSource(source, files), frame.cols);
      const part = { leaf, from, to: from + leaf.rows, made: new Map<Expr, Expr>() };
      from = part.to;
      return part;
    });
  }

  /** The frame whose rows a value has; undefined for none, or if it depends on other rows too. */
  #frameOf(expr: Expr, depth: number): Expr | undefined {
    const known = this.#frames.get(expr);
    if (known !== undefined) return known ?? undefined;
    if (depth > MAX_DEPTH) return undefined;
    const { kind } = expr.op.rowRule(expr.inputs, expr.attrs);
    let frame: Expr | undefined;
    if (expr.op.source === 'scan') frame = expr.inputs[0];
    else if (kind === 'map' && !readsWhole(expr)) {
      frame = this.#common(rowOperandsOf(expr), depth + 1);
    }
    this.#frames.set(expr, frame ?? null);
    return frame;
  }

  /** The one frame that these operands are rows of; those that only count rows fit any frame. */
  #common(operands: readonly Expr[], depth: number): Expr | undefined {
    let frame: Expr | undefined;
    for (const input of operands) {
      if (input.inputs.length === 0 && input.op.rowsOf !== undefined) continue;
      const own = this.#frameOf(input, depth);
      if (own === undefined || (frame !== undefined && own !== frame)) return undefined;
      frame = own;
    }
    return frame;
  }

  /** The node over the rows of a part as all rows have them; undefined where a source can't say. */
  #over(expr: Expr, part: Part): Expr | undefined {
    const known = part.made.get(expr);
    if (known !== undefined) return known;
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    if (rule.blocked.length === 0) return this.#alone(expr, part)?.expr;
    const inputs: Expr[] = [];
    for (const [i, input] of expr.inputs.entries()) {
      const own = rule.blocked[i] ? this.#over(input, part) : input;
      if (own === undefined) return undefined;
      inputs.push(own);
    }
    const made = this.#maker.intern(expr.op, inputs, expr.attrs);
    part.made.set(expr, made);
    return made;
  }

  /** The same rows as the part has them by itself. */
  #own(expr: Expr, part: Part, own: RowsPart): OwnOperand {
    if (expr.op.rowsOf !== undefined) return this.#alone(expr, part, own);
    const over = this.#over(expr, part);
    return over && { expr: over, places: null };
  }

  #alone(source: Expr, { leaf, from, to }: Part, own?: RowsPart): OwnOperand {
    const alone: RowsAlone | undefined = source.op.rowsOf?.(source, from, to, own);
    if (alone === undefined) return undefined;
    const inputs = source.inputs.length === 0 ? [] : [leaf];
    return { expr: this.#maker.intern(source.op, inputs, alone.attrs), places: alone.places };
  }
}

/** Whether an operand that is not taken by rows is computed from files. */
function readsWhole(expr: Expr): boolean {
  const rule = expr.op.rowRule(expr.inputs, expr.attrs);
  if (rule.blocked.length === 0) return true;
  return expr.inputs.some((one, i) => !rule.blocked[i] && one.readsFiles);
}

/** The files of a frame where they may be taken by themselves. */
function dividedSource(frame: Expr | undefined): FrameSource | undefined {
  const source = frame && sourceOf(frame);
  return source === undefined || source.isUndivided || source.files.length < 2 ? undefined : source;
}
