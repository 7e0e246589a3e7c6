/**
 * Results that stand side by side, from cached results over other ranges: where row i of the result
 * needs row i only of some operands, f(rbind(A, B)) = rbind(f(A), f(B)), and so for columns and for
 * any ranges, wider or narrower than what is asked for: a range within a cached result is a copy.
 * Element-wise operators along both axes, aggregates along the other, and products along three:
 *   rbind(A, B) %*% Y = rbind(A %*% Y, B %*% Y),  X %*% cbind(Y, Z) = cbind(X %*% Y, X %*% Z),
 *   t(cbind(A, B)) %*% Y = rbind(t(A) %*% Y, t(B) %*% Y).
 * So rows that come in, features added, taken away or reordered, and models beside others cost
 * themselves. A column of ones gives the row sums.
 */
import type { Expr } from '../../ir/expr.js';
import type { OpDef } from '../../ir/op-def.js';
import { ops } from '../../operators/index.js';
import type { PlanContext, PlanRule, Proposal } from '../plan-rule.js';
import { isOnes } from './columns.js';
import { type Cut, type CutPlace, widestCut } from './cut.js';
import {
  bindSegments,
  covered,
  covering,
  type PartRange,
  piecesOf,
  type RangePiece,
} from './ranges.js';

/** Operators that do more than move cells, element by element or worth an index. */
export const splitOps = Object.values<OpDef>(ops).filter(
  ({ work, elementwise, findBy }) => work !== 'move' && (elementwise || findBy !== undefined),
);

/** More parts of a gap are bound: a call each would cost more than the copy. */
const MAX_OPERANDS = 12;

export const bindParts: PlanRule = {
  name: 'bind-parts',
  ops: splitOps,
  algebra:
    'f(rbind(A, B)) -> rbind([f(A)], f(B)); X %*% cbind(Y, Z) -> cbind([X %*% Y], X %*% Z); f(X[a:b,]) -> [f(X)][a:b,]',
  apply: (expr, context) => {
    const best = widestCut(
      expr,
      context,
      ({ into }) => into !== undefined,
      (cut) => covering(cut.places(), cut.length),
    );
    return best && boundResult(best.cut, best.chosen, context);
  },
};

function boundResult(cut: Cut, chosen: readonly CutPlace[], context: PlanContext): Proposal {
  const uses = new Set<Expr>();
  const pieces = piecesOf(chosen, cut.length);
  const gaps = pieces.filter(({ span }) => span === undefined);
  const isAtOnce = gaps.length > 0 && isReadMost(cut, gaps);
  const fresh = isAtOnce ? computed(cut, gaps, uses, context) : undefined;
  let done = 0;
  const results = pieces.flatMap((piece): PartRange[] => {
    const { from, to, span } = piece;
    const width = to - from;
    if (span !== undefined) {
      uses.add(span.source);
      return [{ part: span.source, from: span.at, to: span.at + width }];
    }
    if (fresh !== undefined) {
      done += width;
      return [{ part: fresh, from: done - width, to: done }];
    }
    return rangesOf(cut, piece).map((range) => {
      const part = computed(cut, [range], uses, context);
      return { part, from: 0, to: range.to - range.from };
    });
  });
  return { expr: bindSegments(results, cut.split.into!, context), uses: [...uses] };
}

/** What of a gap is computed at once. Operands of products are not bound, which would copy them. */
function rangesOf(cut: Cut, gap: RangePiece<CutPlace>): readonly RangePiece<CutPlace>[] {
  if (cut.expr.op.work !== 'product') return [gap];
  const parts = cut.byParts(gap).map((range) => ({ ...range, span: undefined }));
  return parts.length > MAX_OPERANDS ? [gap] : parts;
}

/** Whether the uncut operands are larger than what the others miss; then all gaps share a read. */
function isReadMost({ expr, split, length }: Cut, gaps: readonly RangePiece<CutPlace>[]): boolean {
  const cells = (isCut: boolean): number =>
    expr.inputs.reduce(
      (sum, { rows, cols }, i) => (split.cut[i] === isCut ? sum + rows * cols : sum),
      0,
    );
  return cells(false) > cells(true) * (covered(gaps) / length);
}

/** The operator over what is nowhere; a product with a column of ones becomes cached row sums. */
function computed(
  cut: Cut,
  ranges: readonly { readonly from: number; readonly to: number }[],
  uses: Set<Expr>,
  context: PlanContext,
): Expr {
  const node = cut.over(...ranges);
  const [left, right] = node.inputs;
  if (node.op !== ops.matmul || node.attrs.transposeA === true || !isOnes(right!)) return node;
  const sums = context.intern(ops.rowSums, [left!]);
  if (!context.isCached(sums)) return node;
  uses.add(sums);
  return sums;
}
