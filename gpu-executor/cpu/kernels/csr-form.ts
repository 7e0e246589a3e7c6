/**
 * Compressed rows in kernels. A kernel has a form over them, which costs what is held of them, or
 * it gets their cells: piece by piece where it goes by rows, whole where it does not and they fit.
 * Invariant: the value is that of the dense operands up to rounding, also where a zero meets NaN or
 * an infinity: a form that would skip such a zero declines, and the cells are made.
 */
import { ResourceError } from '../../../driver/errors.js';
import { CsrMatrix } from '../../../driver/ir/csr.js';
import { denseBytes } from '../../../driver/ir/expr.js';
import type { BlockContext, OpDef } from '../../../driver/ir/op-def.js';
import {
  type Cells,
  converted,
  type DenseMatrix,
  dense,
  type Float64Matrix,
  rowsView,
} from '../../../driver/ir/value.js';
import { memoryShares } from '../../../driver/support/memory.js';
import { formatBytes } from '../../../driver/support/size.js';
import {
  allocateFresh,
  type Kernel,
  type KernelCall,
  type KernelContext,
  type Reducer,
  type ReducerCall,
} from './kernel.js';

/** Cells made at a time of compressed rows that a kernel can't read. */
const PIECE_CELLS = 1 << 20;

/** A reduction over compressed rows. */
export interface CsrReducer {
  /** Takes a block in; false: it took nothing, as zeros may not be skipped. */
  add(inputs: readonly DenseMatrix[], block: BlockContext): boolean;
  result(): DenseMatrix;
}

/** What an operator does with compressed rows. */
export interface CsrForm {
  readonly op: OpDef;
  /** Operands that may be compressed rows. */
  readonly operands: readonly number[];
  /** Undefined where the cells are needed. */
  readonly run?: (call: KernelCall<Cells>, context: KernelContext) => DenseMatrix | undefined;
  readonly reducer?: (call: ReducerCall) => CsrReducer;
}

export function hasCsr(inputs: readonly DenseMatrix[]): boolean {
  for (const input of inputs) if (input instanceof CsrMatrix) return true;
  return false;
}

/** The kernel, which reads compressed rows too. */
export function readingCsr(kernel: Kernel<Cells>, form: CsrForm | undefined): Kernel<Cells> {
  const { op, run, runAsync, reducer } = kernel;
  return {
    ...kernel,
    ...(form && { csr: form.operands }),
    ...(run && {
      run: (call, context) => {
        if (!hasCsr(call.inputs)) return run(call, context);
        return form?.run?.(call, context) ?? runPieces(op, run, call, context);
      },
    }),
    ...(runAsync && {
      runAsync: async (call, context) => {
        if (!hasCsr(call.inputs)) return runAsync(call, context);
        const known = form?.run?.(call, context);
        if (known !== undefined) return known;
        return run === undefined
          ? runAsync({ ...call, inputs: call.inputs.map(plain) }, context)
          : runPieces(op, run, call, context);
      },
    }),
    ...(reducer && {
      reducer: (call, context) =>
        new FormReducer(
          op,
          () => form?.reducer?.(call),
          () => reducer(call, context),
          call,
        ),
    }),
  };
}

/** @throws ResourceError where the cells of a result would not fit */
export function requireRoom(op: string, shape: Parameters<typeof denseBytes>[0]): void {
  const bytes = denseBytes(shape);
  const most = memoryShares().cacheBytes;
  if (bytes <= most) return;
  throw new ResourceError(
    `${op}: expected a result of at most ${formatBytes(most)} (half of the memory), got ${shape.rows}x${shape.cols} cells that are not mostly zero (${formatBytes(bytes)}); take fewer rows or columns, or raise REPRISE_MEMORY`,
    { resource: 'memory', requestedBytes: bytes, availableBytes: most },
  );
}

/** @throws ResourceError where the cells would not fit */
function plain(value: DenseMatrix): DenseMatrix {
  return value instanceof CsrMatrix ? dense(value.rows, value.cols, value.data) : value;
}

/** Rows whose cells are made at a time. */
function pieceRows(inputs: readonly DenseMatrix[], byRows: readonly boolean[]): number {
  const width = Math.max(1, ...inputs.map(({ cols }, i) => (byRows[i] ? cols : 0)));
  return Math.max(1, Math.floor(PIECE_CELLS / width));
}

