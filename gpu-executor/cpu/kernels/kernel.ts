/**
 * What a CPU kernel is: one operator's implementation over whole values or row blocks. Invariant: a
 * kernel gives the operator's reference value up to rounding, never writes to its inputs, and keeps
 * no state between runs but what it found out about an operand. It knows one again by the matrix
 * object, so whoever writes over cells that kernels have read gives another object for them.
 */
import type { Attrs } from '../../../driver/ir/attrs.js';
import type { DType, Typed } from '../../../driver/ir/dtype.js';
import type { Expr, Meta } from '../../../driver/ir/expr.js';
import type { BlockContext, OpDef } from '../../../driver/ir/op-def.js';
import { type Cells, cellsOf, type DenseMatrix } from '../../../driver/ir/value.js';
import type { Blas } from '../native/blas.js';
import type { KernelChoice } from '../providers/kernel-choice.js';
import type { CodedReader } from './coded-rows.js';

/** A buffer of that many cells for an output, float64 unless said; what it holds is unspecified. */
export interface Allocate {
  (cells: number): Float64Array;
  (cells: number, dtype: DType): Cells;
}

export function allocateBy(acquire: (cells: number, dtype: DType) => Cells): Allocate {
  return ((cells: number, dtype: DType = 'float64') => acquire(cells, dtype)) as Allocate;
}

/** New memory each time, which is nobody else's. */
export const allocateFresh = allocateBy((cells, dtype) => cellsOf(dtype, cells));

/** For operators whose definition is as good a loop as any other. */
export function referenceKernel(op: OpDef): Kernel {
  return { op, run: ({ inputs, attrs, out, block }) => op.reference(inputs, attrs, out, block) };
}

export interface KernelContext {
  readonly blas: Blas;
  readonly allocate: Allocate;
  /** Which kernels another library runs; absent inside of a pass, which has been told. */
  readonly choice?: KernelChoice;
}

/** One evaluation of an operator; `block` says which rows of a larger matrix the inputs are. */
export interface KernelCall<C extends Cells = Float64Array> {
  readonly inputs: readonly DenseMatrix<C>[];
  readonly attrs: Attrs;
  /** Shape and dtype of the output (of this block). */
  readonly out: Meta & Typed;
  readonly block?: BlockContext;
}

/**
 * Accumulates a reduction over row blocks, in their order, so that the result does not depend on
 * timing. In a synchronous reducer no call returns a promise.
 */
export interface Reducer<C extends Cells = Float64Array> {
  /** Takes a block in. The inputs may be overwritten once the call, or its promise, is done. */
  add(inputs: readonly DenseMatrix<C>[], block: BlockContext): void | Promise<void>;
  /** The reduced value; called once, after every `add` is done. */
  result(): DenseMatrix<C> | Promise<DenseMatrix<C>>;
}

export interface ReducerCall {
  /** Shapes and dtypes of the operands as a whole. */
  readonly inputs: readonly (Meta & Typed)[];
  readonly attrs: Attrs;
  readonly out: Meta & Typed;
  /** May run on several threads and return promises. */
  readonly parallel: boolean;
}

/** Over float64 cells (`widened.ts` extends it to both dtypes) or, with `Cells`, over both. */
export interface Kernel<C extends Cells = Float64Array> {
  readonly op: OpDef;
  /** Evaluates at once. Absent for operators that only reduce. */
  readonly run?: (call: KernelCall<C>, context: KernelContext) => DenseMatrix<C>;
  /** Evaluates on the thread pool; for calls too long to hold up the event loop. */
  readonly runAsync?: (call: KernelCall<C>, context: KernelContext) => Promise<DenseMatrix<C>>;
  /** Which `CodedRows` it works on without their cells. */
  readonly coded?: CodedReader;
  /** Operands that it reads as compressed rows, without their cells; see `csr-form.ts`. */
  readonly csr?: readonly number[];
  /** Its rows are those of its second operand that the first, a column, names; else zeros. */
  readonly takesRows?: true;
  /** Of a node that is its first operand's cells as they lie: from which on; else undefined. */
  readonly view?: (expr: Expr) => number | undefined;
  /** Of a node whose cells are those of its operands, one after the other. */
  readonly joins?: (expr: Expr) => boolean;
  /** Synchronous and long: blocks of rows run side by side on threads. */
  readonly isThreaded?: true;
  /** Lane memory that it takes beside operands and result, at most. @units bytes */
  readonly laneBytes?: (
    attrs: Attrs,
    inputs: readonly (Meta & Typed)[],
    out: Meta & Typed,
  ) => number;
  /** For `reduce` operators. */
  readonly reducer?: (call: ReducerCall, context: KernelContext) => Reducer<C>;
}
