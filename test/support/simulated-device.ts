/**
 * A device in this process: one stream of kernels that run in later turns of the event loop, by the
 * reference, over memory of its own. Handles are answered at once. Its capacity is enforced in the
 * order of the stream, as stream-ordered allocators of GPUs do, so that a value freed behind its
 * last reader makes room for what is queued after. It says what it was asked to run and move, and
 * when the host waited.
 */

import type { Backend, BackendCosts, Segment, SegmentEnd } from '../../driver/backend/backend.js';
import { BackendTier } from '../../driver/backend/backend-tier.js';
import { evaluateByReference } from '../../driver/backend/reference-backend.js';
import { ResourceError } from '../../driver/errors.js';
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import type { DenseMatrix, Handle, Value } from '../../driver/ir/value.js';
import { call } from '../../driver/operators/call.js';
import { encode } from '../../driver/operators/encode.js';
import { frame } from '../../driver/operators/frame.js';
import { ops } from '../../driver/operators/index.js';

export interface DeviceOptions {
  readonly name: string;
  /** `memoryBytes` is what it has. */
  readonly costs: BackendCosts;
  /** What a node claims to take. @units seconds */
  readonly seconds: (expr: Expr) => number;
  readonly ops?: ReadonlySet<string>;
  /** Says that it streams, for plans alone: it runs all whole. */
  readonly streams?: boolean;
  /** Called before a kernel starts: throws to let it fail, waits to let it be late. */
  readonly onKernel?: (expr: Expr) => void | Promise<void>;
}

export interface SimulatedDevice extends Backend {
  readonly tier: BackendTier;
  readonly segments: Segment[];
  /** `queue`, `kernel <op>`, `wait`, `collect`, `full`, as they happen. */
  readonly log: string[];
  /** Times the host waited for a value that was not there. */
  readonly waits: () => number;
  /** Handles whose values were brought to the host, in order. */
  readonly collected: string[];
  readonly released: string[];
  /** Values that have a name. */
  readonly held: ReadonlyMap<string, Buffer>;
  /** Memory in use by values, and the most there ever was. @units bytes */
  readonly usedBytes: () => number;
  readonly peakBytes: () => number;
  /** Its work and transfers so far at its own costs, one after the other. @units seconds */
  readonly spentSeconds: () => number;
}

/** Memory of one value: empty until its kernel has run, and once it is freed. */
interface Buffer {
  readonly bytes: number;
  cells: DenseMatrix | undefined;
  error: Error | undefined;
  isDone: boolean;
}

