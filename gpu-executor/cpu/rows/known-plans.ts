/**
 * Plans of passes by what they follow from: operators, shapes, and what reads what. A network over
 * other rows, or the next turn of a loop, is planned, and sent to threads, once. Invariant: passes
 * with equal keys have equal programs, so no value is part of one.
 */
import { canonicalAttrs } from '../../../driver/ir/attrs.js';
import type { Expr } from '../../../driver/ir/expr.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import type { StreamPass } from '../stream-pass.js';
import type { RowPlan } from './row-program.js';

type OperandFreePlan = Omit<RowPlan, 'operands'>;

const MAX_PLANS = 256;
const plans = new Map<string, OperandFreePlan>();

/** What a pass reads from outside; what is taken both by rows and whole is two operands. */
export class PassOperands {
  readonly exprs: Expr[] = [];
  readonly byRows: boolean[] = [];
  readonly #whole = new Map<Expr, number>();
  readonly #rows = new Map<Expr, number>();

  constructor({ nodes, sinks }: StreamPass) {
    const inside = new Set(nodes);
    for (const { op, inputs, attrs } of [...nodes, ...sinks]) {
      const rule = op.rowRule(inputs, attrs);
      for (const [i, input] of inputs.entries()) {
        const byRows = rule.blocked[i] === true;
        if (inside.has(input) || this.numberOf(input, byRows) !== undefined) continue;
        (byRows ? this.#rows : this.#whole).set(input, this.exprs.push(input) - 1);
        this.byRows.push(byRows);
      }
    }
  }

  /** Undefined for a node of the pass. */
  numberOf(input: Expr, byRows: boolean): number | undefined {
    return (byRows ? this.#rows : this.#whole).get(input);
  }
}

/** @param provided nodes that another library's kernels run */
export function knownPlan(
  pass: StreamPass,
  provided: ReadonlySet<Expr>,
  make: (operands: PassOperands) => OperandFreePlan,
): RowPlan {
  const operands = new PassOperands(pass);
  const key = keyOf(pass, operands, provided);
  let plan = key === undefined ? undefined : plans.get(key);
  if (plan === undefined) {
    plan = make(operands);
    if (key !== undefined) {
      plans.set(key, plan);
      forgetOldest(plans, MAX_PLANS);
    }
  }
  return { ...plan, operands: operands.exprs };
}

/** Undefined where the plan follows from how values are held: compressed and coded rows. */
function keyOf(
  pass: StreamPass,
  { exprs, byRows }: PassOperands,
  provided: ReadonlySet<Expr>,
): string | undefined {
  const { nodes, sinks, kept, values } = pass;
  const numbers = new Map<Expr, string>();
  let key = `${pass.rows}`;
  for (const [i, expr] of exprs.entries()) {
    const value = values.get(expr);
    if (value === undefined || value.sparse !== undefined) return undefined;
    // An operand taken both ways has the numbers of both.
    numbers.set(expr, `${numbers.get(expr) ?? ''}o${i}`);
    key += `${byRows[i] ? '|' : '-'}${expr.rows}x${expr.cols}${expr.dtype}`;
  }
  const all = [...nodes, ...sinks];
  for (const [i, expr] of all.entries()) {
    const { op, attrs, inputs, payload, rows, cols, dtype } = expr;
    if (payload !== undefined) return undefined;
    key += `\n${op.id}${canonicalAttrs(attrs)}${rows}x${cols}${dtype}${provided.has(expr)}`;
    for (const input of inputs) key += `,${numbers.get(input)}`;
    if (i < nodes.length) numbers.set(expr, `n${i}`);
  }
  return `${key}\n${nodes.length},${kept.map((expr) => numbers.get(expr)).join()}`;
}
