/**
 * A remote backend in this process: it computes by the reference, keeps values under handles as a
 * cluster (`resident`) or a GPU (`none`) does, and says what it was asked to move. For tests of
 * placement, transfers and migration, where what travelled matters and an engine's own time must
 * not.
 */

import type { Backend, BackendCosts, Segment } from '../../driver/backend/backend.js';
import { evaluateByReference } from '../../driver/backend/reference-backend.js';
import type { Expr } from '../../driver/ir/expr.js';
import { denseBytes } from '../../driver/ir/expr.js';
import type { DenseMatrix, Handle, Value } from '../../driver/ir/value.js';
import { call } from '../../driver/operators/call.js';
import { encode } from '../../driver/operators/encode.js';
import { frame } from '../../driver/operators/frame.js';
import { ops } from '../../driver/operators/index.js';

export interface SimulatedOptions {
  readonly name: string;
  readonly blocks: 'none' | 'resident';
  readonly costs: BackendCosts;
  /** What a node claims to take, without a start. @units seconds */
  readonly seconds: (expr: Expr) => number;
  readonly ops?: ReadonlySet<string>;
}

export interface SimulatedBackend extends Backend {
  readonly segments: Segment[];
  /** Handles whose values were brought to the host, in order. */
  readonly collected: string[];
  readonly released: string[];
  /** Its work and transfers so far at its own costs, one after the other. @units seconds */
  readonly spentSeconds: () => number;
  /** Values held now. */
  readonly held: ReadonlyMap<string, DenseMatrix>;
}

export function simulatedBackend(options: SimulatedOptions): SimulatedBackend {
  const { name, blocks, costs } = options;
  const held = new Map<string, DenseMatrix>();
  const segments: Segment[] = [];
  const collected: string[] = [];
  const released: string[] = [];
  let next = 1;
  let spent = 0;
  const move = (values: Iterable<Value>, bytesPerSecond: number): void => {
    for (const value of values) {
      if (value.kind === 'dense') spent += denseBytes(value) / bytesPerSecond;
    }
  };
  const cellsOf = (value: Value): DenseMatrix => {
    if (value.kind === 'dense') return value;
    const found = held.get(value.id);
    if (found === undefined) throw new Error(`${name}: expected to hold ${value.id}`);
    return found;
  };
  const keep = (expr: Expr, value: DenseMatrix): Handle => {
    const id = `${name}-${next++}`;
    held.set(id, value);
    return {
      kind: 'handle',
      backend: name,
      id,
      rows: expr.rows,
      cols: expr.cols,
      dtype: expr.dtype,
      bytes: denseBytes(expr),
    };
  };
  const all = new Set(Object.values(ops).map((op) => op.name));
  all.delete(frame.name);
  all.delete(encode.name);
  all.delete(call.name);
  return {
    name,
    capabilities: { ops: options.ops ?? all, blocks },
    costs,
    segments,
    collected,
    released,
    held,
    spentSeconds: () => spent,
    estimate: (expr) => ({ seconds: options.seconds(expr) }),
    run: async (segment) => {
      segments.push(segment);
      const values = new Map<Expr, DenseMatrix>();
      const read = (expr: Expr): DenseMatrix => {
        const inside = values.get(expr);
        if (inside !== undefined) return inside;
        const given = segment.inputs.get(expr);
        return given === undefined ? evaluateByReference(expr, []) : cellsOf(given);
      };
      for (const expr of segment.nodes) {
        values.set(expr, evaluateByReference(expr, expr.inputs.map(read)));
      }
      spent += costs.exchangeSeconds;
      for (const expr of segment.nodes) spent += options.seconds(expr);
      move(segment.inputs.values(), costs.uploadBytesPerSecond);
      const results = new Map<Expr, Value>();
      for (const expr of segment.outputs) results.set(expr, read(expr));
      for (const expr of segment.persist) results.set(expr, keep(expr, read(expr)));
      move(results.values(), costs.downloadBytesPerSecond);
      const passes = segment.blocked.size > 0 ? 1 : 0;
      const sparkJobs = blocks === 'resident' ? 1 : 0;
      return { values: results, kernels: segment.nodes.length, passes, sparkJobs };
    },
    collect: async (handle) => {
      collected.push(handle.id);
      const value = cellsOf(handle);
      spent += costs.exchangeSeconds;
      move([value], costs.downloadBytesPerSecond);
      return value;
    },
    release: (handle) => {
      released.push(handle.id);
      held.delete(handle.id);
    },
    close: async () => held.clear(),
  };
}
