/**
 * Runs a row program on one thread, chunk by chunk. Values of a block lie in lane memory, which the
 * next block writes again, so that they stay in the cache. Invariant: a chunk's results depend on
 * its rows alone.
 */
import { InternalError } from '../../../driver/errors.js';
import { cellBytes, type DType } from '../../../driver/ir/dtype.js';
import {
  type Cells,
  cellsOf,
  type DenseMatrix,
  dense,
  rowsView,
} from '../../../driver/ir/value.js';
import { kernelOf } from '../kernels/index.js';
import { allocateBy, type KernelContext, type Reducer } from '../kernels/kernel.js';
import type { Blas } from '../native/blas.js';
import { LaneMemory } from '../simd/lane-memory.js';
import type { CellStep, Form, KernelStep, RowProgram, TakenRows } from './row-program.js';

/** Lane memory of this thread's programs: one runs at a time between two turns of its loop. */
const memory = new LaneMemory();

export class RowRunner {
  readonly #program: RowProgram;
  readonly #operands: readonly DenseMatrix[];
  /** Where kept values are written. */
  readonly #kept: readonly DenseMatrix[];
  readonly #blas: Blas;
  /** Most of lane memory that a block takes. */
  readonly #bytes: number;
  /** Bytes of lane memory in use by this block. */
  #used = 0;

  constructor(
    program: RowProgram,
    operands: readonly DenseMatrix[],
    kept: readonly DenseMatrix[],
    blas: Blas,
  ) {
    this.#program = program;
    this.#operands = operands;
    this.#kept = kept;
    this.#blas = blas;
    this.#bytes = bytesOf(program, operands);
  }

  /** The sinks' results over a chunk. Yields between blocks. @throws what a kernel throws */
  *chunk(number: number): Generator<undefined, DenseMatrix[]> {
    const { rows, blockRows, chunkRows, sinks } = this.#program;
    const end = Math.min(rows, (number + 1) * chunkRows);
    const allocate = allocateBy((cells, dtype) => cellsOf(dtype, cells));
    const reducers = sinks.map(({ op, attrs, forms, out }) => {
      const call = { inputs: forms, attrs, out, parallel: false };
      return reducerOf(op)(call, { blas: this.#blas, allocate });
    });
    for (let from = number * chunkRows; from < end; from += blockRows) {
      this.#block(from, Math.min(blockRows, end - from), reducers);
      yield;
    }
    return reducers.map((reducer) => reducer.result() as DenseMatrix);
  }

  #block(from: number, rows: number, reducers: readonly Reducer<Cells>[]): void {
    const { byRows, steps, sinks, kept } = this.#program;
    memory.reserve(this.#bytes);
    this.#used = 0;
    const values: DenseMatrix[] = this.#operands.map((operand, i) =>
      byRows[i] ? rowsView(operand, from, from + rows) : operand,
    );
    for (const step of steps) {
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
    { op, attrs, inputs, out }: KernelStep,
    rowOffset: number,
    rows: number,
    values: readonly DenseMatrix[],
    /** Where it is kept, if it is. */
    kept: DenseMatrix | undefined,
  ): DenseMatrix {
    const { cols, dtype } = out;
    let isTaken = false;
    const context: KernelContext = {
      blas: this.#blas,
      // The result; what else a kernel needs lies elsewhere.
      allocate: allocateBy((cells, type) => {
        if (isTaken || cells !== rows * cols || type !== dtype) return cellsOf(type, cells);
        isTaken = true;
        return kept?.data ?? this.#take(cells, dtype);
      }),
    };
    const own = inputs.map((input) => values[input]!);
    const block = { rowOffset, rows, payload: undefined };
    return kernelOf.get(op)!.run!(
      { inputs: own, attrs, out: { rows, cols, dtype }, block },
      context,
    );
  }

  #cells(
    { module, inputs, outs }: CellStep,
    rows: number,
    values: readonly DenseMatrix[],
  ): DenseMatrix[] {
    const places = new Map<number, Cells>();
    const operands = inputs.map((input) => {
      if (typeof input !== 'number') return this.#rowsTaken(input, values);
      const { data } = values[input]!;
      const here = memory.holds(data) ? data : this.#take(data.length, values[input]!.dtype);
      if (here !== data) here.set(data);
      places.set(input, here);
      return here.byteOffset;
    });
    const { cols } = outs[0]!.form;
    const results = outs.map(({ form, over }) => {
      const cells = over === undefined ? this.#take(rows * cols, form.dtype) : places.get(over)!;
      return dense(rows, cols, cells);
    });
    memory.function(module)(rows, cols, ...operands, ...results.map(({ data }) => data.byteOffset));
    return results;
  }

  /** The list of where rows of a table lie, whose last row is zeros. */
  #rowsTaken({ numbers, table }: TakenRows, values: readonly DenseMatrix[]): number {
    const { rows, cols, data, dtype } = values[table]!;
    const named = values[numbers]!.data;
    const cells = this.#take((rows + 1) * cols, dtype);
    cells.set(data);
    cells.fill(0, data.length);
    const [start, bytes] = [cells.byteOffset, cols * cells.BYTES_PER_ELEMENT];
    const list = memory.integers(this.#used, named.length);
    this.#used += aligned(list.byteLength);
    for (let i = 0; i < named.length; i++) {
      const row = named[i]!;
      list[i] = start + (row >= 0 && row < rows ? row | 0 : rows) * bytes;
    }
    return list.byteOffset;
  }

  #take(count: number, dtype: DType): Cells {
    const cells = memory.cells(dtype, this.#used, count);
    this.#used += aligned(count * cellBytes({ dtype }));
    return cells;
  }
}

function reducerOf(op: string): NonNullable<ReturnType<typeof kernelOf.get>>['reducer'] & {} {
  const make = kernelOf.get(op)?.reducer;
  if (make === undefined) throw new InternalError(`rows: expected a reducing kernel, got ${op}`);
  return make;
}

const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;

/** Most of lane memory that a block takes. */
function bytesOf(
  { steps, blockRows, byRows }: RowProgram,
  operands: readonly DenseMatrix[],
): number {
  let bytes = 0;
  const formAt: Form[] = operands.map(({ rows, cols, dtype }) => ({ rows, cols, dtype }));
  const add = ({ rows, cols, dtype }: Form, isBlock: boolean): void => {
    bytes += aligned((isBlock ? blockRows : rows) * cols * cellBytes({ dtype }));
  };
  for (const step of steps) {
    if (step.kind === 'kernel') {
      add(step.out, true);
      formAt.push(step.out);
      continue;
    }
    for (const input of step.inputs) {
      if (typeof input === 'number') add(formAt[input]!, byRows[input] ?? true);
      else {
        const { rows, cols, dtype } = formAt[input.table]!;
        add({ rows: rows + 1, cols, dtype }, false);
        bytes += aligned(blockRows * Int32Array.BYTES_PER_ELEMENT);
      }
    }
    for (const { form } of step.outs) {
      add(form, true);
      formAt.push(form);
    }
  }
  return bytes;
}
