/**
 * A %*% B %*% C .. -> the same product in the order of fewest flops, by dynamic programming over
 * split points (Godbole, IEEE Trans. Computers C-22, 1973). Inner products that something else
 * needs stay whole: they are computed anyway. Results differ from the written order by rounding
 * only.
 */
import { noAttrs } from '../../ir/attrs.js';
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import type { Rule, RuleContext } from '../rule.js';

/** Longer chains are ordered in runs of this length; the table is cubic in it. */
const MAX_CHAIN = 32;

export const orderProducts: Rule = {
  name: 'order-products',
  direction: 'down',
  ops: [ops.matmul],
  algebra: '(A %*% B) %*% C -> A %*% (B %*% C) where that takes fewer flops',
  apply: (expr, context) => {
    const inner = isPlainProduct(expr) && expr.inputs.some(isPlainProduct);
    if (!inner) return undefined;
    const chain = { operands: [] as Expr[], flops: 0, left: MAX_CHAIN - 1 };
    collect(expr, context, chain, true);
    if (chain.operands.length < 3) return undefined;
    const best = bestOrder(chain.operands);
    return best.flops < chain.flops ? best.build(context) : undefined;
  },
};

function isPlainProduct(expr: Expr): boolean {
  return expr.op === ops.matmul && !expr.attrs.transposeA && !expr.attrs.transposeB;
}

interface Chain {
  readonly operands: Expr[];
  /** Of the written order. */
  flops: number;
  /** Products that may still be opened. */
  left: number;
}

/** Operands left to right. Recursion is bounded by `MAX_CHAIN`. */
function collect(expr: Expr, context: RuleContext, chain: Chain, isTop: boolean): void {
  const opens = isPlainProduct(expr) && chain.left > 0 && (isTop || !context.isShared(expr));
  if (!opens) {
    chain.operands.push(expr);
    return;
  }
  chain.left--;
  chain.flops += ops.matmul.flops(expr.inputs, noAttrs, expr);
  for (const input of expr.inputs) collect(input, context, chain, false);
}

interface Order {
  readonly flops: number;
  readonly build: (context: RuleContext) => Expr;
}

/** cost[i][j] = min over k of cost[i][k] + cost[k+1][j] + 2 * rows(i) * cols(k) * cols(j). */
function bestOrder(operands: readonly Expr[]): Order {
  const n = operands.length;
  const cost = Array.from({ length: n }, () => new Float64Array(n));
  const split = Array.from({ length: n }, () => new Int32Array(n));
  for (let span = 1; span < n; span++) {
    for (let i = 0; i + span < n; i++) {
      const j = i + span;
      let best = Number.POSITIVE_INFINITY;
      for (let k = i; k < j; k++) {
        const join = 2 * operands[i]!.rows * operands[k]!.cols * operands[j]!.cols;
        const total = cost[i]![k]! + cost[k + 1]![j]! + join;
        if (total < best) {
          best = total;
          split[i]![j] = k;
        }
      }
      cost[i]![j] = best;
    }
  }
  const build = (context: RuleContext, i: number, j: number): Expr => {
    if (i === j) return operands[i]!;
    const k = split[i]![j]!;
    return context.intern(ops.matmul, [build(context, i, k), build(context, k + 1, j)]);
  };
  return { flops: cost[0]![n - 1]!, build: (context) => build(context, 0, n - 1) };
}
