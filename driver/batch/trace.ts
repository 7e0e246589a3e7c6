/**
 * The program of one model, written down: matrices of a `Trace` are ordinary ones over nodes of its
 * own, whose leaves stand for the arguments of any model. Invariant: nothing of it has a value, so a
 * program that asks for one is refused; and matrices from outside can't get in unseen, since they
 * are of another session.
 */
import { PlanError } from '../errors.js';
import type { Attrs } from '../ir/attrs.js';
import { dtypeAttr, type Typed } from '../ir/dtype.js';
import type { Evaluator } from '../ir/evaluator.js';
import { type Expr, type Meta, type NodeMaker, topological } from '../ir/expr.js';
import { Interner } from '../ir/intern.js';
import type { OpDef } from '../ir/op-def.js';
import { printExprs } from '../ir/print.js';
import type { Value } from '../ir/value.js';
import { Matrix } from '../matrix/matrix.js';
import { ops } from '../operators/index.js';
import type { IterateOptions, LoopResult, LoopState, LoopStep } from './iterate.js';

/** Runs the loops of a traced program for all models. */
export type RunLoop = <S extends LoopState>(
  state: S,
  step: (state: S) => LoopStep<S>,
  options: IterateOptions,
) => Promise<LoopResult<S>>;

let nextSlot = 0;

/** A leaf without cells, equal to no other. */
export function slotLeaf(maker: NodeMaker, { rows, cols, nnz, dtype }: Meta & Typed): Expr {
  const key = `slot:${nextSlot++}`;
  const known = nnz === undefined ? {} : { nnz };
  return maker.intern(ops.slot, [], { rows, cols, key, ...known, ...dtypeAttr(dtype) });
}

export class Trace implements Evaluator {
  readonly #interner = new Interner();
  readonly loop: RunLoop;
  constructor(loop: RunLoop) {
    this.loop = loop;
  }

  intern(op: OpDef, inputs: readonly Expr[], attrs?: Attrs, payload?: unknown): Expr {
    return this.#interner.intern(op, inputs, attrs, payload);
  }

  /** A leaf of that shape. */
  placeholder({ rows, cols, nnz, dtype }: Meta & Typed): Matrix {
    return Matrix.of(this, slotLeaf(this, { rows, cols, nnz, dtype }));
  }

  evaluate(): Promise<Value[]> {
    const message =
      'batch: expected a program of matrices, got one that asks for a value: a value differs between models; loop with `iterate`, choose with `ifelse`, or give it as part of the result';
    return Promise.reject(new PlanError(message, { op: 'batch' }));
  }

  explain(exprs: readonly Expr[]): string {
    return printExprs(topological(exprs));
  }
}
