/**
 * Runs a row program on one thread, chunk by chunk. Values of a block lie in lane memory, which the
 * next block writes again, so that they stay in the cache. Invariant: a chunk's results depend on
 * its rows alone.
 */
import { InternalError } from '../../../driver/errors.js';
import type { DType } from '../../../driver/ir/dtype.js';
import {
  type Cells,
  cellsOf,
  type DenseMatrix,
  dense,
  rowsView,
} from '../../../driver/ir/value.js';
import { kernelOf } from '../kernels/index.js';
import {
  allocateBy,
  allocateFresh,
  type Kernel,
  type KernelContext,
  type Reducer,
} from '../kernels/kernel.js';
import type { Blas } from '../native/blas.js';
import type { KernelProvider } from '../providers/provider.js';
import { aligned, threadMemory as memory } from '../simd/lane-memory.js';
import { type LaneLayout, laneLayout } from './lane-layout.js';
import type { CellStep, Form, KernelStep, RowProgram, TakenRows } from './row-program.js';

export class RowRunner {
  readonly #program: RowProgram;
  readonly #operands: readonly DenseMatrix[];
  /** Where kept values are written. */
  readonly #kept: readonly DenseMatrix[];
  readonly #blas: Blas;
  readonly #provider: KernelProvider | undefined;
  readonly #layout: LaneLayout;
  /** Where what a step copies goes next. */
  #free = 0;

  constructor(
    program: RowProgram,
    operands: readonly DenseMatrix[],
    kept: readonly DenseMatrix[],
    blas: Blas,
    provider?: KernelProvider,
  ) {
    this.#program = program;
    this.#operands = operands;
    this.#kept = kept;
    this.#blas = blas;
    this.#provider = provider;
    this.#layout = layoutOf(program, operands);
  }

