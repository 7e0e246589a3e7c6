/**
 * The local CPU backend: BLAS and LAPACK by FFI with JavaScript kernels around them, whole values
 * at once and row blocks in one bounded-memory stream. Invariant: it owns no state between runs but
 * the bound library, the frame engine and memory handed back for its next results.
 */

import type { Backend, CostEstimate, RunContext } from '../../driver/backend/backend.js';
import type { CostModel } from '../../driver/cost/cost-model.js';
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import type { FrameEngine } from '../../driver/ir/frame-engine.js';
import { type DenseMatrix, heldCells, type Value } from '../../driver/ir/value.js';
import type { FrameReader } from './frame-reader.js';
import { CellChainKernels } from './kernels/cell-chain.js';
import { codedBytes } from './kernels/coded-rows.js';
import { csrNodeBytes } from './kernels/csr-estimate.js';
import { hasCsr } from './kernels/csr-form.js';
import { supportedOps } from './kernels/index.js';
import { allocateBy, type KernelContext } from './kernels/kernel.js';
import { compileLoop } from './loops/program.js';
import type { Blas } from './native/blas.js';
import { type BlasOptions, loadBlas } from './native/load-blas.js';
import { KernelChoice, type ProviderSetting, providerSetting } from './providers/kernel-choice.js';
import { ResultMemory } from './result-memory.js';
import { ReducerThread } from './rows/reducer-thread.js';
import { RowThreads } from './rows/row-threads.js';
import { runSegment } from './segment.js';
import { isScanned, type StreamContext } from './stream.js';
import { evaluateSync } from './whole.js';

export interface CpuBackendOptions extends BlasOptions {
  /** Reads frames; closed with the backend. Default: DuckDB in this process. */
  readonly frames?: FrameEngine & FrameReader;
  /** Assumed cost of compiling a cell chain; 0: at once. Default: measured. @units seconds */
  readonly chainCompileSeconds?: number;
  /** Work over rows after which helper threads are started. Default: measured. @units flops */
  readonly helperFlops?: number;
  /** Whether TensorFlow.js may run kernels, or always does. Default: REPRISE_TENSORFLOW, `auto`. */
  readonly tensorflow?: ProviderSetting;
  /** Where it is kept which kernels are quicker. Default: as long as the backend. */
  readonly costs?: CostModel;
}

/** Sustained rates for estimates, from measurements on two cores at 2 GHz. @units per second */
const NATIVE_LANE_FLOPS = 25e9;
const SCRIPT_FLOPS = 1e9;
/** Steps of a chain, whose values stay in registers. */
const CHAIN_FLOPS = 2e9;
/** Steps of many operations, on lanes. */
const LANE_FLOPS = 6e9;
const MEMORY_BYTES = 8e9;
/** Writing a result into memory the process did not have: each page comes from the system first. */
const FRESH_BYTES = 1.4e9;

/** @throws ConfigError when a named BLAS can't be used or the thread count is wrong */
export async function createCpuBackend(options: CpuBackendOptions = {}): Promise<CpuBackend> {
  const blas = loadBlas(options);
  const chains = new CellChainKernels(options.chainCompileSeconds);
  const { blas: library, helperFlops } = options;
  const rows = new RowThreads(blas, library === undefined ? {} : { blas: library }, helperFlops);
  const reducers = new ReducerThread(blas, helperFlops);
  const setting = providerSetting(options.tensorflow);
  const choice = new KernelChoice(blas, setting, options.costs);
  if (setting === 'always') await choice.prepare();
  const frames = options.frames ?? (await import('./duckdb/index.js')).createDuckDbEngine();
  return new CpuBackend(blas, frames, chains, rows, reducers, choice);
}

export class CpuBackend implements Backend {
  readonly name = 'cpu';
  readonly capabilities = { ops: supportedOps, blocks: 'stream' } as const;
  readonly frames: FrameEngine & FrameReader;
  /** The routines in use, for `doctor` and the run's record. */
  readonly blas: Blas;
  /** Which kernels another library runs. */
  readonly choice: KernelChoice;
  readonly #memory = new ResultMemory();
  readonly #kernels: KernelContext;
  readonly #chains: CellChainKernels;
  readonly #rows: RowThreads;
  readonly #reducers: ReducerThread;

