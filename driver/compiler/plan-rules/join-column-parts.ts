/**
 * Results over columns from results over other columns: element-wise operators and column
 * aggregates stand side by side, so columns may be added, taken away, reordered or a range; row and
 * full aggregates merge, so columns may be added. colSums(cbind(A, B)) = cbind(colSums(A),
 * colSums(B)), and rowSums(cbind(A, B)) = rowSums(A) + rowSums(B).
 */
import type { Expr } from '../../ir/expr.js';
import type { OpDef } from '../../ir/op-def.js';
import { ops } from '../../operators/index.js';
import type { PlanContext, PlanRule, Proposal } from '../plan-rule.js';
import {
  addPlaces,
  bindSegments,
  columnKey,
  columnSegments,
  cover,
  joinColumns,
  type Places,
  type Segment,
} from './columns.js';
import { bound, fromParts, partsOf } from './parts.js';

/** Parts whose cached results are asked for. */
const MAX_LOOKUPS = 64;

const mergeOf = new Map<OpDef, OpDef>([
  [ops.rowSums, ops.add],
  [ops.rowSumSqs, ops.add],
  [ops.sum, ops.add],
  [ops.sumSq, ops.add],
  [ops.rowMins, ops.minimum],
  [ops.min, ops.minimum],
  [ops.rowMaxs, ops.maximum],
  [ops.max, ops.maximum],
]);
const sideBySide: readonly OpDef[] = [
  ...Object.values<OpDef>(ops).filter((op) => op.elementwise),
  ops.colSums,
  ops.colSumSqs,
  ops.colMins,
  ops.colMaxs,
];

export const joinColumnParts: PlanRule = {
  name: 'join-column-parts',
  ops: [...mergeOf.keys(), ...sideBySide],
  algebra:
    'f(cbind(A, B)) -> cbind([f(A)], f(B)); f(X[,a:b]) -> [f(X)][,a:b]; rowSums(cbind(A, B)) -> [rowSums(A)] + rowSums(B)',
  apply: (expr, context) => {
    if (!expr.inputs.some(isCut)) return undefined;
    const merge = mergeOf.get(expr.op);
    // Operands with one column are stretched over all parts.
    const split = expr.inputs.map((input) => input.cols > 1);
    if (merge === undefined && split.indexOf(true) === split.lastIndexOf(true)) {
      return fromColumns(expr, split.indexOf(true), context);
    }
    const join = (results: readonly Expr[], own: PlanContext): Expr =>
      merge === undefined
        ? bound(results, 'cols', own)
        : results.reduce((total, one) => own.intern(merge, [total, one]));
    return fromParts(expr, split, 'cols', join, context);
  },
};

function isCut(expr: Expr): boolean {
  return expr.op === ops.cbind || (expr.op === ops.slice && (expr.attrs.cols ?? null) !== null);
}

/** Columns of cached results in any order, wider or narrower; neighbours that are nowhere are computed at once. */
function fromColumns(expr: Expr, operand: number, context: PlanContext): Proposal | undefined {
  const over = (x: Expr): Expr =>
    context.intern(
      expr.op,
      expr.inputs.map((input, i) => (i === operand ? x : input)),
      expr.attrs,
    );
  const wanted = columnSegments(expr.inputs[operand]!);
  const places: Places = new Map();
  for (const source of cachedOver(expr, operand, wanted, over, context)) {
    addPlaces(places, columnSegments(source.inputs[operand]!), source);
  }
  if (places.size === 0) return undefined;
  const pieces = cover(wanted, places);
  const uses = new Set(pieces.flatMap(({ source }) => source ?? []));
  if (uses.size === 0) return undefined;
  const joined: { source: Expr; at: number; width: number }[] = [];
  for (let i = 0; i < pieces.length; ) {
    const { source, at, from, to } = pieces[i]!;
    if (source !== undefined) {
      joined.push({ source, at, width: to - from });
      i++;
      continue;
    }
    const gap: Segment[] = [];
    for (; i < pieces.length && pieces[i]!.source === undefined; i++) gap.push(pieces[i]!);
    const fresh = over(bindSegments(gap, context));
    joined.push({ source: fresh, at: 0, width: fresh.cols });
  }
  return { expr: joinColumns(joined, context), uses: [...uses] };
}

/** Cached results of the operator over some of these columns, the widest last asked for first. */
function cachedOver(
  expr: Expr,
  operand: number,
  wanted: readonly Segment[],
  over: (x: Expr) => Expr,
  context: PlanContext,
): Set<Expr> {
  const found = new Set<Expr>();
  const parts = new Set(wanted.slice(0, MAX_LOOKUPS).map(({ part }) => part));
  for (const key of new Set([...parts].map(columnKey))) {
    for (const sibling of context.siblings(expr.op, key)) {
      const fits = sibling.inputs.every((input, i) => i === operand || input === expr.inputs[i]);
      if (fits && sibling !== expr && sibling.attrsText === expr.attrsText) found.add(sibling);
    }
  }
  // What no index knows: results over whole parts, and over the first of the parts bound.
  const bounds = partsOf(expr.inputs[operand]!, 'cols').slice(0, MAX_LOOKUPS);
  const asked = new Set(parts);
  for (let end = bounds.length - 1; end > 0; end--) {
    asked.add(bound(bounds.slice(0, end), 'cols', context));
  }
  for (const part of bounds) asked.add(part);
  for (const x of asked) {
    const source = over(x);
    if (source !== expr && context.isCached(source)) found.add(source);
  }
  return found;
}
