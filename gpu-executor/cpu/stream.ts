/**
 * One pass over row blocks: sources make blocks (frames read and encoded, folds, random numbers,
 * rows of host values), `map` operators transform them, `reduce` operators take them in, and kept
 * nodes are written out whole. Invariants: memory is bounded by two blocks, the rows read for a
 * third, and the reducers' state; blocks are taken in in row order; block k + 1 is read and encoded
 * while the pool computes on block k.
 */

import type { RunContext } from '../../driver/backend/backend.js';
import { DataError, ExecutionError, InternalError, RepriseError } from '../../driver/errors.js';
import { CsrBuilder } from '../../driver/ir/csr.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { RawChunk } from '../../driver/ir/frame-engine.js';
import type { BlockContext } from '../../driver/ir/op-def.js';
import { type Cells, cellsOf, type DenseMatrix, dense, rowsView } from '../../driver/ir/value.js';
import { BufferPool } from './buffer-pool.js';
import type { FrameReader } from './frame-reader.js';
import { CodedRowsWriter, codedBytes, codedWidth, isWorthCoding } from './kernels/coded-rows.js';
import { csrNodeBytes } from './kernels/csr-estimate.js';
import { codeChunk, compressChunk, encodeChunk, planScans, type Scan } from './kernels/encode.js';
import { kernelOf } from './kernels/index.js';
import {
  type Allocate,
  allocateBy,
  allocateFresh,
  type KernelContext,
  type Reducer,
} from './kernels/kernel.js';
import { PartReducer } from './part-reducer.js';
import type { ReducerThread } from './rows/reducer-thread.js';
import type { RowThreads } from './rows/row-threads.js';
import { areReadCoded, type StreamPass, widthOf } from './stream-pass.js';

/** Cells a pass makes per block over all its nodes: 8 MB. */
const BLOCK_CELLS = 1 << 20;
/** Passes that may read their first block early. A file of few rows uses one reader thread only. */
const READ_AHEAD = 2;
/** From this many floating-point operations a reduction runs on the thread pool. */
const PARALLEL_FLOPS = 2e6;

export interface StreamContext extends RunContext {
  /** The library and the memory of whole results. */
  readonly kernels: KernelContext;
  readonly frames: FrameReader;
  readonly rows: RowThreads;
  readonly reducers: ReducerThread;
}

/**
 * Runs passes over different rows one after the other, each reading its first block while the one
 * before computes; the values of their sinks and kept nodes. @throws AbortError, DataError,
 * ExecutionError
 */
export async function runInTurn(
  passes: readonly StreamPass[],
  context: StreamContext,
): Promise<Map<Expr, DenseMatrix>> {
  const results = new Map<Expr, DenseMatrix>();
  const total = passes.reduce((sum, pass) => sum + pass.rows, 0);
  const open: Stream[] = [];
  const pool = new BufferPool();
  let begun = 0;
  try {
    let before = 0;
    for (const [i, { rows }] of passes.entries()) {
      for (; begun < passes.length && begun <= i + READ_AHEAD; begun++) {
        const ahead = new Stream(passes[begun]!, context, pool);
        open.push(ahead);
        ahead.open();
      }
      const stream = open[0]!;
      const values = await stream.run((fraction) =>
        context.onProgress?.((before + fraction * rows) / total),
      );
      for (const [expr, value] of values) results.set(expr, value);
      await stream.end();
      open.shift();
      before += rows;
    }
    return results;
  } finally {
    for (const stream of open) await stream.end();
  }
}

/** Frames the pass reads. */
export function scanCount(pass: StreamPass): number {
  return planScans(pass.nodes.filter(isScanned)).length;
}

/** Whether a node's rows come from a frame. */
export function isScanned(expr: Expr): boolean {
  return expr.op.source === 'scan';
}

function cutsOf({ sinks, parts }: StreamPass): number[] {
  const cuts = sinks.flatMap((sink) => parts.get(sink)?.map(({ to }) => to) ?? []);
  return [...new Set(cuts)].sort((a, b) => a - b);
}

