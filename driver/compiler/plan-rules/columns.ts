/**
 * Columns told apart beyond binds and slices (encoded features, columns of products, of rows of
 * binds), and results over the columns of one cached result bordered by those that are new. The
 * segments here are as those of `ranges.ts`, along the columns.
 */
import type { AttrValue } from '../../ir/attrs.js';
import type { Expr, NodeMaker } from '../../ir/expr.js';
import type { OpDef } from '../../ir/op-def.js';
import { ops } from '../../operators/index.js';
import { rangeOf } from '../../operators/slice.js';
import type { PlanContext } from '../plan-rule.js';
import { boundBelow, MAX_KEYS, partKey } from './find-by.js';
import {
  bound,
  covered,
  covering,
  cutSegments,
  joined,
  type PartRange,
  partsOf,
  piecesOf,
  type RangePiece,
  rangeAlong,
  type Span,
  segmentsOf,
  sharedSpans,
  wholeOf,
} from './ranges.js';

/** More operands than this are bound: a call each would cost more than the copy. */
const MAX_OPERANDS = 12;

/** As `segmentsOf`, where a bind that is cached is a part itself. */
export function heldSegments(expr: Expr, context: PlanContext): PartRange[] {
  const segments: PartRange[] = [];
  const stack: Expr[] = [expr];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (node.op !== ops.cbind) segments.push(...segmentsOf(node, 'cols', context));
    else if (context.isCached(node)) segments.push(wholeOf(node, 'cols'));
    else for (let i = node.inputs.length - 1; i >= 0; i--) stack.push(node.inputs[i]!);
  }
  return segments.length > MAX_OPERANDS ? [wholeOf(expr, 'cols')] : segments;
}

/** Columns [from, to) of an operand. */
interface Operand {
  readonly operand: Expr;
  readonly from: number;
  readonly to: number;
}

/** Operands for these columns: whole parts where most columns are wanted, else copied columns. */
export function columnOperands(segments: readonly PartRange[], maker: NodeMaker): Operand[] {
  const used = new Map<Expr, number>();
  for (const { part, from, to } of segments) used.set(part, (used.get(part) ?? 0) + to - from);
  return joined(segments).map(({ part, from, to }) => {
    if (2 * used.get(part)! >= part.cols) return { operand: part, from, to };
    return { operand: rangeAlong(part, 'cols', from, to, maker), from: 0, to: to - from };
  });
}

/** cbind(A, B)[a:b,] as cbind(A[a:b,], B[a:b,]), whose columns are apart; others unchanged. */
export function spreadRows(expr: Expr, maker: NodeMaker): Expr {
  const base = boundBelow(expr);
  if (base === undefined) return expr;
  const [from, to] = rangeOf(expr.attrs, 'rows', base.rows);
  const parts = partsOf(base, 'cols').map((part) => rangeAlong(part, 'rows', from, to, maker));
  return bound(parts, 'cols', maker);
}

/** As `segmentsOf`, with a frame's encoding taken as the encodings of its features side by side. */
export function featureSegments(expr: Expr, maker: NodeMaker): PartRange[] {
  return segmentsOf(expr, 'cols', maker).flatMap((segment) => {
    const { part } = segment;
    if (part.op !== ops.encode) return [segment];
    const features = part.attrs.features as readonly AttrValue[];
    if (features.length === 1) return [segment];
    const single = features.map((feature) => {
      const attrs = { ...part.attrs, features: [feature] };
      return wholeOf(maker.intern(ops.encode, part.inputs, attrs), 'cols');
    });
    return cutSegments(single, segment.from, segment.to);
  });
}

/**
 * As `segmentsOf`, where columns of A %*% B[,a:b] are columns of A %*% B: a name to find them by;
 * the product itself is never asked for.
 */
