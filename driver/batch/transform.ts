/**
 * The program of one model as a program of K models: each node becomes what its operator's `batch`
 * rule makes of it, over values that are shared, side by side or one under the other. Invariant:
 * model k's part of a value is what the node gives for the operands of model k, up to rounding. A
 * node without a rule is made model by model, and counted by its operator. Source: vmap of JAX.
 */
import type { BatchLayout, BatchOperand, BatchSite, BatchValue } from '../ir/batch-rule.js';
import { type Expr, type Meta, type NodeMaker, topological } from '../ir/expr.js';
import { ops } from '../operators/index.js';

export class Transform {
  readonly models: number;
  readonly maker: NodeMaker;
  /** Nodes made model by model, by operator. */
  readonly singly = new Map<string, number>();
  /** A model's own matrix is factorised: a singular one gives NaN. */
  factorises = false;
  readonly #values = new Map<Expr, BatchValue>();

  /** @param leaves what the placeholders of the traced program stand for */
  constructor(maker: NodeMaker, models: number, leaves: ReadonlyMap<Expr, BatchValue>) {
    this.maker = maker;
    this.models = models;
    this.#values = new Map(leaves);
  }

  /** What a traced node stands as. */
  valueOf(one: Expr): BatchOperand {
    for (const node of topological([one], (expr) => this.#values.has(expr))) {
      if (!this.#values.has(node)) this.#values.set(node, this.#made(node));
    }
    return operandOf(one, this.#values.get(one)!);
  }

  /** A value in another layout; a shared one is repeated. */
  as(layout: Exclude<BatchLayout, 'shared'>, operand: BatchOperand): Expr {
    return layout === 'columns' ? this.columns(operand) : this.stack(operand);
  }

  columns(operand: BatchOperand): Expr {
    const { layout, expr, rows, cols } = operand;
    if (layout === 'columns') return expr;
    if (layout === 'shared') return this.repeatCols(expr, cols, this.models);
    if (rows === 1) return this.#reshape(expr, 1, this.models * cols);
    if (cols === 1) return this.#transpose(this.#reshape(expr, this.models, rows));
    return this.#transpose(this.#restack(this.#transpose(expr)));
  }

  stack(operand: BatchOperand): Expr {
    const { layout, expr, rows, cols } = operand;
    if (layout === 'stack') return expr;
    if (layout === 'shared') return this.repeatRows(expr, rows, this.models);
    if (rows === 1) return this.#reshape(expr, this.models, cols);
    if (cols === 1) return this.#reshape(this.#transpose(expr), this.models * rows, 1);
    return this.#restack(expr);
  }

  transposed({ layout, expr, rows, cols }: BatchOperand): BatchOperand {
    const flipped = { shared: 'shared', columns: 'stack', stack: 'columns' } as const;
    const turned = this.#transpose(expr);
    return { layout: flipped[layout], expr: turned, rows: cols, cols: rows };
  }

  repeatCols(expr: Expr, width: number, times: number): Expr {
    return times === 1 ? expr : this.maker.intern(ops.repeatCols, [expr], { width, times });
  }

  repeatRows(expr: Expr, width: number, times: number): Expr {
    if (times === 1) return expr;
    return this.#transpose(this.repeatCols(this.#transpose(expr), width, times));
  }

  /** Model k's part of a value. */
  part({ layout, expr, rows, cols }: BatchOperand, k: number): Expr {
    if (layout === 'shared' || this.models === 1) return expr;
    const range = (size: number): readonly [number, number] => [k * size, (k + 1) * size];
    const attrs =
      layout === 'columns' ? { rows: null, cols: range(cols) } : { rows: range(rows), cols: null };
    return this.maker.intern(ops.slice, [expr], attrs);
  }

  #made(one: Expr): BatchValue {
    const { op, attrs, payload } = one;
    const operands = one.inputs.map((input) => operandOf(input, this.#values.get(input)!));
    if (operands.every(({ layout }) => layout === 'shared')) {
      const inputs = operands.map(({ expr }) => expr);
      return { layout: 'shared', expr: this.maker.intern(op, inputs, attrs, payload) };
    }
    this.factorises ||= op.work === 'factorise';
    const made = op.batch?.(this.#site(one, operands));
    if (made !== undefined) return made;
    this.singly.set(op.name, (this.singly.get(op.name) ?? 0) + 1);
    return this.#apart(one, operands, 'columns');
  }

  #site(one: Expr, operands: readonly BatchOperand[]): BatchSite {
    return {
      models: this.models,
      one,
      operands,
      maker: this.maker,
      valueOf: (other) => operandOf(other, this.#values.get(other)!),
      columns: (operand) => this.columns(operand),
      stack: (operand) => this.stack(operand),
      transposed: (operand) => this.transposed(operand),
      repeatCols: (expr, width, times) => this.repeatCols(expr, width, times),
      repeatRows: (expr, width, times) => this.repeatRows(expr, width, times),
      apart: (layout) => this.#apart(one, operands, layout),
    };
  }

  /** The node of each model, bound. */
  #apart(
    { op, attrs }: Expr,
    operands: readonly BatchOperand[],
    layout: Exclude<BatchLayout, 'shared'>,
  ): BatchValue {
    const made = Array.from({ length: this.models }, (_, k) => {
      const parts = operands.map((operand) => this.part(operand, k));
      return this.maker.intern(op, parts, attrs);
    });
    return { layout, expr: boundModels(this.maker, layout, made) };
  }

  #transpose(expr: Expr): Expr {
    return this.maker.intern(ops.transpose, [expr]);
  }

  #reshape(expr: Expr, rows: number, cols: number): Expr {
    if (expr.rows === rows && expr.cols === cols) return expr;
    return this.maker.intern(ops.reshape, [expr], { rows, cols });
  }

  #restack(expr: Expr): Expr {
    return this.models === 1
      ? expr
      : this.maker.intern(ops.restack, [expr], { parts: this.models });
  }
}

/** The values of models as one. */
export function boundModels(maker: NodeMaker, layout: BatchLayout, parts: readonly Expr[]): Expr {
  if (parts.length === 1) return parts[0]!;
  return maker.intern(layout === 'columns' ? ops.cbind : ops.rbind, parts);
}

function operandOf({ rows, cols }: Meta, { layout, expr }: BatchValue): BatchOperand {
  return { layout, expr, rows, cols };
}
