/**
 * One segment on its way into the compute queue: takes memory in the order of the launches, and
 * gives each piece back behind the last launch that reads it, so that the next takes it at once.
 * Invariants: it waits for nothing; when it fails, it leaves no memory behind and no names.
 */
import type { Segment } from '../../driver/backend/backend.js';
import { evaluateByReference } from '../../driver/backend/reference-backend.js';
import type { BackendLostError } from '../../driver/errors.js';
import { CsrMatrix } from '../../driver/ir/csr.js';
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import type { DenseMatrix, Handle } from '../../driver/ir/value.js';
import { blockParts, compressedBy, compressedValue, metaOf } from './compressed.js';
import type { KernelCheck, PendingValue } from './device-values.js';
import type { Device, DeviceEvent, KernelScalar, Pointer } from './driver.js';
import { lowerExpanded } from './kernels/csr.js';
import {
  byLibrary,
  type CompressedOperand,
  type DeviceStep,
  type Lowered,
  type PlacedOperand,
  type StepOperand,
} from './kernels/lowered.js';
import type { LaunchGroup } from './launch-groups.js';
import type { Block, DeviceMemory } from './memory/device-memory.js';
import type { RefusedKernels } from './refused-kernels.js';
import type { Uploaded, Uploads } from './uploads.js';

export interface LaunchPlace {
  readonly device: Device;
  readonly memory: DeviceMemory;
  /** What is known of a named value. */
  readonly pending: (handle: Handle) => PendingValue | undefined;
  /** Says of a value that it is gone. */
  readonly missing: (what: string) => BackendLostError;
  readonly uploads: Uploads;
  readonly refused: RefusedKernels;
}

/** A value in memory that this segment has locked. */
export interface LaunchedValue extends PendingValue {
  readonly block: Block;
}

export class SegmentLaunch {
  readonly #place: LaunchPlace;
  readonly #segment: Segment;
  readonly #values = new Map<Expr, LaunchedValue>();
  readonly #kept: ReadonlySet<Expr>;
  readonly #checks: KernelCheck[] = [];
  readonly #bound: ReadonlyMap<Expr, LaunchedValue>;
  #last: DeviceEvent | undefined;
  #preparedMs = 0;

  /** @param bound operands that the caller has locked, and keeps locked until this is queued */
  constructor(
    place: LaunchPlace,
    segment: Segment,
    bound: ReadonlyMap<Expr, LaunchedValue> = new Map(),
  ) {
    this.#place = place;
    this.#segment = segment;
    this.#bound = bound;
    this.#kept = new Set([...segment.persist, ...segment.outputs]);
  }

  /** Of what was queued last; undefined when nothing was. */
  get last(): DeviceEvent | undefined {
    return this.#last;
  }

  /** Time that compiling took, which the next segment of its kind does not. */
  get preparedMs(): number {
    return this.#preparedMs;
  }

  /** Of all kernels of the segment. */
  get checks(): readonly KernelCheck[] {
    return this.#checks;
  }

  /**
   * @returns what is to stay, locked: the caller names or releases it
   * @throws ResourceError; UnsupportedError for a kernel that the device refuses; BackendLostError
   */
  queue(groups: readonly LaunchGroup[]): ReadonlyMap<Expr, LaunchedValue> {
    const kept = this.#kept;
    const lastReader = new Map<Expr, LaunchGroup>();
    for (const group of groups) {
      for (const input of group.lowered.inputs) lastReader.set(input, group);
    }
    this.#place.memory.expect(groups.flatMap(({ lowered }) => sizesOf(lowered)));
    try {
      for (const group of groups) {
        this.#launch(group.lowered);
        for (const expr of new Set([...group.lowered.inputs, ...group.lowered.outputs])) {
          const isRead = lastReader.has(expr) && lastReader.get(expr) !== group;
          if (!isRead && !kept.has(expr)) this.#release(expr);
        }
      }
      for (const expr of kept) this.#load(expr);
      // Operands that no launch read.
      for (const expr of this.#values.keys()) if (!kept.has(expr)) this.#release(expr);
    } catch (error) {
      this.#abandon();
      throw error;
    }
    return this.#values;
  }

  /** What is queued of it runs, to no end. */
  #abandon(): void {
    for (const [expr, value] of this.#values) {
      this.#leave(value);
      this.#release(expr);
    }
  }

