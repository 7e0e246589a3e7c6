/**
 * How a value of each of K models stands in one matrix, and what an operator's rule is given to
 * make one node of K. A program is traced for one model; `driver/batch` goes through its nodes and
 * asks each operator. Source: vmap of JAX (Frostig, Johnson and Leary, SysML 2018), with two places
 * for the axis of models.
 */
import type { Expr, Meta, NodeMaker } from './expr.js';

/**
 * `shared`: one value for all. `columns`: each model's [r, c] beside the last's, [r, K c]. `stack`:
 * one under the other, [K r, c].
 */
export type BatchLayout = 'shared' | 'columns' | 'stack';

/** A value of every model. */
export interface BatchValue {
  readonly layout: BatchLayout;
  readonly expr: Expr;
}

/** With the shape it has for one model. */
export interface BatchOperand extends BatchValue, Meta {}

/**
 * Whether a value may be row blocks: rules leave it as columns, where each row is a row of all
 * models, and make what can't be said so model by model.
 */
export function isTall({ layout, rows }: BatchOperand): boolean {
  return layout === 'columns' && rows >= TALL_ROWS;
}

const TALL_ROWS = 4096;

export interface BatchSite {
  readonly models: number;
  /** The node for one model: its attributes, its shape, and what it is computed from. */
  readonly one: Expr;
  /** Its operands; at least one is not shared. */
  readonly operands: readonly BatchOperand[];
  readonly maker: NodeMaker;
  /** What another node below stands as. */
  valueOf(one: Expr): BatchOperand;
  /** The operand as columns, [r, K c]; a shared one is repeated. */
  columns(operand: BatchOperand): Expr;
  /** The operand as a stack, [K r, c]; a shared one is repeated. */
  stack(operand: BatchOperand): Expr;
  /** The transpose: columns are a stack of it, and a stack columns. */
  transposed(operand: BatchOperand): BatchOperand;
  /** Each run of `width` columns, `times` times side by side. */
  repeatCols(expr: Expr, width: number, times: number): Expr;
  /** Each run of `width` rows, `times` times one under the other. */
  repeatRows(expr: Expr, width: number, times: number): Expr;
  /** A node a model, of its part of each operand. */
  apart(layout: Exclude<BatchLayout, 'shared'>): BatchValue;
}

/** One node for all models; undefined where it has to be made model by model. */
export type BatchRule = (site: BatchSite) => BatchValue | undefined;