  constructor(
    blas: Blas,
    frames: FrameEngine & FrameReader,
    chains: CellChainKernels,
    rows: RowThreads,
    reducers: ReducerThread,
    choice: KernelChoice,
  ) {
    this.#chains = chains;
    this.#rows = rows;
    this.#reducers = reducers;
    this.blas = blas;
    this.frames = frames;
    this.choice = choice;
    this.#kernels = {
      blas,
      choice,
      allocate: allocateBy((cells, dtype) => this.#memory.acquire(cells, dtype)),
    };
  }

  heldBytes(expr: Expr): number {
    return csrNodeBytes(expr) ?? codedBytes(expr) ?? denseBytes(expr);
  }

  estimate(expr: Expr): CostEstimate {
    const { work } = expr.op;
    const isBlas = work === 'product' || work === 'factorise';
    const flops = expr.op.flops(expr.inputs, expr.attrs, expr);
    const onLanes = expr.op.program !== undefined;
    const cellRate = onLanes ? LANE_FLOPS : SCRIPT_FLOPS;
    const rate =
      isBlas && this.blas.kind === 'native' ? NATIVE_LANE_FLOPS * this.blas.lanes : cellRate;
    const written = this.heldBytes(expr);
    let read = 0;
    // What moves cells reads those it copies, whatever they are cut from.
    if (work === 'move') read = written;
    else for (const input of expr.inputs) read += this.heldBytes(input);
    const seconds = flops / rate + read / MEMORY_BYTES + written / FRESH_BYTES;
    return work !== 'cells' && work !== 'move'
      ? { seconds }
      : { seconds, chainSeconds: flops / (onLanes ? LANE_FLOPS : CHAIN_FLOPS) };
  }

  runSync(expr: Expr, inputs: readonly Value[]): Value | undefined {
    if (isScanned(expr)) return undefined;
    for (const input of inputs) if (input.kind !== 'dense') return undefined;
    return evaluateSync(expr, inputs as readonly DenseMatrix[], this.#kernels);
  }

  runChain(nodes: readonly Expr[], inputs: ReadonlyMap<Expr, DenseMatrix>): DenseMatrix {
    // Steps keep compressed rows compressed where they can.
    const isLoop = !hasCsr([...inputs.values()]);
    const value = isLoop ? this.#chains.run(nodes, inputs, this.#kernels) : undefined;
    return value ?? this.#runSteps(nodes, inputs);
  }

  /** One after the other, each value's memory handed on after its last reader. */
  #runSteps(nodes: readonly Expr[], inputs: ReadonlyMap<Expr, DenseMatrix>): DenseMatrix {
    const values = new Map(inputs);
    const lastReader = new Map<Expr, Expr>();
    for (const node of nodes) for (const input of node.inputs) lastReader.set(input, node);
    for (const node of nodes) {
      const operands = node.inputs.map((input) => values.get(input)!);
      values.set(node, evaluateSync(node, operands, this.#kernels)!);
      for (const input of new Set(node.inputs)) {
        if (inputs.has(input) || lastReader.get(input) !== node) continue;
        this.recycle(values.get(input)!);
      }
    }
    return values.get(nodes.at(-1)!)!;
  }

  recycle(value: DenseMatrix): void {
    const cells = heldCells(value);
    if (cells !== undefined) this.#memory.release(cells);
  }

  compileLoop: NonNullable<Backend['compileLoop']> = (body, context) =>
    compileLoop(body, this.#streamContext(context));

  run: Backend['run'] = async (segment, context) => {
    await this.choice.prepare(segment.nodes);
    return runSegment(segment, this.#streamContext(context));
  };

  #streamContext(context: RunContext): StreamContext {
    const { frames } = this;
    const [kernels, rows, reducers] = [this.#kernels, this.#rows, this.#reducers];
    return { ...context, kernels, frames, rows, reducers };
  }

  async close(): Promise<void> {
    this.#rows.close();
    this.#reducers.close();
    const { close } = this.frames as { close?: () => unknown };
    await close?.call(this.frames);
  }
}
