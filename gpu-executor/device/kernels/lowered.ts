/**
 * What the kernel generator hands to a backend: launches over numbered operands. Invariants: values
 * are dense and row-major; shapes are arguments, so that few sources serve all sizes; how the work
 * is divided depends on shapes alone, so a result has the same bits whatever device and whenever.
 */
import type { Typed } from '../../../driver/ir/dtype.js';
import type { Expr } from '../../../driver/ir/expr.js';
import type {
  Device,
  DeviceEvent,
  DeviceProduct,
  DeviceSystem,
  KernelScalar,
  Pointer,
  SystemMatrix,
} from '../driver.js';

/** One kernel; `source` is without its prologue (`prologue.ts`) and may hold several kernels. */
export interface KernelCode {
  readonly name: string;
  readonly source: string;
}

/** A number of `inputs`, of `compressed`, of `outputs`, of `scratchBytes`, or a number itself. */
export type StepOperand =
  | { readonly input: number }
  | { readonly compressed: number }
  | { readonly output: number }
  | { readonly scratch: number }
  | KernelScalar;

/** One launch. Sizes in items as in OpenCL; steps run one after another. */
export interface DeviceStep {
  readonly code: KernelCode;
  readonly operands: readonly StepOperand[];
  readonly global: readonly number[];
  readonly local: readonly number[];
  /** What this step and some behind it come to, for a device whose library multiplies. */
  readonly product?: StepProduct;
  /** What this step comes to, for a device whose library solves systems. */
  readonly system?: StepSystem;
}

/** A product over numbered operands. */
export interface StepProduct extends Omit<DeviceProduct, 'a' | 'b' | 'out'> {
  readonly a: OfOperand<DeviceProduct['a']>;
  readonly b: OfOperand<DeviceProduct['b']>;
  readonly out: OfOperand<DeviceProduct['out']>;
  /** Steps that it stands for. */
  readonly covers: number;
}

/** A system over numbered operands. */
export interface StepSystem
  extends Omit<DeviceSystem, 'a' | 'b' | 'd' | 'out' | 'work' | 'side' | 'status'> {
  readonly a: OfOperand<SystemMatrix>;
  readonly b?: OfOperand<SystemMatrix> | undefined;
  readonly d?: OfOperand<SystemMatrix> | undefined;
  readonly out: OfOperand<SystemMatrix>;
  readonly work: PlacedOperand;
  readonly side: PlacedOperand;
  readonly status: PlacedOperand;
}

type OfOperand<T> = Omit<T, 'pointer'> & { readonly operand: PlacedOperand };

/** An operand that is memory. */
export type PlacedOperand = Exclude<StepOperand, KernelScalar>;

/**
 * An operand as a block of values, row starts and columns, one behind the other: of its rows, or of
 * those of the transposed matrix.
 */
export interface CompressedOperand {
  readonly expr: Expr;
  readonly by: 'rows' | 'columns';
}

/** Two float64 that say after the last step whether there is a value. */
export interface StepStatus {
  readonly scratch: number;
  readonly error: (words: Float64Array) => Error | undefined;
}

export interface Lowered {
  readonly inputs: readonly Expr[];
  /** Operands that are not read as cells. */
  readonly compressed?: readonly CompressedOperand[];
  /** The nodes whose values are written. */
  readonly outputs: readonly Expr[];
  readonly steps: readonly DeviceStep[];
  /** Memory for the time of these steps; holds anything at first. @units bytes */
  readonly scratchBytes: readonly number[];
  readonly status?: StepStatus;
}

/** Items of every group: kernels have local memory for so many. */
export const GROUP = 256;

/** Launches below that many groups leave devices idle. */
export const WANTED_GROUPS = 512;

/** A launch of at least `items` items, in groups of `GROUP`. */
export function itemsStep(
  code: KernelCode,
  operands: readonly StepOperand[],
  items: number,
): DeviceStep {
  return { code, operands, global: [Math.ceil(items / GROUP) * GROUP], local: [GROUP] };
}

/** A launch of so many groups. */
export function groupsStep(
  code: KernelCode,
  operands: readonly StepOperand[],
  groups: number,
): DeviceStep {
  return itemsStep(code, operands, groups * GROUP);
}

/** Queues a step by the device's library; undefined where the steps have to be launched. */
export function byLibrary(
  device: Device,
  { product, system }: DeviceStep,
  after: readonly DeviceEvent[],
  pointerOf: (operand: PlacedOperand) => Pointer,
): { readonly event: DeviceEvent; readonly covers: number } | undefined {
  const placed = <T extends { readonly operand: PlacedOperand }>(it: T) => ({
    ...it,
    pointer: pointerOf(it.operand),
  });
  if (product !== undefined && device.multiply !== undefined) {
    const { a, b, out, covers } = product;
    const factors = { a: placed(a), b: placed(b), out: placed(out) };
    const event = device.multiply({ ...product, ...factors }, { after });
    return event && { event, covers };
  }
  if (system !== undefined && device.solve !== undefined) {
    const { a, b, d, out, work, side, status } = system;
    const matrices = { a: placed(a), b: b && placed(b), d: d && placed(d), out: placed(out) };
    const memory = { work: pointerOf(work), side: pointerOf(side), status: pointerOf(status) };
    const event = device.solve({ ...system, ...matrices, ...memory }, { after });
    return event && { event, covers: 1 };
  }
  return undefined;
}

export const long = (int64: number): StepOperand => ({ int64 });
export const integer = (int32: number): StepOperand => ({ int32 });
/** What kernels of either dtype are told of an operand: 1 where its cells are float32. */
export const narrowFlag = ({ dtype }: Typed): StepOperand => integer(dtype === 'float32' ? 1 : 0);

/** The launches of one node over its own inputs. */
export function loweredNode(
  expr: Expr,
  steps: readonly DeviceStep[],
  scratchBytes: readonly number[] = [],
): Lowered {
  return { inputs: expr.inputs, outputs: [expr], steps, scratchBytes };
}

/** Memory for the time of a node's steps. */
export class Scratch {
  readonly bytes: number[] = [];

  take(bytes: number): PlacedOperand {
    this.bytes.push(bytes);
    return { scratch: this.bytes.length - 1 };
  }
}
