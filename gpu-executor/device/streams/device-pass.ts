/**
 * One pass over row blocks on a device. A block is copied while kernels compute on the one before;
 * sums are joined in the order of the rows. Invariants: memory is taken with the first blocks and
 * serves the others; how rows are divided follows from shapes and from what the device may hold; at
 * most three blocks are on their way; when it fails it leaves nothing behind.
 */
import type { Segment } from '../../../driver/backend/backend.js';
import { evaluateByReference } from '../../../driver/backend/reference-backend.js';
import { denseBytes, type Expr } from '../../../driver/ir/expr.js';
import { rowOperandsOf } from '../../../driver/ir/op-def.js';
import {
  type Cells,
  cellsOf,
  converted,
  type DenseMatrix,
  dense,
  type Value,
} from '../../../driver/ir/value.js';
import type { DeviceEvent } from '../driver.js';
import { type FusionRule, launchGroups } from '../launch-groups.js';
import type { Block } from '../memory/device-memory.js';
import { type LaunchedValue, type LaunchPlace, SegmentLaunch } from '../segment-launch.js';
import { type BlockProgram, BlockPrograms, type PassNodes } from './block-program.js';
import {
  BLOCKS_IN_FLIGHT,
  type BroughtRows,
  DeviceRows,
  HostRows,
  type RowFeed,
} from './row-feed.js';
import type { StreamLimits } from './stream-plan.js';

/** Rows of the widest operand in a block: copies of that size run at full speed. @units bytes */
const BLOCK_BYTES = 32 * 1024 * 1024;
/** Of what the device may hold, for all blocks on their way. */
const BLOCKS_SHARE = 1 / 4;

export interface PassOptions {
  readonly place: LaunchPlace;
  readonly limits: StreamLimits;
  readonly mayFuse: FusionRule;
  readonly signal?: AbortSignal | undefined;
}

export interface PassResult {
  /** Sums on the device, locked. */
  readonly sums: ReadonlyMap<Expr, LaunchedValue>;
  /** Sums that were joined on the host, and rows that were brought there. */
  readonly values: ReadonlyMap<Expr, DenseMatrix>;
  readonly kernels: number;
  readonly last: DeviceEvent | undefined;
  /** Time that compiling took. */
  readonly preparedMs: number;
}

/** A block that is queued. */
interface QueuedBlock {
  done: DeviceEvent;
  /** Being read on the copy queue. */
  readonly blocks: readonly Block[];
  /** What the block gives to sums that are joined on the host. */
  readonly parts: ReadonlyMap<Expr, DenseMatrix>;
}

/** The next rows of every operand. */
interface NextBlock {
  readonly from: number;
  readonly to: number;
  readonly program: BlockProgram;
  readonly operands: ReadonlyMap<Expr, BroughtRows>;
}

export class DevicePass {
  readonly #pass: PassNodes;
  readonly #values: ReadonlyMap<Expr, Value>;
  readonly #options: PassOptions;
  readonly #programs: BlockPrograms;
  readonly #feeds = new Map<Expr, RowFeed>();
  #wholes: ReadonlyMap<Expr, LaunchedValue> = new Map();
  #sums = new Map<Expr, LaunchedValue>();
  readonly #hostSums = new Map<Expr, DenseMatrix>();
  readonly #written: ReadonlyMap<Expr, Cells>;
  readonly #queued: QueuedBlock[] = [];
  #last: DeviceEvent | undefined;
  #preparedMs = 0;