  /** No kernel may have used it. */
  #leave(value: Uploaded): void {
    try {
      this.#place.uploads.unused(value);
    } catch {
      // A device that is lost has nothing to wait for.
    }
  }

  #release(expr: Expr): void {
    const value = this.#values.get(expr);
    if (value === undefined) return;
    this.#values.delete(expr);
    this.#place.memory.release(value.block);
  }

  #launch({ inputs, compressed = [], outputs, steps, scratchBytes, status }: Lowered): void {
    const { device, memory, uploads } = this.#place;
    const operands = inputs.map((input) => this.#load(input));
    const checks = [...new Set(operands.flatMap((operand) => operand.checks))];
    const packed: Uploaded[] = [];
    const taken: Block[] = [];
    const take = (bytes: number): Block => {
      const block = memory.take(Math.max(bytes, 1));
      taken.push(block);
      return block;
    };
    let event: DeviceEvent | undefined;
    try {
      for (const one of compressed) packed.push(this.#packed(one));
      const results = outputs.map((output) => take(denseBytes(output)));
      const scratch = scratchBytes.map(take);
      const blockOf = (operand: PlacedOperand): Block => {
        if ('input' in operand) return operands[operand.input]!.block;
        if ('compressed' in operand) return packed[operand.compressed]!.block;
        return 'output' in operand ? results[operand.output]! : scratch[operand.scratch]!;
      };
      // Kernels come one after another; what was copied beside them they have to wait for.
      const after = [...operands, ...packed].flatMap((one) =>
        one.event.queue === 'copy' ? [one.event] : [],
      );
      const pointerOf = (operand: PlacedOperand): Pointer => blockOf(operand).pointer;
      for (let at = 0; at < steps.length; ) {
        const queued = byLibrary(device, steps[at]!, after, pointerOf);
        event = queued?.event ?? this.#start(steps[at]!, after, pointerOf);
        at += queued?.covers ?? 1;
      }
      if (status !== undefined) {
        const words = new Float64Array(2);
        event = device.read(scratch[status.scratch]!.pointer, words);
        const check = { of: outputs[0]!, words, error: status.error };
        checks.push(check);
        this.#checks.push(check);
      }
      for (const { block } of [...operands, ...packed]) uploads.used(block.pointer, event!);
      for (const block of taken) uploads.used(block.pointer, event!);
      for (const block of taken.splice(outputs.length)) memory.release(block);
      this.#last = event ?? this.#last;
      for (const [i, output] of outputs.entries()) {
        this.#values.set(output, { block: results[i]!, event: event!, checks });
      }
    } catch (error) {
      for (const block of taken) {
        uploads.forget(block.pointer);
        memory.release(block);
      }
      for (const one of packed) this.#leave(one);
      throw error;
    } finally {
      // A copy that is kept is found again by the next kernel.
      for (const { block } of packed) memory.release(block);
    }
  }

  #start(
    { code, operands, global, local }: DeviceStep,
    after: readonly DeviceEvent[],
    pointerOf: (operand: PlacedOperand) => Pointer,
  ): DeviceEvent {
    const { device } = this.#place;
    const start = performance.now();
    const { compiles } = device.counts;
    const values = operands.map((one) => (isNumber(one) ? one : pointerOf(one)));
    const event = this.#place.refused.trying(code, () => {
      const kernel = device.compile(code.source, code.name);
      return device.launch({ kernel, arguments: values, global, local }, { after });
    });
    // Vendors compile for a size of groups when a kernel is first launched.
    if (device.counts.compiles > compiles) this.#preparedMs += performance.now() - start;
    return event;
  }

  /** The memory of an operand: of this segment, of a name, or a copy of what the host has. */
  #load(expr: Expr): LaunchedValue {
    const known = this.#values.get(expr);
    if (known !== undefined) return known;
    const value = this.#segment.inputs.get(expr);
    if (value instanceof CsrMatrix) return this.#expanded(expr, value);
    const loaded = this.#loadNew(expr);
    this.#values.set(expr, loaded);
    return loaded;
  }

  #loadNew(expr: Expr): LaunchedValue {
    const bound = this.#bound.get(expr);
    if (bound !== undefined) {
      this.#place.memory.lock(bound.block);
      return bound;
    }
    const value = this.#segment.inputs.get(expr) ?? evaluateByReference(expr, []);
    return value.kind === 'handle' ? this.#named(value) : this.#upload(expr, value);
  }

  #named(handle: Handle): LaunchedValue {
    const { memory, pending, missing } = this.#place;
    const block = memory.use(handle);
    const known = pending(handle);
    if (block !== undefined && known !== undefined) return { ...known, block };
    if (block !== undefined) memory.release(block);
    throw missing('an operand');
  }

  /** The cells of compressed rows, made here: fewer bytes are copied. */
  #expanded(expr: Expr, csr: CsrMatrix): LaunchedValue {
    this.#launch(lowerExpanded(expr, metaOf(csr)!));
    return this.#values.get(expr)!;
  }

  #packed({ expr, by }: CompressedOperand): Uploaded {
    const csr = compressedBy(compressedValue(this.#segment, expr)!, by);
    return this.#place.uploads.bring(csr, blockParts(csr), expr.isDeterministic);
  }

  #upload(expr: Expr, { data }: DenseMatrix): LaunchedValue {
    // The cells of a slot are others each time, in an array that may be the same; what is to have a
    // name is nobody's copy.
    const isKept = expr.isDeterministic && !this.#kept.has(expr);
    const uploaded = this.#place.uploads.bring(data, [data], isKept);
    if (!isKept) this.#last = uploaded.event;
    return { ...uploaded, checks: [] };
  }
}

/** What a group takes. @units bytes */
function sizesOf({ outputs, scratchBytes }: Lowered): readonly number[] {
  return [...outputs.map(denseBytes), ...scratchBytes].map((bytes) => Math.max(bytes, 1));
}

function isNumber(operand: StepOperand): operand is KernelScalar {
  return !(
    'input' in operand ||
    'output' in operand ||
    'scratch' in operand ||
    'compressed' in operand
  );
}
