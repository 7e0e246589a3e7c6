/**
 * What an operator's gradient rule is given: reverse mode, as an expression over the operator's own
 * operands, its result and the gradient of what was made from it. `driver/gradient` goes through
 * the nodes from the loss back and asks each operator.
 */
import type { Attrs } from './attrs.js';
import type { Expr, Meta, NodeMaker } from './expr.js';
import type { OpDef } from './op-def.js';

/** [from, to) of rows or columns; null for all of them. */
export type GradientRange = readonly [from: number, to: number] | null;

export interface GradientSite {
  readonly node: Expr;
  /** By operand, whether its gradient is asked for; others may be left out of the answer. */
  readonly isWanted: readonly boolean[];
  /** Derivative of the loss by each cell of the node, of the node's shape and dtype. */
  readonly upstream: Expr;
  /** The same with one row (column) where all are alike: for rules that broadcast it anyway. */
  readonly narrowUpstream: Expr;
  readonly maker: NodeMaker;
  /** A node; numbers become scalars of the node's dtype. */
  make(op: OpDef, operands: readonly (Expr | number)[], attrs?: Attrs): Expr;
  /** Repeated to that shape, where it has one row or column. */
  spread(expr: Expr, shape: Meta): Expr;
  /**
   * The gradient of an operand that was broadcast: sums over the cells each of its cells was
   * stretched to.
   * @param expr of shape `stretched`, or narrow
   * @param stretched default the node
   */
  unbroadcast(expr: Expr, shape: Meta, stretched?: Meta): Expr;
  /** These rows and columns. */
  part(expr: Expr, rows: GradientRange, cols: GradientRange): Expr;
  /** Each row added to the row of zeros it has the number of; those out of range are left out. */
  sumsByRow(expr: Expr, numbers: Expr, rows: number): Expr;
  /** These rows and columns of zeros of that shape; `part` the other way. */
  placed(expr: Expr, shape: Meta, rows: GradientRange, cols: GradientRange): Expr;
}

/**
 * By operand: the derivative of the loss by each of its cells, of the operand's shape or narrow (to
 * be broadcast to it); undefined where it is zero. All undefined (`noGradient`) for operators
 * that are constant almost everywhere. Undefined altogether where there is no rule for these
 * attributes.
 */
export type GradientRule = (site: GradientSite) => readonly (Expr | undefined)[] | undefined;

/** By operand, its part of the gradient of operands put together one behind the other. */
export function partsInOrder(
  { node, isWanted }: GradientSite,
  sizeOf: (operand: Expr) => number,
  part: (from: number, to: number) => Expr,
): (Expr | undefined)[] {
  let to = 0;
  return node.inputs.map((operand, i) => {
    const from = to;
    to += sizeOf(operand);
    return isWanted[i] ? part(from, to) : undefined;
  });
}

/** Of steps and of results that are numbers of rows, columns or classes. */
export const noGradient: GradientRule = () => [];
