/**
 * The simplify pass: static algebra and fused forms, one list of rules run to their fixpoint. What
 * it returns computes the same value with less work. Results are kept on the nodes, so a node
 * simplified before costs one look.
 */
import type { Expr, NodeMaker } from '../ir/expr.js';
import { env } from '../support/env.js';
import type { Rule } from './rule.js';
import { foldScalars } from './rules/fold-scalars.js';
import { foldTranspose } from './rules/fold-transpose.js';
import { fuseMmchain } from './rules/fuse-mmchain.js';
import { fuseSolveAddDiag } from './rules/fuse-solve-add-diag.js';
import { fuseTsmm } from './rules/fuse-tsmm.js';
import { mergeSlices } from './rules/merge-slices.js';
import { orderProducts } from './rules/order-products.js';
import { pushSliceIntoBind } from './rules/push-slice-into-bind.js';
import { removeDoubleNegation } from './rules/remove-double-negation.js';
import { removeDoubleTranspose } from './rules/remove-double-transpose.js';
import { removeIdentity } from './rules/remove-identity.js';
import { removeTransposeUnderAggregate } from './rules/remove-transpose-under-aggregate.js';
import { splitFiles } from './rules/split-files.js';
import { nodeMemo, ruleTable, runRules } from './run-rules.js';

/** In the order they are tried at a node. */
export const simplifyRules: readonly Rule[] = [
  // Down, both on products as written; the chain is opened before a part of it is fused.
  orderProducts,
  fuseMmchain,
  foldScalars,
  removeIdentity,
  removeDoubleNegation,
  removeDoubleTranspose,
  removeTransposeUnderAggregate,
  // Before the fusion, which looks for the flag and not for transpose nodes.
  foldTranspose,
  fuseTsmm,
  fuseSolveAddDiag,
  mergeSlices,
  // After slices are merged, so that one slice meets the bind.
  pushSliceIntoBind,
  // The only one that starts from moments and losses; what it makes is simplified in turn.
  splitFiles,
];

const table = ruleTable(simplifyRules);

/**
 * Equal, cheaper roots, in the same order.
 * @param trace called after each rule that changed the plan, with the roots as they then stood;
 *   asking for it starts from the expressions as written instead of from what is known of them
 * @throws InternalError naming the rule at fault
 */
export function simplify(
  roots: readonly Expr[],
  maker: NodeMaker,
  trace?: (rule: string, roots: readonly Expr[]) => void,
): Expr[] {
  const verify = env.verify() >= 1;
  return trace === undefined
    ? runRules(roots, maker, table, { memo: nodeMemo, verify })
    : runRules(roots, maker, table, { verify, onRule: trace });
}