export function simulatedDevice(options: DeviceOptions): SimulatedDevice {
  const { name, costs } = options;
  const capacityBytes = costs.memoryBytes ?? Infinity;
  const held = new Map<string, Buffer>();
  const segments: Segment[] = [];
  const log: string[] = [];
  const collected: string[] = [];
  const released: string[] = [];
  let stream: Promise<void> = Promise.resolve();
  let next = 1;
  let spent = 0;
  let waits = 0;
  /** As of the end of the queue, and as of the kernel that runs. */
  let reserved = 0;
  let used = 0;
  let peak = 0;

  const queue = (work: () => void | Promise<void>): Promise<void> => {
    stream = stream.then(nextTurn).then(work);
    return stream;
  };
  const take = (bytes: number): Buffer => {
    if (reserved + bytes > capacityBytes) {
      const available = capacityBytes - reserved;
      throw new ResourceError(
        `${name}: expected ${bytes} bytes of its memory, got ${available}; use smaller data or another placement`,
        { resource: `${name} memory`, requestedBytes: bytes, availableBytes: available },
      );
    }
    reserved += bytes;
    return { bytes, cells: undefined, error: undefined, isDone: false };
  };
  const fill = async (buffer: Buffer, make: () => Promise<DenseMatrix>): Promise<void> => {
    used += buffer.bytes;
    peak = Math.max(peak, used);
    try {
      buffer.cells = await make();
    } catch (error) {
      buffer.error = error as Error;
    }
    buffer.isDone = true;
  };
  const free = (buffer: Buffer): void => {
    used -= buffer.bytes;
    buffer.cells = undefined;
  };
  const bufferOf = (handle: Handle): Buffer => {
    const buffer = held.get(handle.id);
    if (buffer === undefined) throw new Error(`${name}: expected to hold ${handle.id}`);
    return buffer;
  };
  const cellsOf = ({ cells, error }: Buffer): DenseMatrix => {
    if (error !== undefined) throw error;
    if (cells === undefined) throw new Error(`${name}: expected a value, got freed memory`);
    return cells;
  };

  /** Takes memory in the order of the queue. What each step makes and frees; nothing has run. */
  const reserve = (segment: Segment): Step[] => {
    const kept = new Set([...segment.persist, ...segment.outputs]);
    const lastReader = new Map<Expr, Expr>();
    for (const node of segment.nodes) for (const input of node.inputs) lastReader.set(input, node);
    const buffers = new Map<Expr, Buffer>();
    const steps: Step[] = [];
    const load = (expr: Expr): Buffer => {
      const known = buffers.get(expr);
      if (known !== undefined) return known;
      const value = segment.inputs.get(expr) ?? evaluateByReference(expr, []);
      if (value.kind === 'handle') return bufferOf(value);
      const buffer = take(denseBytes(value));
      spent += denseBytes(value) / costs.uploadBytesPerSecond;
      steps.push({ buffer, operands: [], make: async () => value, frees: [] });
      buffers.set(expr, buffer);
      return buffer;
    };
    for (const expr of segment.nodes) {
      const operands = expr.inputs.map(load);
      const buffer = take(denseBytes(expr));
      buffers.set(expr, buffer);
      const frees: Buffer[] = [];
      for (const input of new Set([...expr.inputs, expr])) {
        const isRead = input === expr ? lastReader.has(expr) : lastReader.get(input) !== expr;
        const own = buffers.get(input);
        if (own === undefined || isRead || kept.has(input)) continue;
        frees.push(own);
        reserved -= own.bytes;
      }
      const make = async (cells: readonly DenseMatrix[]): Promise<DenseMatrix> => {
        log.push(`kernel ${expr.op.name}`);
        await options.onKernel?.(expr);
        return evaluateByReference(expr, cells);
      };
      steps.push({ expr, buffer, operands, make, frees });
    }
    return steps;
  };

  const device: SimulatedDevice = {
    name,
    capabilities: { ops: options.ops ?? allOps, blocks: options.streams ? 'stream' : 'none' },
    costs,
    tier: new BackendTier(name, (handle) => device.release!(handle), capacityBytes),
    segments,
    log,
    collected,
    released,
    held,
    waits: () => waits,
    usedBytes: () => used,
    peakBytes: () => peak,
    spentSeconds: () => spent,
    estimate: (expr) => ({ seconds: options.seconds(expr) }),
    run: async (segment, { signal }) => {
      signal?.throwIfAborted();
      const [before, spentBefore] = [reserved, spent];
      let steps: Step[];
      try {
        steps = reserve(segment);
      } catch (error) {
        [reserved, spent] = [before, spentBefore];
        log.push('full');
        throw error;
      }
      segments.push(segment);
      log.push('queue');
      spent += costs.exchangeSeconds;
      const failures = new Map<Expr, Error>();
      for (const { expr, buffer, operands, make, frees } of steps) {
        void queue(async () => {
          await fill(buffer, async () => {
            signal?.throwIfAborted();
            return make(operands.map(cellsOf));
          });
          if (expr !== undefined && buffer.error) failures.set(expr, buffer.error);
          for (const freed of frees) free(freed);
        });
      }
      for (const expr of segment.nodes) spent += options.seconds(expr);
      const seconds = spent - spentBefore;
      const values = new Map<Expr, Value>();
      const bufferAt = new Map(steps.map(({ expr, buffer }) => [expr, buffer]));
      for (const expr of new Set([...segment.persist, ...segment.outputs])) {
        const { rows, cols, dtype } = expr;
        const id = `${name}-${next++}`;
        held.set(id, bufferAt.get(expr)!);
        values.set(expr, {
          kind: 'handle',
          backend: name,
          id,
          rows,
          cols,
          dtype,
          bytes: denseBytes(expr),
        });
      }
      const ended = queue(() => {}).then((): SegmentEnd => ({ failures, seconds }));
      for (const expr of segment.outputs) {
        const handle = values.get(expr) as Handle;
        try {
          await device.arrived!(handle);
          values.set(expr, await device.collect!(handle, {}));
        } finally {
          device.release!(handle);
        }
      }
      const kernels = segment.nodes.length;
      return { values, kernels, passes: 0, sparkJobs: 0, ended };
    },
    arrived: async (handle) => {
      const buffer = bufferOf(handle);
      if (!buffer.isDone) {
        waits++;
        log.push('wait');
        while (!buffer.isDone) await nextTurn();
      }
      cellsOf(buffer);
    },
    collect: async (handle) => {
      collected.push(handle.id);
      log.push('collect');
      const value = cellsOf(bufferOf(handle));
      spent += costs.exchangeSeconds + denseBytes(value) / costs.downloadBytesPerSecond;
      return value;
    },
    release: (handle) => {
      const buffer = bufferOf(handle);
      released.push(handle.id);
      held.delete(handle.id);
      reserved -= buffer.bytes;
      void queue(() => free(buffer));
    },
    close: async () => {
      held.clear();
      await stream;
    },
  };
  return device;
}

/** One place in the stream: a copy from the host, or a kernel. */
interface Step {
  readonly expr?: Expr;
  readonly buffer: Buffer;
  readonly operands: readonly Buffer[];
  readonly make: (cells: readonly DenseMatrix[]) => Promise<DenseMatrix>;
  /** Freed behind it. */
  readonly frees: readonly Buffer[];
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const allOps = new Set(
  Object.values(ops)
    .filter((op) => op !== frame && op !== encode && op !== call)
    .map((op) => op.name),
);
