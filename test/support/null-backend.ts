/**
 * Computes nothing: every value is a shell of zeros of the right shape (one shared buffer). It
 * records what it was asked to run, in order, so that scheduling, caching and planning are tested
 * without data or devices.
 */

import type { Backend, BackendCapabilities, Segment } from '../../driver/backend/backend.js';
import type { Typed } from '../../driver/ir/dtype.js';
import { denseBytes, type Expr, type Meta } from '../../driver/ir/expr.js';
import {
  cellsOf,
  type DenseMatrix,
  dense,
  type Handle,
  type Value,
} from '../../driver/ir/value.js';
import { ops } from '../../driver/operators/index.js';

export interface NullBackendOptions {
  readonly name?: string;
  /** How it claims to evaluate row blocks; default `stream`. */
  readonly blocks?: BackendCapabilities['blocks'];
  /** Operators it claims; default all. */
  readonly ops?: ReadonlySet<string>;
  /** False to send everything through `run`. Default true. */
  readonly sync?: boolean;
  /** What a node claims to cost. @units seconds */
  readonly seconds?: (expr: Expr) => number;
  /** Called before a node "runs"; throws to test failures, waits to test overlap. */
  readonly onNode?: (expr: Expr) => void;
  readonly onSegment?: (segment: Segment) => Promise<void>;
}

export interface NullBackend extends Backend {
  /** Every node run, in order. */
  readonly order: readonly Expr[];
  /** Every segment run, in order. */
  readonly segments: readonly Segment[];
  /** Ids of the handles released, in order. */
  readonly released: readonly string[];
  readonly isClosed: () => boolean;
}

/** A backend that records and computes nothing. */
export function createNullBackend(options: NullBackendOptions = {}): NullBackend {
  const name = options.name ?? 'null';
  const blocks = options.blocks ?? 'stream';
  const order: Expr[] = [];
  const segments: Segment[] = [];
  const released: string[] = [];
  let closed = false;
  let nextHandle = 1;
  const touch = (expr: Expr): void => {
    options.onNode?.(expr);
    order.push(expr);
  };
  const sync = (expr: Expr): Value => {
    touch(expr);
    return shell(expr);
  };
  const handle = (expr: Expr): Handle => ({
    kind: 'handle',
    backend: name,
    id: `${name}-${nextHandle++}`,
    rows: expr.rows,
    cols: expr.cols,
    dtype: expr.dtype,
    bytes: denseBytes(expr),
  });
  return {
    name,
    capabilities: { ops: options.ops ?? new Set(Object.keys(ops)), blocks },
    order,
    segments,
    released,
    isClosed: () => closed,
    estimate: (expr) => ({ seconds: options.seconds?.(expr) ?? 0 }),
    ...(options.sync === false ? {} : { runSync: sync }),
    run: async (segment, context) => {
      segments.push(segment);
      await options.onSegment?.(segment);
      context.signal?.throwIfAborted();
      for (const node of segment.nodes) touch(node);
      const values = new Map<Expr, Value>();
      for (const expr of segment.outputs) values.set(expr, shell(expr));
      for (const expr of segment.persist) values.set(expr, handle(expr));
      context.onProgress?.(1);
      const passes = segment.blocked.size > 0 ? 1 : 0;
      return { values, kernels: segment.nodes.length, passes, sparkJobs: 0 };
    },
    collect: async (handle) => shell(handle),
    release: (handle) => {
      released.push(handle.id);
    },
    close: async () => {
      closed = true;
    },
  };
}

let zeros = new ArrayBuffer(1024);

/** Zeros of that shape in a buffer all shells share, so that large shells cost little. */
function shell(of: Meta & Typed): DenseMatrix {
  const cells = of.rows * of.cols;
  if (zeros.byteLength < cells * 8) zeros = new ArrayBuffer(cells * 8);
  return dense(of.rows, of.cols, cellsOf(of.dtype, cells, zeros));
}