  constructor(pass: PassNodes, values: ReadonlyMap<Expr, Value>, options: PassOptions) {
    const { properties } = options.place.device;
    this.#pass = pass;
    this.#values = values;
    this.#options = options;
    this.#programs = new BlockPrograms(pass, properties, options.mayFuse);
    this.#written = new Map(
      pass.written.map((expr) => [expr, cellsOf(expr.dtype, expr.rows * expr.cols)]),
    );
  }

  /** @throws AbortError, ResourceError, UnsupportedError, BackendLostError */
  async run(): Promise<PassResult> {
    const { rows } = this.#pass;
    const blockRows = this.#blockRows();
    let next: NextBlock | undefined;
    try {
      this.#open(blockRows);
      next = this.#bring(0, Math.min(rows, blockRows));
      while (next !== undefined) {
        this.#options.signal?.throwIfAborted();
        const block: NextBlock = next;
        const { to } = block;
        // Before the rows of this block are asked for back: the copy queue keeps its order.
        next = to < rows ? this.#bring(to, Math.min(rows, to + blockRows)) : undefined;
        this.#launch(block);
        await this.#settle(BLOCKS_IN_FLIGHT - 1);
      }
      if (this.#written.size + this.#programs.joinedOnHost.size > 0) await this.#settle(0);
      return this.#result();
    } catch (error) {
      for (const brought of next?.operands.values() ?? []) brought.read(undefined);
      await this.#settle(0).catch(() => undefined);
      for (const { block } of this.#sums.values()) this.#options.place.memory.release(block);
      throw error;
    } finally {
      this.#close();
    }
  }

  /** A power of two, so that passes over one operand mostly cut it alike. */
  #blockRows(): number {
    const { rows } = this.#pass;
    const { memoryBytes, largestBytes, rowsPerBlock } = this.#options.limits;
    if (rowsPerBlock !== undefined) return Math.min(rows, rowsPerBlock);
    const widest = Math.max(...this.#rowOperands().map((expr) => denseBytes(expr) / rows));
    const most = Math.min(BLOCK_BYTES, largestBytes) / widest;
    let blockRows = 2 ** Math.max(0, Math.floor(Math.log2(Math.min(most, rows))));
    while (blockRows > 1 && this.#needed(blockRows) > memoryBytes * BLOCKS_SHARE) blockRows /= 2;
    return blockRows;
  }

  /** What blocks on their way take at most. @units bytes */
  #needed(blockRows: number): number {
    const { bytes, written } = this.#programs.of(blockRows, false);
    const inFlight = [...this.#rowOperands(), ...written.keys()];
    return inFlight.reduce(
      (sum, { cols, dtype }) =>
        sum + BLOCKS_IN_FLIGHT * denseBytes({ rows: blockRows, cols, dtype }),
      bytes,
    );
  }

  #rowOperands(): readonly Expr[] {
    const { maps, sinks } = this.#pass;
    const made = new Set(maps);
    const operands = new Set([...maps, ...sinks].flatMap(rowOperandsOf));
    return [...operands].filter((expr) => !made.has(expr));
  }

  /** Takes operands that are read whole, and memory for those that are read by rows. */
  #open(blockRows: number): void {
    const { place } = this.#options;
    const { wholeLeaves } = this.#programs.of(blockRows, true);
    const inputs = new Map([...wholeLeaves.keys()].map((expr) => [expr, this.#valueOf(expr)]));
    const persist = [...wholeLeaves.keys()];
    const wholes = segmentOf([], inputs, persist);
    this.#wholes = new Map(new SegmentLaunch(place, wholes).queue([]));
    const room = { bytes: place.memory.roomForCopies - this.#needed(blockRows) };
    for (const expr of this.#rowOperands()) {
      const value = this.#valueOf(expr);
      const bytes = denseBytes({ rows: blockRows, cols: expr.cols, dtype: expr.dtype });
      const feed =
        value.kind === 'handle'
          ? new DeviceRows(place, expr, value)
          : new HostRows(place, value, bytes, expr.isDeterministic ? room : undefined);
      this.#feeds.set(expr, feed);
    }
  }

  #valueOf(expr: Expr): Value {
    return this.#values.get(expr) ?? evaluateByReference(expr, []);
  }

  #bring(from: number, to: number): NextBlock {
    const program = this.#programs.of(to - from, from === 0);
    const operands = new Map<Expr, BroughtRows>();
    try {
      for (const [expr, leaf] of program.rowLeaves) {
        operands.set(leaf, this.#feeds.get(expr)!.bring(from, to));
      }
      return { from, to, program, operands };
    } catch (error) {
      for (const brought of operands.values()) brought.read(undefined);
      throw error;
    }
  }

  #launch({ from, to, program, operands }: NextBlock): void {
    const { place } = this.#options;
    const bound = new Map([...operands].map(([leaf, { value }]) => [leaf, value]));
    for (const [expr, leaf] of program.wholeLeaves) bound.set(leaf, this.#wholes.get(expr)!);
    for (const [sink, leaf] of program.before) bound.set(leaf, this.#sums.get(sink)!);
    const launch = new SegmentLaunch(place, program.segment, bound);
    let isQueued = false;
    try {
      const made = launch.queue(program.groups);
      isQueued = true;
      this.#last = launch.last;
      this.#preparedMs += launch.preparedMs;
      this.#take(program, made, from, to);
      place.device.flush();
    } finally {
      for (const brought of operands.values()) brought.read(isQueued ? launch.last : undefined);
    }
  }

  /** Sums stay; rows and what the host joins are read on the copy queue. */
  #take(
    program: BlockProgram,
    made: ReadonlyMap<Expr, LaunchedValue>,
    from: number,
    to: number,
  ): void {
    const { device, memory } = this.#options.place;
    const reads: (readonly [LaunchedValue, Cells])[] = [];
    const parts = new Map<Expr, DenseMatrix>();
    for (const [sink, sum] of program.sums) {
      const value = made.get(sum)!;
      if (this.#programs.joinedOnHost.has(sink)) {
        const { rows, cols, dtype } = sum;
        const part = dense(rows, cols, cellsOf(dtype, rows * cols));
        parts.set(sink, part);
        reads.push([value, part.data]);
        continue;
      }
      const before = this.#sums.get(sink);
      this.#sums.set(sink, value);
      if (before !== undefined) memory.release(before.block);
    }
    for (const [expr, node] of program.written) {
      const cells = this.#written.get(expr)!;
      reads.push([made.get(node)!, cells.subarray(from * expr.cols, to * expr.cols)]);
    }
    const queued = { done: this.#last!, blocks: reads.map(([{ block }]) => block), parts };
    // Before it is read: its blocks are released with it whatever happens.
    this.#queued.push(queued);
    for (const [{ block, event }, cells] of reads) {
      queued.done = device.read(block.pointer, cells, { queue: 'copy', after: [event] });
    }
  }

  /** Waits until so many blocks at most are on their way. */
  async #settle(most: number): Promise<void> {
    const { device, memory } = this.#options.place;
    while (this.#queued.length > most) {
      const { done, blocks, parts } = this.#queued.shift()!;
      try {
        await device.wait(done);
      } finally {
        for (const block of blocks) memory.release(block);
      }
      for (const [sink, part] of parts) {
        const before = this.#hostSums.get(sink);
        const sum = converted(part, 'float64');
        const { op, attrs } = sink;
        this.#hostSums.set(
          sink,
          before ? op.combine!(converted(before, 'float64'), sum, attrs) : sum,
        );
      }
    }
  }

  #result(): PassResult {
    const { rows } = this.#pass;
    const values = new Map<Expr, DenseMatrix>();
    for (const [expr, cells] of this.#written) values.set(expr, dense(rows, expr.cols, cells));
    for (const [sink, sum] of this.#hostSums) values.set(sink, converted(sum, sink.dtype));
    for (const [sink, sum] of this.#sums) this.#sums.set(sink, this.#ofDType(sink, sum));
    const kernels = this.#pass.maps.length + this.#pass.sinks.length;
    const last = this.#last;
    return { sums: this.#sums, values, kernels, last, preparedMs: this.#preparedMs };
  }

  /** A sum as its node has it. */
  #ofDType(sink: Expr, sum: LaunchedValue): LaunchedValue {
    const { place } = this.#options;
    const cast = this.#programs.cast(sink);
    if (cast === undefined) return sum;
    const segment = segmentOf([cast], new Map(), [cast]);
    const groups = launchGroups(segment, place.device.properties, () => false);
    const launch = new SegmentLaunch(place, segment, new Map([[cast.inputs[0]!, sum]]));
    const made = launch.queue(groups).get(cast)!;
    place.memory.release(sum.block);
    this.#last = launch.last;
    this.#preparedMs += launch.preparedMs;
    return made;
  }

  #close(): void {
    const { memory } = this.#options.place;
    for (const feed of this.#feeds.values()) feed.close();
    for (const { block } of this.#wholes.values()) memory.release(block);
  }
}

function segmentOf(
  nodes: readonly Expr[],
  inputs: ReadonlyMap<Expr, Value>,
  persist: readonly Expr[],
): Segment {
  return { nodes, inputs, outputs: [], persist, blocked: new Set() };
}