function runPieces(
  op: OpDef,
  run: NonNullable<Kernel<Cells>['run']>,
  call: KernelCall<Cells>,
  context: KernelContext,
): DenseMatrix {
  const { inputs, out } = call;
  const rule = op.rowRule(inputs, call.attrs);
  const byRows = rule.kind === 'map' ? rule.blocked : [];
  requireRoom(op.name, out);
  if (!inputs.some((input, i) => byRows[i] && input instanceof CsrMatrix)) {
    return run({ ...call, inputs: inputs.map(plain) }, context);
  }
  const most = pieceRows(inputs, byRows);
  const cells = context.allocate(out.rows * out.cols, out.dtype);
  const first = call.block?.rowOffset ?? 0;
  for (let from = 0; from < out.rows; from += most) {
    const rows = Math.min(most, out.rows - from);
    const own = inputs.map((input, i) =>
      plain(byRows[i] ? rowsView(input, from, from + rows) : input),
    );
    const block = { ...call.block, rowOffset: first + from, rows };
    const part = run(
      { ...call, inputs: own, out: { ...out, rows }, block },
      { ...context, allocate: allocateFresh },
    );
    cells.set(part.data, from * out.cols);
  }
  return dense(out.rows, out.cols, cells);
}

class FormReducer implements Reducer<Cells> {
  readonly #op: OpDef;
  readonly #makeForm: () => CsrReducer | undefined;
  readonly #make: () => Reducer<Cells>;
  readonly #call: ReducerCall;
  /** Of compressed blocks, once there is one: it holds sums of its own. */
  #form: CsrReducer | undefined;
  /** Of blocks with cells, once there is one. */
  #dense: Reducer<Cells> | undefined;
  #isFormUsed = false;

  constructor(
    op: OpDef,
    makeForm: () => CsrReducer | undefined,
    make: () => Reducer<Cells>,
    call: ReducerCall,
  ) {
    this.#op = op;
    this.#makeForm = makeForm;
    this.#make = make;
    this.#call = call;
  }

  add(inputs: readonly DenseMatrix[], block: BlockContext): void | Promise<void> {
    const isSparse = hasCsr(inputs);
    if (isSparse) this.#form ??= this.#makeForm();
    if (isSparse && this.#form?.add(inputs, block) === true) {
      this.#isFormUsed = true;
      return undefined;
    }
    this.#dense ??= this.#make();
    return isSparse ? this.#addPieces(this.#dense, inputs, block) : this.#dense.add(inputs, block);
  }

  #addPieces(
    reducer: Reducer<Cells>,
    inputs: readonly DenseMatrix[],
    block: BlockContext,
  ): void | Promise<void> {
    const byRows = this.#op.rowRule(this.#call.inputs, this.#call.attrs).blocked;
    const most = pieceRows(inputs, byRows);
    const addFrom = (start: number): void | Promise<void> => {
      for (let from = start; from < block.rows; from += most) {
        const rows = Math.min(most, block.rows - from);
        const own = inputs.map((input, i) =>
          plain(byRows[i] ? rowsView(input, from, from + rows) : input),
        );
        const next = from + most;
        const adding = reducer.add(own, { ...block, rowOffset: block.rowOffset + from, rows });
        if (adding !== undefined) return adding.then(() => addFrom(next));
      }
      return undefined;
    };
    return addFrom(0);
  }

  result(): DenseMatrix | Promise<DenseMatrix> {
    if (!this.#isFormUsed) return (this.#dense ?? this.#make()).result();
    const own = this.#form!.result();
    if (this.#dense === undefined) return own;
    const rest = this.#dense.result();
    return 'then' in rest
      ? rest.then((value) => this.#combined(own, value))
      : this.#combined(own, rest);
  }

  #combined(a: DenseMatrix, b: DenseMatrix): DenseMatrix {
    const wide = (value: DenseMatrix): Float64Matrix => converted(value, 'float64');
    return converted(this.#op.combine!(wide(a), wide(b), this.#call.attrs), this.#call.out.dtype);
  }
}
