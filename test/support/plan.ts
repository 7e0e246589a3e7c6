/**
 * What rule and API tests need: a session that only builds nodes and evaluates them by the
 * reference, plans as formulas over named leaves (`mmchain(X, v)`), and one rule run alone.
 */

import { evaluateByReference } from '../../driver/backend/reference-backend.js';
import type { Rule } from '../../driver/compiler/rule.js';
import { ruleTable, runRules } from '../../driver/compiler/run-rules.js';
import { simplify } from '../../driver/compiler/simplify.js';
import type { Evaluator } from '../../driver/ir/evaluator.js';
import { type Expr, topological } from '../../driver/ir/expr.js';
import { Interner } from '../../driver/ir/intern.js';
import { printExprs } from '../../driver/ir/print.js';
import { type DenseMatrix, dense, type Float64Matrix } from '../../driver/ir/value.js';
import { matrix } from '../../driver/matrix/create.js';
import type { Matrix, Scalar } from '../../driver/matrix/matrix.js';
import { ops } from '../../driver/operators/index.js';

export type Lazy = Matrix | Scalar;

/** The smallest evaluator: an interner, and values by the reference, one node at a time. */
export function referenceEvaluator(): Evaluator & { readonly interner: Interner } {
  const interner = new Interner();
  return {
    interner,
    intern: (op, inputs, attrs, payload) => interner.intern(op, inputs, attrs, payload),
    evaluate: async (exprs) => exprs.map((expr) => evaluateExpr(expr)),
    explain: (exprs) => printExprs(topological(simplify(exprs, interner))),
  };
}

/** The value of a node by the reference, nothing simplified. */
export function evaluateExpr(expr: Expr): DenseMatrix {
  const values = new Map<Expr, DenseMatrix>();
  for (const node of topological([expr])) {
    const inputs = node.inputs.map((input) => values.get(input)!);
    values.set(node, evaluateByReference(node, inputs));
  }
  return values.get(expr)!;
}

/** Distinct, irregular cells, so that a wrong rewrite shows. */
export function cells(rows: number, cols: number, seed = 1): Float64Matrix {
  const data = Float64Array.from({ length: rows * cols }, (_, i) =>
    Math.sin(seed * 7.3 + (i + seed) * (i + 0.7)),
  );
  return dense(rows, cols, data);
}

/** A matrix of `cells`. */
export function leaf(session: Evaluator, rows: number, cols: number, seed = 1): Matrix {
  return matrix(session, cells(rows, cols, seed));
}

/** `matmul{transposeA:true}(X, y)`; leaves by the names given, numbers as they are. */
export function formula(expr: Expr, names: Readonly<Record<string, Lazy>>): string {
  const nameOf = new Map(Object.entries(names).map(([name, lazy]) => [lazy.expr, name]));
  const text = (node: Expr): string => {
    const name = nameOf.get(node);
    if (name !== undefined) return name;
    if (node.op === ops.scalar) return String(node.attrs.value);
    const attrs = node.attrsText === '' ? '' : node.attrsText.replaceAll('"', '');
    return `${node.op.name}${attrs}(${node.inputs.map(text).join(', ')})`;
  };
  return text(expr);
}

/** Runs one rule alone, verified, on fresh memory; `others` are further roots of the plan. */
export function runAlone(rule: Rule, root: Lazy, ...others: readonly Lazy[]): Expr {
  const roots = [root, ...others].map((lazy) => lazy.expr);
  return runRules(roots, root.session, ruleTable([rule]), { verify: true })[0]!;
}

/** Runs one rule again on its own result. */
export function runAgain(rule: Rule, root: Lazy, expr: Expr): Expr {
  return runRules([expr], root.session, ruleTable([rule]), { verify: true })[0]!;
}