export function productSegments(expr: Expr, maker: NodeMaker): PartRange[] {
  const segments = segmentsOf(expr, 'cols', maker);
  if (segments.every(({ part }) => part.op !== ops.matmul)) return segments;
  return segments.flatMap((segment) => {
    const { part } = segment;
    if (part.op !== ops.matmul || part.attrsText.includes('true')) return [segment];
    const [left, right] = part.inputs as [Expr, Expr];
    const named = segmentsOf(right, 'cols', maker).map(({ part: base, from, to }) => ({
      part: maker.intern(ops.matmul, [left, base], part.attrs),
      from,
      to,
    }));
    return cutSegments(named, segment.from, segment.to);
  });
}

/** Whether a product with it is a sum: one column, all ones. */
export function isOnes(expr: Expr): boolean {
  return expr.cols === 1 && expr.op.constant?.(expr.attrs) === 1;
}

export interface ColumnCover {
  readonly source: Expr;
  readonly pieces: readonly RangePiece<Span>[];
  /** Columns wanted that are columns of the source's operands. */
  readonly columns: number;
}

/**
 * The cached result over most of the columns wanted.
 * @param columnsOf the columns of a cached result's operands; undefined where it won't do
 */
export function mostCovered(
  op: OpDef,
  wanted: readonly PartRange[],
  columnsOf: (sibling: Expr) => readonly PartRange[] | undefined,
  maxPieces: number,
  context: PlanContext,
): ColumnCover | undefined {
  const width = covered(wanted);
  const keys = new Set(wanted.slice(0, MAX_KEYS).map(({ part }) => partKey(part, 'cols')));
  let best: ColumnCover | undefined;
  for (const source of new Set([...keys].flatMap((key) => context.siblings(op, key)))) {
    const chosen = covering(sharedSpans(wanted, columnsOf(source) ?? []), width);
    const columns = covered(chosen);
    const pieces = piecesOf(chosen, width);
    if (pieces.length > maxPieces || columns <= (best?.columns ?? 0)) continue;
    best = { source, pieces, columns };
  }
  return best;
}

/** Columns of a block: of the cached one from `at`, or new, from `at` among the new columns. */
export interface ColumnRun {
  readonly isCached: boolean;
  readonly at: number;
  /** Row of the products of kept with new columns; as `at` for new ones. */
  readonly crossAt: number;
  readonly width: number;
}

export interface Border {
  readonly runs: readonly ColumnRun[];
  readonly kept: readonly PartRange[];
  readonly fresh: readonly PartRange[];
}

/**
 * The pieces as runs of a block, and the columns that are kept and new.
 * @param lead columns of every block before those of the operands
 */
export function borderOf(
  pieces: readonly RangePiece<Span>[],
  operands: readonly Expr[],
  lead: number,
  context: PlanContext,
): Border {
  const bases = operands.flatMap((operand) => segmentsOf(operand, 'cols', context));
  const held = operands.flatMap((operand) => heldSegments(operand, context));
  const fresh: PartRange[] = [];
  const kept: PartRange[] = [];
  const runs: ColumnRun[] = lead > 0 ? [{ isCached: true, at: 0, crossAt: 0, width: lead }] : [];
  let [next, crossed] = [0, lead];
  for (const { from, to, span } of pieces) {
    const width = to - from;
    const isCached = span !== undefined;
    const at = isCached ? span.at + lead : next;
    const crossAt = isCached ? crossed : next;
    if (isCached) {
      kept.push(...cutSegments(held, from, to));
      crossed += width;
    } else {
      fresh.push(...cutSegments(bases, from, to));
      next += width;
    }
    const last = runs.at(-1);
    const isNext =
      last?.isCached === isCached &&
      last.at + last.width === at &&
      last.crossAt + last.width === crossAt;
    if (isNext) runs[runs.length - 1] = { ...last, width: last.width + width };
    else runs.push({ isCached, at, crossAt, width });
  }
  return { runs, kept, fresh };
}

/** The rows of a block, to be bound one under another. */
export function blockRows(
  runs: readonly ColumnRun[],
  cell: (row: ColumnRun, col: ColumnRun) => Expr,
  maker: NodeMaker,
): Expr[] {
  return runs.map((row) =>
    bound(
      runs.map((col) => cell(row, col)),
      'cols',
      maker,
    ),
  );
}
