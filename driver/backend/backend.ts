/**
 * The one interface every backend implements: reference, null, local CPU, GPU, Spark. Backends are
 * passed to the `Session` as values; the driver imports none of them. A backend executes segments
 * and owns no policy: what runs where, what is kept and what is evicted is decided by the compiler
 * and the reuse cache.
 */

import { denseBytes, type Expr } from '../ir/expr.js';
import type { FrameEngine } from '../ir/frame-engine.js';
import type { DenseMatrix, Handle, Value } from '../ir/value.js';
import type { CacheTier } from './cache-tier.js';
import type { LoopBody, LoopProgram } from './loop-program.js';

export interface BackendCapabilities {
  /** Operators it has kernels for. */
  readonly ops: ReadonlySet<string>;
  /**
   * How it evaluates nodes over row blocks: `none` (every value whole), `stream` (in bounded
   * memory, one pass over the source per segment) or `resident` (blocks stay in the backend as
   * handles, as RDDs do).
   */
  readonly blocks: 'none' | 'stream' | 'resident';
}

/** Rows [from, to) that a reduction takes by rows, and the node that their result is kept under. */
export interface SegmentPart {
  readonly expr: Expr;
  readonly from: number;
  readonly to: number;
}

/** A connected piece of the plan that one backend runs in one go. */
export interface Segment {
  /** Nodes to evaluate, inputs before consumers. */
  readonly nodes: readonly Expr[];
  /** Values of the inputs that are not themselves in `nodes`. */
  readonly inputs: ReadonlyMap<Expr, Value>;
  /** The nodes whose values are wanted on the host. */
  readonly outputs: readonly Expr[];
  /** Nodes to keep resident as handles (`resident` backends only). */
  readonly persist: readonly Expr[];
  /** Of these, what later plans alone would read: left out where that saves making it whole. */
  readonly spare?: ReadonlySet<Expr>;
  /** Nodes of the segment that are evaluated by row blocks. */
  readonly blocked: ReadonlySet<Expr>;
  /** Each node is evaluated by one kernel over whole values, also where it could go by rows. */
  readonly isWhole?: boolean;
  /** True: persisted nodes that no output reads are computed by the first segment to read them. */
  readonly lazy?: boolean;
  /** Reductions whose results over consecutive parts are wanted too, by the nodes of the parts. */
  readonly parts?: ReadonlyMap<Expr, readonly SegmentPart[]>;
}

export interface RunContext {
  readonly signal?: AbortSignal;
  /** Called with 0..1 as a long segment advances. */
  readonly onProgress?: (fraction: number) => void;
}

export interface SegmentResult {
  /** One value per output and per persisted node; those of parts where the backend makes them. */
  readonly values: ReadonlyMap<Expr, Value>;
  /** Kernels executed; a kernel run block by block counts once. */
  readonly kernels: number;
  /** Passes over a source's data. */
  readonly passes: number;
  readonly sparkJobs: number;
  /**
   * There when handles were answered before their kernels have run: settles with the last of them.
   * Never rejects, and nobody waits for it to go on.
   */
  readonly ended?: Promise<SegmentEnd>;
}

/** What became of a segment whose handles were answered at once. */
export interface SegmentEnd {
  /** Nodes without a value and why: those whose kernels failed, and those that read such nodes. */
  readonly failures: ReadonlyMap<Expr, Error>;
  /** Time the device worked on it. @units seconds */
  readonly seconds: number;
  /** Kernels were compiled for it, some perhaps when they were launched: no measure of the work. */
  readonly isFirst?: boolean;
}

export interface CostEstimate {
  /** Expected wall time of the node run alone. @units seconds */
  readonly seconds: number;
  /** As one step of a chain or a row block, in the cache. Default: `seconds`. @units seconds */
  readonly chainSeconds?: number;
  /** The time in `seconds` to start the segment, shared by its nodes. Default 0. @units seconds */
  readonly startSeconds?: number;
}

/** What moving values to and from a backend costs at first; `cost/cost-model.ts` corrects it. */
export interface BackendCosts {
  /** One exchange with the backend, however small. @units seconds */
  readonly exchangeSeconds: number;
  /** From the host's memory into the backend. @units bytes/s */
  readonly uploadBytesPerSecond: number;
  /** From the backend to the host's memory. @units bytes/s */
  readonly downloadBytesPerSecond: number;
  /** What the backend can hold of values kept there. Default: no limit. @units bytes */
  readonly memoryBytes?: number;
}