class Stream {
  readonly #pass: StreamPass;
  readonly #context: StreamContext;
  readonly #pool: BufferPool;
  readonly #scans: readonly Scan[];
  readonly #iterators: AsyncIterator<RawChunk>[] = [];
  readonly #reducers = new Map<Expr, Reducer<Cells>>();
  readonly #kept = new Map<Expr, DenseMatrix>();
  readonly #keptCoded = new Map<Expr, CodedRowsWriter>();
  readonly #keptCsr = new Map<Expr, CsrBuilder>();
  /** Encoded nodes whose rows stay coded. */
  readonly #coded: ReadonlySet<Expr>;
  readonly #blockRows: number;
  /** Rows at which blocks end so that a part is reduced as if it were alone. */
  readonly #cuts: readonly number[];
  #reading: Promise<RawChunk[]> | undefined;
  #takingIn: Promise<void> | undefined;

  constructor(pass: StreamPass, context: StreamContext, pool: BufferPool) {
    this.#pass = pass;
    this.#context = context;
    this.#pool = pool;
    this.#scans = planScans(pass.nodes.filter(isScanned));
    const isKeptCoded = (expr: Expr): boolean =>
      pass.kept.includes(expr) && codedBytes(expr) !== undefined;
    const isReadCoded = (expr: Expr): boolean =>
      areReadCoded(pass, expr, (reader) => isWorthCoding(expr, reader));
    this.#coded = new Set(
      pass.nodes.filter((expr) => isScanned(expr) && (isKeptCoded(expr) || isReadCoded(expr))),
    );
    const held = [...pass.nodes, ...pass.sinks].flatMap(({ inputs }) =>
      inputs.filter((input) => pass.values.get(input)?.sparse !== undefined),
    );
    const width =
      pass.nodes.reduce(
        (sum, expr) =>
          sum +
          (this.#coded.has(expr) && areReadCoded(pass, expr)
            ? codedWidth(expr)
            : widthOf(pass, expr)),
        0,
      ) + [...new Set(held)].reduce((sum, expr) => sum + widthOf(pass, expr), 0);
    this.#blockRows = Math.max(
      64,
      Math.min(pass.rows, Math.floor(BLOCK_CELLS / Math.max(1, width))),
    );
    this.#cuts = cutsOf(pass);
    for (const expr of pass.kept) {
      const { rows, cols, dtype, nnz } = expr;
      if (isKeptCoded(expr)) this.#keptCoded.set(expr, new CodedRowsWriter(expr.rows));
      else if (csrNodeBytes(expr) !== undefined) {
        this.#keptCsr.set(expr, new CsrBuilder(rows, cols, dtype, nnz! * 1.1));
      } else
        this.#kept.set(
          expr,
          dense(expr.rows, expr.cols, cellsOf(expr.dtype, expr.rows * expr.cols)),
        );
    }
    for (const expr of pass.sinks) {
      const parts = pass.parts.get(expr);
      const make = (): Reducer<Cells> => this.#reducer(expr);
      this.#reducers.set(expr, parts ? new PartReducer(expr, parts, make) : make());
    }
  }

  /** Computes the pass; `open` came before. */
  async run(onProgress: (fraction: number) => void): Promise<Map<Expr, DenseMatrix>> {
    const { rows } = this.#pass;
    const { signal } = this.#context;
    for (let from = 0, end = 0; from < rows; from = end) {
      signal?.throwIfAborted();
      end = Math.min(from + this.#blockRows, this.#cuts.find((cut) => cut > from) ?? rows, rows);
      const block = { rowOffset: from, rows: end - from };
      const chunks = await this.#next(block);
      const buffers: Cells[] = [];
      const blocks = this.#compute(block, chunks, buffers);
      await this.#takingIn;
      this.#takingIn = this.#takeIn(block, blocks, buffers, chunks);
      this.#takingIn.catch(() => undefined);
      onProgress((from + block.rows) / rows);
      // Lets signals, readers and finished pool calls through even when every operator here is
      // synchronous.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await this.#takingIn;
    await this.#expectEnd();
    const results = new Map(this.#kept);
    for (const [expr, { value }] of this.#keptCoded) results.set(expr, value);
    for (const [expr, { value }] of this.#keptCsr) results.set(expr, value);
    for (const [expr, reducer] of this.#reducers) {
      results.set(expr, await named(expr, () => reducer.result()));
      if (!(reducer instanceof PartReducer)) continue;
      for (const [i, part] of reducer.parts.entries()) results.set(part.expr, reducer.results[i]!);
    }
    return results;
  }

  /** Ends scans and waits for what still reads or writes buffers. Safe at any time. */
  async end(): Promise<void> {
    await this.#reading?.catch(() => undefined);
    await this.#takingIn?.catch(() => undefined);
    for (const iterator of this.#iterators) await iterator.return?.();
  }

  #reducer(expr: Expr): Reducer<Cells> {
    const kernel = kernelOf.get(expr.op.name);
    const make = kernel?.reducer;
    if (make === undefined) {
      throw new InternalError(`stream: expected a reducing kernel, got ${expr.op.name}`);
    }
    const { op, inputs, attrs, rows, cols } = expr;
    const flops = op.flops(inputs, attrs, expr);
    const parallel = flops >= PARALLEL_FLOPS;
    const { kernels, reducers } = this.#context;
    const makeHere = (): Reducer<Cells> =>
      make({ inputs, attrs, out: expr, parallel }, { blas: kernels.blas, allocate: allocateFresh });
    const coded = inputs.filter((input) => this.#coded.has(input));
    if (coded.length === 0 || !kernel?.coded?.isLong) return makeHere();
    const width = coded.reduce((sum, input) => sum + codedWidth(input), 0);
    const made = { op: op.name, attrs, out: { rows, cols } };
    return reducers.reducer(made, this.#pass.rows * width * width, makeHere);
  }

  /** Begins to read. */
  open(): void {
    const { frames, signal } = this.#context;
    if (this.#scans.length === 0) return;
    const sizes = { rowsPerChunk: this.#blockRows, cuts: this.#cuts };
    const options = { ...sizes, ...(signal ? { signal } : {}) };
    for (const { source, columns } of this.#scans) {
      this.#iterators.push(frames.read(source, columns, options)[Symbol.asyncIterator]());
    }
    this.#read();
  }

  #read(): void {
    this.#reading = Promise.all(
      this.#iterators.map(async (iterator, i) => {
        const next = await iterator.next();
        if (!next.done) return next.value;
        throw this.#wrongRows(i, 'fewer');
      }),
    );
    this.#reading.catch(() => undefined);
  }

  /** The chunks of this block; starts reading those of the next. */
  async #next(block: BlockContext): Promise<readonly RawChunk[]> {
    const chunks = (await this.#reading) ?? [];
    for (const [i, chunk] of chunks.entries()) {
      if (chunk.rows !== block.rows) throw this.#wrongRows(i, 'other');
    }
    if (block.rowOffset + block.rows < this.#pass.rows) this.#read();
    else this.#reading = undefined;
    return chunks;
  }

  async #expectEnd(): Promise<void> {
    for (const [i, iterator] of this.#iterators.entries()) {
      const next = await iterator.next();
      if (!next.done && next.value.rows > 0) throw this.#wrongRows(i, 'more');
    }
  }

  #wrongRows(scan: number, relation: string): DataError {
    const files = this.#scans[scan]!.source.files.map((file) => file.path);
    return new DataError(
      `encode: expected ${this.#pass.rows} rows, got ${relation} from ${files[0]}${files.length > 1 ? ` and ${files.length - 1} more files` : ''}; a file changed while it was read, run again`,
      { op: 'encode', files, rows: this.#pass.rows },
    );
  }

  #compute(
    block: BlockContext,
    chunks: readonly RawChunk[],
    buffers: Cells[],
  ): Map<Expr, DenseMatrix> {
    const blocks = new Map<Expr, DenseMatrix>();
    const allocate = allocateBy((cells, dtype) => {
      const buffer = this.#pool.acquire(cells, dtype);
      buffers.push(buffer);
      return buffer;
    });
    for (const expr of this.#pass.nodes) {
      const kept = this.#kept.get(expr);
      const scan = this.#scans.findIndex((one) => one.columnsOf.has(expr));
      if (scan >= 0) {
        const read = [this.#scans[scan]!, expr, chunks[scan]!, block.rowOffset] as const;
        if (csrNodeBytes(expr) !== undefined) {
          const rows = compressChunk(...read);
          blocks.set(expr, rows);
          this.#keptCsr.get(expr)?.addRows(rows);
          continue;
        }
        const isCoded = this.#coded.has(expr);
        if (isCoded) {
          const coded = codeChunk(...read, allocate);
          this.#keptCoded.get(expr)?.write(block.rowOffset, coded);
          blocks.set(expr, coded);
        }
        if (isCoded && kept === undefined) continue;
        const count = block.rows * expr.cols;
        const cells = kept ? rowsOf(kept, block).data : allocate(count, expr.dtype);
        encodeChunk(...read, cells);
        if (!isCoded) blocks.set(expr, dense(block.rows, expr.cols, cells));
        continue;
      }
      const value = this.#map(expr, block, blocks, allocate);
      blocks.set(expr, value);
      kept?.data.set(value.data, block.rowOffset * expr.cols);
      this.#keptCsr.get(expr)?.addRows(value);
    }
    return blocks;
  }

  #map(
    expr: Expr,
    block: BlockContext,
    blocks: ReadonlyMap<Expr, DenseMatrix>,
    allocate: Allocate,
  ): DenseMatrix {
    const run = kernelOf.get(expr.op.name)?.run;
    if (run === undefined) {
      throw new InternalError(`stream: expected a kernel over blocks, got ${expr.op.name}`);
    }
    const inputs = this.#inputs(expr, block, blocks);
    const out = { rows: block.rows, cols: expr.cols, dtype: expr.dtype };
    const call = { inputs, attrs: expr.attrs, out, block: { ...block, payload: expr.payload } };
    try {
      return run(call, { blas: this.#context.kernels.blas, allocate });
    } catch (error) {
      throw asExecutionError(expr, error);
    }
  }

  #inputs(expr: Expr, block: BlockContext, blocks: ReadonlyMap<Expr, DenseMatrix>): DenseMatrix[] {
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    return expr.inputs.map((input, i) => {
      const byRows = rule.blocked[i] === true;
      const value = (byRows ? blocks.get(input) : undefined) ?? this.#pass.values.get(input);
      if (value === undefined) {
        throw new InternalError(`stream: expected a value of ${input.op.name} for ${expr.op.name}`);
      }
      return byRows && value.rows !== block.rows ? rowsOf(value, block) : value;
    });
  }

  async #takeIn(
    block: BlockContext,
    blocks: ReadonlyMap<Expr, DenseMatrix>,
    buffers: readonly Cells[],
    chunks: readonly RawChunk[],
  ): Promise<void> {
    const adding = this.#pass.sinks.map((expr) =>
      named(expr, () => this.#reducers.get(expr)!.add(this.#inputs(expr, block, blocks), block)),
    );
    const outcomes = await Promise.allSettled(adding);
    for (const buffer of buffers) this.#pool.release(buffer);
    // Blocks may be the columns that were read.
    for (const chunk of chunks) chunk.release?.();
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}

/** The rows of a block of a whole value, as a view. */
function rowsOf(value: DenseMatrix, block: BlockContext): DenseMatrix {
  return rowsView(value, block.rowOffset, block.rowOffset + block.rows);
}

async function named<T>(expr: Expr, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw asExecutionError(expr, error);
  }
}

/** A kernel's failure with the operator's name; named errors and aborts stay as they are. */
export function asExecutionError(expr: Expr, error: unknown): Error {
  if (error instanceof RepriseError) return error;
  if (error instanceof Error && error.name === 'AbortError') return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new ExecutionError(
    `${expr.op.name}: expected the local CPU to run it, got ${reason}`,
    { op: expr.op.name, backend: 'cpu' },
    { cause: error },
  );
}