  /** The sinks' results over a chunk. Yields between blocks. @throws what a kernel throws */
  *chunk(number: number): Generator<undefined, DenseMatrix[]> {
    const { rows, blockRows, chunkRows, sinks } = this.#program;
    const end = Math.min(rows, (number + 1) * chunkRows);
    const reducers = sinks.map(({ op, attrs, forms, out, isProvided }) => {
      const call = { inputs: forms, attrs, out, parallel: false };
      const { reducer } = this.#kernelOf(op, isProvided);
      return reducer!(call, { blas: this.#blas, allocate: allocateFresh });
    });
    for (let from = number * chunkRows; from < end; from += blockRows) {
      this.#block(from, Math.min(blockRows, end - from), reducers);
      yield;
    }
    return reducers.map((reducer) => reducer.result() as DenseMatrix);
  }

  #block(from: number, rows: number, reducers: readonly Reducer<Cells>[]): void {
    const { bytes, copied, beside } = this.#layout;
    memory.hold(bytes + copied, beside, () => this.#steps(from, rows, reducers));
  }

  #steps(from: number, rows: number, reducers: readonly Reducer<Cells>[]): void {
    const { byRows, steps, sinks, kept } = this.#program;
    const values: DenseMatrix[] = this.#operands.map((operand, i) =>
      byRows[i] ? rowsView(operand, from, from + rows) : operand,
    );
    for (const step of steps) {
      this.#free = this.#layout.bytes;
      if (step.kind === 'cells') values.push(...this.#cells(step, rows, values));
      else {
        const keptAt = kept.indexOf(values.length);
        const out = keptAt < 0 ? undefined : rowsView(this.#kept[keptAt]!, from, from + rows);
        values.push(this.#kernel(step, from, rows, values, out));
      }
    }
    for (const [i, { inputs }] of sinks.entries()) {
      const own = inputs.map((input) => values[input]!);
      void reducers[i]!.add(own, { rowOffset: from, rows });
    }
    for (const [i, value] of kept.entries()) {
      const out = this.#kept[i]!;
      const { data } = values[value]!;
      if (data.buffer !== out.data.buffer) out.data.set(data, from * out.cols);
    }
  }

  #kernel(
    { op, attrs, inputs, out, isProvided }: KernelStep,
    rowOffset: number,
    rows: number,
    values: readonly DenseMatrix[],
    /** Where it is kept, if it is. */
    kept: DenseMatrix | undefined,
  ): DenseMatrix {
    const { cols, dtype } = out;
    let isTaken = false;
    const own = memory.cells(dtype, this.#layout.addresses[values.length]!, rows * cols);
    const context: KernelContext = {
      blas: this.#blas,
      // The result; what else a kernel needs lies elsewhere.
      allocate: allocateBy((cells, type) => {
        if (isTaken || cells !== rows * cols || type !== dtype) return cellsOf(type, cells);
        isTaken = true;
        return kept?.data ?? own;
      }),
    };
    const result = this.#kernelOf(op, isProvided).run!(
      {
        inputs: inputs.map((input) => values[input]!),
        attrs,
        out: { rows, cols, dtype },
        block: { rowOffset, rows, payload: undefined },
      },
      context,
    );
    // A view of an operand, whose memory is another's after this step.
    const isView = memory.holds(result.data) && result.data.byteOffset !== own.byteOffset;
    if (!isView) return result;
    own.set(result.data);
    return dense(rows, cols, own);
  }

  #cells(
    { module, inputs, outs }: CellStep,
    rows: number,
    values: DenseMatrix[],
  ): readonly DenseMatrix[] {
    const operands = inputs.map((input) => {
      if (typeof input !== 'number') return this.#rowsTaken(input, values);
      const value = values[input]!;
      if (memory.holds(value.data)) return value.data.byteOffset;
      const { data, dtype } = value;
      const own = this.#layout.addresses[input];
      const here =
        own === undefined ? this.#copy(data.length, dtype) : memory.cells(dtype, own, data.length);
      here.set(data);
      if (own !== undefined) values[input] = dense(value.rows, value.cols, here);
      return here.byteOffset;
    });
    const { cols } = outs[0]!.form;
    const first = values.length;
    const results = outs.map(({ form }, i) => {
      const address = this.#layout.addresses[first + i]!;
      return dense(rows, cols, memory.cells(form.dtype, address, rows * cols));
    });
    memory.function(module)(rows, cols, ...operands, ...results.map(({ data }) => data.byteOffset));
    return results;
  }

  /** The list of where rows of a table lie, whose last row is zeros. */
  #rowsTaken({ numbers, table }: TakenRows, values: readonly DenseMatrix[]): number {
    const { rows, cols, data, dtype } = values[table]!;
    const named = values[numbers]!.data;
    const cells = this.#copy((rows + 1) * cols, dtype);
    cells.set(data);
    cells.fill(0, data.length);
    const [start, bytes] = [cells.byteOffset, cols * cells.BYTES_PER_ELEMENT];
    const list = memory.integers(this.#free, named.length);
    this.#free += aligned(list.byteLength);
    for (let i = 0; i < named.length; i++) {
      const row = named[i]!;
      list[i] = start + (row >= 0 && row < rows ? row | 0 : rows) * bytes;
    }
    return list.byteOffset;
  }

  #kernelOf(op: string, isProvided = false): Kernel<Cells> {
    const kernel = (isProvided ? this.#provider?.kernelOf : kernelOf)?.get(op);
    if (kernel === undefined) throw new InternalError(`rows: expected a kernel, got none of ${op}`);
    return kernel;
  }

  #copy(count: number, dtype: DType): Cells {
    const cells = memory.cells(dtype, this.#free, count);
    this.#free += aligned(cells.byteLength);
    return cells;
  }
}

const layouts = new WeakMap<RowProgram, { readonly of: string; readonly layout: LaneLayout }>();

/** That of a block; of a program that runs again, the last one, as operands are alike. */
function layoutOf(program: RowProgram, operands: readonly DenseMatrix[]): LaneLayout {
  const forms = operands.map(({ rows, cols, dtype }) => ({ rows, cols, dtype }));
  const of = forms.map(({ rows, cols, dtype }) => `${rows}x${cols}${dtype}`).join();
  const known = layouts.get(program);
  if (known?.of === of) return known.layout;
  const { blockRows, byRows } = program;
  const rowsOf = (form: Form, at?: number): number =>
    at === undefined || byRows[at] !== false ? blockRows : form.rows;
  const layout = laneLayout(program, forms, rowsOf, aligned);
  layouts.set(program, { of, layout });
  return layout;
}