/** What a device did since it was opened; only grows, but for the bytes. */
export interface DeviceWork {
  readonly allocations: number;
  readonly frees: number;
  /** Memory given again without an allocation. */
  readonly recycled: number;
  /** Values in its memory that a later plan read. */
  readonly reused: number;
  /** Values that nobody finds any more because their memory was needed. */
  readonly evicted: number;
  /** Values of running plans that went to the host for want of room, and came back. */
  readonly movedOut: number;
  readonly movedBack: number;
  /** From the host, and to it. */
  readonly copiesIn: number;
  readonly copiesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Straight from other devices. */
  readonly copiesAcross: number;
  readonly bytesAcross: number;
  readonly launches: number;
  /** Times somebody waited for it. */
  readonly waits: number;
  /** Kernels compiled. */
  readonly compiles: number;
  /** Times it was lost with all that it held. */
  readonly losses: number;
  /** In use and free to be used again, the most there ever was. @units bytes */
  readonly peakBytes: number;
}

export interface Backend {
  /** Unique in a session: `cpu`, `spark`, `reference`, `null`. */
  readonly name: string;
  /**
   * What its costs are learned under. Default: `name`. A device's says what it is and by which
   * driver: another may go by its name in the next process.
   */
  readonly costName?: string;
  readonly capabilities: BackendCapabilities;
  /** What transfers cost. Absent: values are in the host's memory, and moving them is free. */
  readonly costs?: BackendCosts;
  /** Keeps values that stay here, under the reuse cache. Default: `release` when dropped. */
  readonly tier?: CacheTier;
  /** Reads frames for this backend; absent when it can't. */
  readonly frames?: FrameEngine;
  /** What the whole value of a node takes in this backend. Default: its cells. @units bytes */
  heldBytes?(expr: Expr): number;
  /** Whether it has a kernel for this node, of an operator it has. Absent: always. */
  takes?(expr: Expr): boolean;
  /** Expected cost of one node on this backend, without transfers. */
  estimate(expr: Expr): CostEstimate;
  /**
   * The fast path: evaluates one node over whole host values at once, without a promise.
   * Undefined when the node is better run asynchronously through `run`.
   * @throws ExecutionError with the operator and the native cause
   */
  runSync?(expr: Expr, inputs: readonly Value[]): Value | undefined;
  /**
   * Evaluates cell-by-cell nodes together, of which only the last one's value is wanted: `nodes`
   * have one shape and come inputs before consumers.
   * @throws ExecutionError
   */
  runChain?(nodes: readonly Expr[], inputs: ReadonlyMap<Expr, DenseMatrix>): DenseMatrix;
  /**
   * A loop's body as one program over memory of its own; the reason where it is better run node by
   * node. Nothing has run yet.
   */
  compileLoop?(body: LoopBody, context: RunContext): LoopProgram | string;
  /**
   * Runs a segment. On failure nothing of it stays behind.
   *
   * A device (`SessionOptions.devices`) gets runs of nodes with `persist` alone. It queues them in
   * order, takes the memory they need in that order, and answers handles at once; operands may be
   * handles whose kernels have not run yet. What of a segment is not persisted it frees behind the
   * last kernel that reads it. Host operands may be read until `ended`.
   * @throws ExecutionError, DataError; ResourceError when the device's memory is too small: its
   *   tier is asked to make room for `requestedBytes`, and the segment comes again; UnsupportedError
   *   for what a device can't run after all, which the host does
   */
  run(segment: Segment, context: RunContext): Promise<SegmentResult>;
  /** Settles when the value of a handle answered before its kernel ran is there. @throws why not */
  arrived?(handle: Handle): Promise<void>;
  /** Brings a resident value, which has arrived, to the host. */
  collect?(handle: Handle, context: RunContext): Promise<Value>;
  /**
   * Copies the value of a handle of another backend straight from there, without waiting for it.
   * @returns a handle of its own, which the caller releases; undefined: it comes by the host
   */
  adopt?(handle: Handle, from: Backend): Promise<Handle | undefined>;
  /**
   * Takes back the memory of a host value it made, which nobody will read again, for its next
   * results. Results of element-wise operators then have memory of their own, never their
   * operands'.
   */
  recycle?(value: DenseMatrix): void;
  /** Drops a resident value; never blocks. A device frees it after the kernels queued before. */
  release?(handle: Handle): void;
  /**
   * Opens anew what `BackendLostError` says has ended; handles made before name nothing any more.
   * Whoever comes second finds it done. Absent: a loss is final. @throws what opening it throws
   */
  recover?(): Promise<void>;
  /** Sends ahead a host value that segments will read whole. Returns at once; may fail silently. */
  announce?(value: Value): void;
  /** Whether a handle this backend made still names a value. Absent: always. */
  holds?(handle: Handle): boolean;
  /** What it did as a device. Absent: it is none, or does not count. */
  work?(): DeviceWork;
  /** Ends the backend and everything it started. Idempotent. */
  close(): Promise<void>;
}

/** What the whole value of a node takes on a backend. @units bytes */
export function heldBytes(backend: Backend, expr: Expr): number {
  return backend.heldBytes?.(expr) ?? denseBytes(expr);
}
