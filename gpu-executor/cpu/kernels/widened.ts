/**
 * Makes a kernel over float64 one of either dtype: float32 operands are widened, the result is
 * rounded once. Invariant: over float64 it is the kernel itself. Sums over float32 so keep the
 * digits of float64; a reduction widens a few megabytes of rows at a time, in one buffer.
 */
import type { DType, Typed } from '../../../driver/ir/dtype.js';
import type { BlockContext } from '../../../driver/ir/op-def.js';
import {
  type Cells,
  converted,
  type DenseMatrix,
  dense,
  type Float64Matrix,
  rowsView,
} from '../../../driver/ir/value.js';
import type { Kernel, KernelCall, KernelContext, Reducer } from './kernel.js';

/** Cells widened at a time, so that they are still in cache when they are read. */
const PIECE_CELLS = 1 << 18;

export function widened(kernel: Kernel): Kernel<Cells> {
  const { op, run, runAsync, reducer, coded } = kernel;
  return {
    op,
    coded,
    ...(run && {
      run: (call, context) =>
        isWide(call)
          ? run(call as KernelCall, context)
          : converted(run(widenedCall(call, context), context), call.out.dtype, context.allocate),
    }),
    ...(runAsync && {
      runAsync: async (call, context) =>
        converted(
          await runAsync(widenedCall(call, context), context),
          call.out.dtype,
          context.allocate,
        ),
    }),
    ...(reducer && {
      reducer: (call, context) => {
        const inner = reducer(call, context);
        if (isWide(call)) return inner as Reducer<Cells>;
        const { blocked } = op.rowRule(call.inputs, call.attrs);
        return new WideningReducer(inner, blocked, call.out.dtype);
      },
    }),
  } as Kernel<Cells>;
}

function isWide({ inputs, out }: { readonly inputs: readonly Typed[]; readonly out: Typed }) {
  if (out.dtype !== 'float64') return false;
  for (const input of inputs) if (input.dtype !== 'float64') return false;
  return true;
}

function widenedCall(call: KernelCall<Cells>, { allocate }: KernelContext): KernelCall {
  const inputs = call.inputs.map((input) => converted(input, 'float64', allocate));
  return { ...call, inputs };
}

class WideningReducer implements Reducer<Cells> {
  readonly #inner: Reducer;
  readonly #byRows: readonly boolean[];
  readonly #dtype: DType;
  /** By operand: the buffer of its pieces. */
  readonly #pieces: Float64Array[] = [];
  /** By operand taken whole: what was widened, and its float64 form. */
  readonly #whole: { readonly from: DenseMatrix; readonly wide: Float64Matrix }[] = [];

  constructor(inner: Reducer, byRows: readonly boolean[], dtype: DType) {
    this.#inner = inner;
    this.#byRows = byRows;
    this.#dtype = dtype;
  }

  add(inputs: readonly DenseMatrix[], block: BlockContext): void | Promise<void> {
    const width = Math.max(...inputs.map(({ cols }, i) => (this.#byRows[i] ? cols : 0)));
    const most = Math.max(64, Math.floor(PIECE_CELLS / Math.max(1, width)));
    const addFrom = (first: number): void | Promise<void> => {
      for (let from = first; from < block.rows; from += most) {
        const rows = Math.min(most, block.rows - from);
        const pieces = inputs.map((input, i) =>
          this.#byRows[i]
            ? this.#piece(rowsView(input, from, from + rows), i)
            : this.#all(input, i),
        );
        const next = from + most;
        const adding = this.#inner.add(pieces, { rowOffset: block.rowOffset + from, rows });
        if (adding !== undefined) return adding.then(() => addFrom(next));
      }
      return undefined;
    };
    return addFrom(0);
  }

  result(): DenseMatrix | Promise<DenseMatrix> {
    const result = this.#inner.result();
    return 'then' in result
      ? result.then((value) => converted(value, this.#dtype))
      : converted(result, this.#dtype);
  }

  #piece(rows: DenseMatrix, at: number): Float64Matrix {
    if (rows.dtype === 'float64') return rows as Float64Matrix;
    const { length } = rows.data;
    let buffer = this.#pieces[at];
    if (buffer === undefined || buffer.length < length) {
      buffer = new Float64Array(length);
      this.#pieces[at] = buffer;
    }
    buffer.set(rows.data);
    return dense(rows.rows, rows.cols, buffer.subarray(0, length));
  }

  #all(input: DenseMatrix, at: number): Float64Matrix {
    if (this.#whole[at]?.from !== input) {
      this.#whole[at] = { from: input, wide: converted(input, 'float64') };
    }
    return this.#whole[at]!.wide;
  }
}
