/**
 * What a CPU kernel is: one operator's implementation over whole values or row blocks. Invariant: a
 * kernel gives the operator's reference value up to rounding, keeps no state between runs and never
 * writes to its inputs.
 */
import type { Attrs } from '../../../driver/ir/attrs.js';
import type { Meta } from '../../../driver/ir/expr.js';
import type { BlockContext, OpDef } from '../../../driver/ir/op-def.js';
import type { DenseMatrix } from '../../../driver/ir/value.js';
import type { Blas } from '../native/blas.js';

export interface KernelContext {
  readonly blas: Blas;
  /** A buffer of that many cells for an output; what it holds is unspecified. */
  readonly allocate: (cells: number) => Float64Array;
}

/** One evaluation of an operator; `block` says which rows of a larger matrix the inputs are. */
export interface KernelCall {
  readonly inputs: readonly DenseMatrix[];
  readonly attrs: Attrs;
  /** Shape of the output (of this block). */
  readonly out: Meta;
  readonly block?: BlockContext;
}

/**
 * Accumulates a reduction over row blocks, in their order, so that the result does not depend on
 * timing. In a synchronous reducer no call returns a promise.
 */
export interface Reducer {
  /** Takes a block in. The inputs may be overwritten once the call, or its promise, is done. */
  add(inputs: readonly DenseMatrix[], block: BlockContext): void | Promise<void>;
  /** The reduced value; called once, after every `add` is done. */
  result(): DenseMatrix | Promise<DenseMatrix>;
}

export interface ReducerCall {
  /** Shapes of the operands as a whole. */
  readonly inputs: readonly Meta[];
  readonly attrs: Attrs;
  readonly out: Meta;
  /** May run on several threads and return promises. */
  readonly parallel: boolean;
}

export interface Kernel {
  readonly op: OpDef;
  /** Evaluates at once. Absent for operators that only reduce. */
  readonly run?: (call: KernelCall, context: KernelContext) => DenseMatrix;
  /** Evaluates on the thread pool; for calls too long to hold up the event loop. */
  readonly runAsync?: (call: KernelCall, context: KernelContext) => Promise<DenseMatrix>;
  /** For `reduce` operators. */
  readonly reducer?: (call: ReducerCall, context: KernelContext) => Reducer;
}
