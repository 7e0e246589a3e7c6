/**
 * Operands seen as parts: the operands of nested `rbind`s or `cbind`s in order, and whether several
 * operands are cut at the same places. Invariant: binding the parts of a node again gives an equal
 * matrix.
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import type { PlanContext, Proposal } from '../plan-rule.js';

export type Axis = 'rows' | 'cols';

/** More parts than this are not looked at one by one. */
const MAX_PARTS = 4096;

/** Of more parts the first few together are not asked for. */
export const MAX_PREFIXES = 64;

/** The parts of a nest of binds, left to right; the node itself when it is no bind. */
export function partsOf(expr: Expr, axis: Axis): readonly Expr[] {
  const bind = axis === 'rows' ? ops.rbind : ops.cbind;
  if (expr.op !== bind) return [expr];
  const parts: Expr[] = [];
  const stack: Expr[] = [expr];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (node.op !== bind) parts.push(node);
    else for (let i = node.inputs.length - 1; i >= 0; i--) stack.push(node.inputs[i]!);
  }
  return parts;
}

/** The bind of these nodes; the node itself when there is one. */
export function bound(parts: readonly Expr[], axis: Axis, context: PlanContext): Expr {
  const bind = axis === 'rows' ? ops.rbind : ops.cbind;
  return parts.length === 1 ? parts[0]! : context.intern(bind, parts);
}

/** The first part of an operand: what a sibling over parts is found under. */
export function firstPart(expr: Expr, axis: Axis): Expr {
  const bind = axis === 'rows' ? ops.rbind : ops.cbind;
  let node = expr;
  while (node.op === bind) node = node.inputs[0]!;
  return node;
}

/** The operands of the node restricted to part p, for each p: `[p][operand]`; operands not split stay whole. */
function alignedParts(
  expr: Expr,
  split: readonly boolean[],
  axis: Axis,
): readonly (readonly Expr[])[] | undefined {
  const cuts = expr.inputs.map((input, i) => (split[i] ? partsOf(input, axis) : undefined));
  const first = cuts.find((parts) => parts !== undefined);
  if (first === undefined || first.length > MAX_PARTS) return undefined;
  for (const parts of cuts) {
    if (parts === undefined) continue;
    if (parts.length !== first.length) return undefined;
    if (parts.some((part, p) => part[axis] !== first[p]![axis])) return undefined;
  }
  return first.map((_, p) => expr.inputs.map((input, i) => cuts[i]?.[p] ?? input));
}

interface Run {
  readonly from: number;
  readonly to: number;
  readonly cached: Expr;
}

/**
 * Answers a node whose operands are bound of parts from cached results over runs of parts: each run
 * that is cached is taken, each gap between is computed at once, and `join` puts them together in
 * order.
 * @param split the operands cut along `axis`; the others are the same for every part
 */
export function fromParts(
  expr: Expr,
  split: readonly boolean[],
  axis: Axis,
  join: (results: readonly Expr[], context: PlanContext) => Expr,
  context: PlanContext,
): Proposal | undefined {
  const parts = alignedParts(expr, split, axis);
  if (parts === undefined || parts.length < 2) return undefined;
  const over = (from: number, to: number): Expr =>
    context.intern(
      expr.op,
      expr.inputs.map((input, i) =>
        split[i]
          ? bound(
              parts.slice(from, to).map((operands) => operands[i]!),
              axis,
              context,
            )
          : input,
      ),
      expr.attrs,
    );
  const uses: Expr[] = [];
  const results: Expr[] = [];
  let gap = 0;
  let p = 0;
  while (p < parts.length) {
    const run = longestRun(expr, split, axis, parts, p, over, context);
    if (run === undefined) {
      p++;
      continue;
    }
    if (gap < p) results.push(over(gap, p));
    results.push(run.cached);
    uses.push(run.cached);
    p = run.to;
    gap = p;
  }
  if (uses.length === 0) return undefined;
  if (gap < parts.length) results.push(over(gap, parts.length));
  return { expr: join(results, context), uses };
}

/** The longest cached run of parts that starts at `from`. */
function longestRun(
  expr: Expr,
  split: readonly boolean[],
  axis: Axis,
  parts: readonly (readonly Expr[])[],
  from: number,
  over: (from: number, to: number) => Expr,
  context: PlanContext,
): Run | undefined {
  let best: Run | undefined;
  const key = parts[from]![split.indexOf(true)]!;
  for (const sibling of context.siblings(expr.op, key)) {
    if (sibling.attrsText !== expr.attrsText || sibling.inputs.length !== split.length) continue;
    const own = alignedParts(sibling, split, axis);
    if (own === undefined || own.length <= (best === undefined ? 0 : best.to - from)) continue;
    if (from + own.length > parts.length || own.length === parts.length) continue;
    const fits = own.every((operands, p) =>
      operands.every((operand, i) => operand === parts[from + p]![i]),
    );
    if (fits) best = { from, to: from + own.length, cached: sibling };
  }
  if (best !== undefined) return best;
  // What no index knows (the durable store, operators too cheap to index): the first parts bound,
  // and single parts.
  const longest = from > 0 ? from + 1 : parts.length > MAX_PREFIXES ? 1 : parts.length - 1;
  for (let to = longest; to > from; to--) {
    const candidate = over(from, to);
    if (context.isCached(candidate)) return { from, to, cached: candidate };
  }
  return undefined;
}
