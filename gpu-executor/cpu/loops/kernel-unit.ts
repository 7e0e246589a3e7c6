/**
 * One kernel of a compiled loop as a call whose operands, result and further memory are the same in
 * every turn. Long calls run beside other work, as they do elsewhere; those that a plan would hand
 * to the thread pool only so as not to hold up the event loop run at once, divided in the same way,
 * so that their bits are the same.
 */
import type { DType } from '../../../driver/ir/dtype.js';
import type { Expr } from '../../../driver/ir/expr.js';
import { type Cells, cellsOf, type DenseMatrix, dtypeOf } from '../../../driver/ir/value.js';
import { allocateBy, type KernelContext } from '../kernels/kernel.js';
import type { Blas } from '../native/blas.js';
import type { StreamContext } from '../stream.js';
import { evaluateAsync, evaluatesAgain, isThreaded } from '../whole.js';

/** From so much on, all threads are worth the hand-over; measured. @units flops */
const LONG_FLOPS = 1e8;

export interface KernelUnit {
  readonly run: () => void | Promise<void>;
  /** What it holds beside its result. @units bytes */
  readonly bytes: () => number;
}

/** A value as it stands in this turn: kernels know what they have seen by the object. */
export type Now = () => DenseMatrix;

/** @param blas that of the context, without its threads */
export function kernelUnit(
  expr: Expr,
  operands: readonly Now[],
  { data: out }: DenseMatrix,
  stream: StreamContext,
  blas: Blas,
): KernelUnit {
  const memory = new TurnMemory([out]);
  const own: KernelContext = { ...stream.kernels, allocate: memory.allocate };
  const isLong =
    expr.op.flops(expr.inputs, expr.attrs, expr) >= LONG_FLOPS || isThreaded(expr, own);
  const asynchronous = { ...stream, kernels: isLong ? own : { ...own, blas } };
  const store = ({ data }: DenseMatrix): void => {
    if (data !== out) out.set(data);
  };
  const evaluate = evaluatesAgain(expr, own);
  return {
    run: () => {
      memory.begin();
      const inputs = operands.map((now) => now());
      const value = evaluate(inputs);
      if (value === undefined) return evaluateAsync(expr, inputs, asynchronous).then(store);
      store(value);
      return undefined;
    },
    bytes: () => memory.bytes,
  };
}

/** What a kernel allocates in a turn, in its order: the same in the next. */
export class TurnMemory {
  readonly #outs: readonly Cells[];
  readonly #taken: Cells[] = [];
  #next = 0;
  /** Outs that are taken in this turn. */
  readonly #given: boolean[];
  bytes = 0;
  readonly allocate = allocateBy((cells, dtype) => this.#take(cells, dtype));

  /** @param outs where results are to lie: the first memory of their size that is asked for */
  constructor(outs: readonly Cells[]) {
    this.#outs = outs;
    this.#given = outs.map(() => false);
  }

  begin(): void {
    this.#next = 0;
    this.#given.fill(false);
  }

  #take(cells: number, dtype: DType): Cells {
    const fits = (one: Cells): boolean => one.length === cells && dtypeOf(one) === dtype;
    for (const [i, out] of this.#outs.entries()) {
      if (this.#given[i] || !fits(out)) continue;
      this.#given[i] = true;
      return out;
    }
    const at = this.#next++;
    const known = this.#taken[at];
    if (known !== undefined && fits(known)) return known;
    const fresh = cellsOf(dtype, cells);
    this.bytes += fresh.byteLength - (known?.byteLength ?? 0);
    this.#taken[at] = fresh;
    return fresh;
  }
}
