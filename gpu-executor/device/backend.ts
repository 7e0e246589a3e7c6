/**
 * A device as a backend of a session: segments become launches in its compute queue, results are
 * handles at once, and a value comes to the host beside the kernels queued behind it. Invariants:
 * nothing waits for the device but who reads a value on the host; one in-order queue orders all use
 * of memory, and what is read on the copy queue stays locked until it is read.
 */
import type {
  Backend,
  BackendCosts,
  CostEstimate,
  DeviceWork,
  RunContext,
  Segment,
  SegmentEnd,
  SegmentResult,
} from '../../driver/backend/backend.js';
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import {
  cellsOf,
  type DenseMatrix,
  dense,
  type Handle,
  type Value,
} from '../../driver/ir/value.js';
import { ops } from '../../driver/operators/index.js';
import type { DeviceBackendOptions } from './backend-options.js';
import { compressedIn, operandsFit } from './compressed.js';
import {
  failureOfChecks,
  type KernelCheck,
  type PendingValue,
  segmentFailures,
} from './device-values.js';
import { addedWork, workOf } from './device-work.js';
import type { Device } from './driver.js';
import { deviceName } from './drivers.js';
import { Fusion } from './fusion.js';
import { HeldDevice } from './held-device.js';
import { KernelPreparation } from './kernel-preparation.js';
import { deviceOps, hasKernel, lower } from './kernels/lower.js';
import { type FusionRule, isFromHost, launchGroups } from './launch-groups.js';
import { DeviceMemory } from './memory/device-memory.js';
import { adopt, PeerWays } from './peers.js';
import { costsOf, type DeviceRates, estimateOf, measureRates } from './rates.js';
import { RefusedKernels } from './refused-kernels.js';
import { type LaunchedValue, type LaunchPlace, SegmentLaunch } from './segment-launch.js';
import type { PassNodes } from './streams/block-program.js';
import { DevicePass } from './streams/device-pass.js';
import { isMadeByRows, type StreamLimits, streamedNodes } from './streams/stream-plan.js';
import { StreamedSegment } from './streams/streamed-segment.js';
import { Uploads } from './uploads.js';

/** What has kernels, and cells that the host has: they are copied when a kernel reads them. */
const capable: ReadonlySet<string> = new Set([
  ...deviceOps,
  ...Object.values(ops)
    .filter(isFromHost)
    .map(({ name }) => name),
]);

/** Copied in no more time than a wait takes. @units bytes */
const SMALL_BYTES = 4096;
const OWN_SHARE = 0.9;
const SHARED_SHARE = 0.25;

/** @throws what opening it throws; ResourceError, BackendLostError */
export async function openDeviceBackend(options: DeviceBackendOptions): Promise<DeviceBackend> {
  const device = options.open();
  try {
    return new DeviceBackend(device, await measureRates(device), options);
  } catch (error) {
    device.close();
    throw error;
  }
}

export class DeviceBackend implements Backend {
  readonly name: string;
  /** What its vendor calls the device. */
  readonly label: string;
  readonly costName: string;
  readonly capabilities = { ops: capable, blocks: 'stream' } as const;
  readonly costs: BackendCosts;
  readonly tier: DeviceMemory;
  readonly #held: HeldDevice;
  readonly #rates: DeviceRates;
  readonly #fusion: Fusion;
  readonly #refused: RefusedKernels;
  readonly #limits: StreamLimits;
  readonly #preparation: KernelPreparation;
  readonly #isFused: boolean;
  readonly #ways: PeerWays;
  readonly #copiesAcross: boolean | undefined;
  /** Of the values that have names. */
  readonly #pending = new WeakMap<Handle, PendingValue>();
  /** Cells that came with the news that they are there. */
  readonly #read = new WeakMap<Handle, DenseMatrix>();
  #uploads: Uploads;
  /** On devices that were lost. */
  #earlier: DeviceWork | undefined;
  #made = 0;
  /** The device has worked on what it was given until then. @units milliseconds */
  #busyUntil = 0;

  constructor(device: Device, rates: DeviceRates, options: DeviceBackendOptions) {
    const { driver, version, memoryBytes: all, sharesHostMemory } = device.properties;
    this.#rates = rates;
    this.#ways = new PeerWays(rates);
    this.#copiesAcross = options.copiesAcross;
    this.name = options.name ?? deviceName(device.properties);
    this.label = device.properties.name;
    this.costName = `${driver} ${this.label}, ${version}`;
    this.#held = new HeldDevice(this.name, device, options.open);
    const share = all * (sharesHostMemory ? SHARED_SHARE : OWN_SHARE);
    const budgetBytes = Math.min(all, options.memoryBytes ?? Math.floor(share));
    this.costs = costsOf(rates, budgetBytes);
    const { uploadBytesPerSecond, exchangeSeconds, memoryBytesPerSecond } = rates;
    this.tier = new DeviceMemory({
      name: this.name,
      device: this.#held.memory,
      budgetBytes,
      largestBytes: device.properties.largestAllocationBytes,
      copySeconds: (bytes) => exchangeSeconds + bytes / uploadBytesPerSecond,
    });
    this.#uploads = new Uploads(device, this.tier);
    this.#limits = {
      memoryBytes: budgetBytes,
      largestBytes: device.properties.largestAllocationBytes,
      rowsPerBlock: options.rowsPerBlock,
    };
    const isCompiled = (source: string): boolean => this.#held.device.isCompiled(source);
    this.#refused = new RefusedKernels(this.name, options.onWarning);
    const { compileSeconds } = options;
    const prepare = (source: string): Promise<void> => this.#held.device.prepare(source);
    this.#fusion = new Fusion({ isCompiled, prepare }, memoryBytesPerSecond, compileSeconds);
    this.#isFused = compileSeconds === 0;
    const { onSetup } = options;
    const setup = `compiling kernels for ${this.name}, once on this machine`;
    this.#preparation = new KernelPreparation(() => onSetup?.(setup));
  }

  work(): DeviceWork {
    const { isGone, device, losses } = this.#held;
    const earlier = this.#earlier;
    return isGone && earlier !== undefined
      ? { ...earlier, losses }
      : addedWork(earlier, workOf(device, this.tier, losses));
  }

  get leaked(): number {
    return this.#held.leaked;
  }

  estimate(expr: Expr): CostEstimate {
    return estimateOf(expr, this.#rates);
  }

  takes(expr: Expr): boolean {
    const { properties } = this.#held.device;
    if (this.#held.isGone) return false;
    const { largestAllocationBytes: largest } = properties;
    const isLarge = denseBytes(expr) > largest || !operandsFit(expr, largest);
    if (isLarge && !isMadeByRows(expr)) return false;
    if (isFromHost(expr.op)) return true;
    return hasKernel(expr, properties) && this.#refused.allows(() => lower(expr, properties));
  }

  async run(segment: Segment, { signal }: RunContext): Promise<SegmentResult> {
    signal?.throwIfAborted();
    this.#held.check();
    const compiling = this.#prepare(segment);
    if (compiling !== undefined) {
      await compiling;
      this.#held.check();
    }
    const result = await this.#queued(segment, signal);
    const values = new Map(result.values);
    for (const expr of segment.outputs) {
      const value = values.get(expr);
      if (value === undefined) throw (await result.ended)!.failures.get(expr);
      if (value.kind === 'dense') continue;
      try {
        await this.arrived(value);
        values.set(expr, await this.collect(value));
      } finally {
        if (!segment.persist.includes(expr)) this.release(value);
      }
    }
    return { ...result, values };
  }

  /** What its outputs are, handles or by row blocks brought to the host. */
  async #queued(segment: Segment, signal: AbortSignal | undefined): Promise<SegmentResult> {
    const streamed = streamedNodes(segment, this.#limits);
    if (streamed === undefined) return this.#runWhole(segment);
    const parts = {
      whole: async (part: Segment) => this.#runWhole(part),
      pass: (pass: PassNodes, part: Segment) =>
        this.#held.tried(() => this.#runPass(pass, part, signal)),
      release: (handle: Handle) => this.release(handle),
    };
    return new StreamedSegment(segment, streamed, parts).run();
  }

  #runWhole(segment: Segment): SegmentResult {
    const start = performance.now();
    const launch = new SegmentLaunch(this.#place, segment);
    const { groups, kept } = this.#queue(segment, launch);
    const values = new Map<Expr, Value>();
    for (const [expr, value] of kept) values.set(expr, this.#name(expr, value));
    const ended = this.#end(segment, launch, start);
    return { values, kernels: groups, passes: 0, sparkJobs: 0, ended };
  }

  async #runPass(
    pass: PassNodes,
    segment: Segment,
    signal: AbortSignal | undefined,
  ): Promise<SegmentResult> {
    const start = performance.now();
    const options = { place: this.#place, limits: this.#limits, mayFuse: this.#mayFuse, signal };
    const made = await new DevicePass(pass, segment.inputs, options).run();
    const values = new Map<Expr, Value>(made.values);
    // Of rows that are on the host nobody asks again whether what they follow from has a value.
    if (values.size > 0) for (const expr of this.#failures(segment, []).keys()) values.delete(expr);
    for (const [expr, value] of made.sums) values.set(expr, this.#name(expr, value));
    const ended = this.#end(segment, { ...made, checks: [] }, start);
    return { values, kernels: made.kernels, passes: 1, sparkJobs: 0, ended };
  }

  async arrived(handle: Handle): Promise<void> {
    const { event, checks } = this.#known(handle);
    // Reading a small one behind what makes it is one wait for both.
    if (handle.bytes <= SMALL_BYTES) this.#read.set(handle, await this.collect(handle));
    else await this.#held.tried(() => this.#held.device.wait(event));
    const failure = failureOfChecks(checks);
    if (failure !== undefined) throw failure;
  }

  /** On the copy queue: the kernels behind the one that made it go on. */
  async collect(handle: Handle): Promise<DenseMatrix> {
    const read = this.#read.get(handle);
    if (read !== undefined) {
      this.#read.delete(handle);
      return read;
    }
    const { rows, cols, dtype } = handle;
    const cells = cellsOf(dtype, rows * cols);
    const moved = this.tier.onHost(handle);
    if (moved !== undefined) {
      new Uint8Array(cells.buffer).set(moved);
      return dense(rows, cols, cells);
    }
    const { device } = this.#held;
    const { event } = this.#known(handle);
    const block = this.tier.use(handle);
    if (block === undefined) throw this.#held.missing('a value');
    const options = { queue: 'copy', after: [event] } as const;
    try {
      await this.#held.tried(() => device.wait(device.read(block.pointer, cells, options)));
    } finally {
      this.tier.release(block);
    }
    return dense(rows, cols, cells);
  }

  async adopt(handle: Handle, from: Backend): Promise<Handle | undefined> {
    if (!(from instanceof DeviceBackend)) return undefined;
    const peer = from.#held.device;
    const pays = this.#copiesAcross ?? (await this.#ways.pays(peer, this.#held.device));
    // One that was moved to the host is nearer there.
    if (!pays || from.tier.onHost(handle) !== undefined) return undefined;
    const { event, checks } = from.#known(handle);
    const adopted = adopt(
      { from: peer, to: this.#held.device, event },
      handle,
      from.tier,
      this.tier,
    );
    if (adopted === undefined) return undefined;
    this.#uploads.used(adopted.block.pointer, adopted.event);
    return this.#name(handle, { ...adopted, checks });
  }

  release(handle: Handle): void {
    this.tier.releaseHandle(handle);
  }

  holds(handle: Handle): boolean {
    return this.tier.has(handle);
  }

  async recover(): Promise<void> {
    const earlier = this.work();
    if (!this.#held.reopen()) return;
    this.#earlier = earlier;
    this.tier.reopen(this.#held.memory);
    this.#uploads = new Uploads(this.#held.device, this.tier);
  }

  async close(): Promise<void> {
    this.tier.close();
    this.#held.close();
  }

  /** @returns undefined where all kernels are there */
  #prepare({ nodes }: Segment): Promise<unknown> | undefined {
    try {
      return this.#preparation.before(nodes, this.#held.device, this.#isFused);
    } catch (error) {
      throw this.#held.asOurs(error);
    }
  }

  /** At once: the order of segments is that of the calls. */
  #queue(segment: Segment, launch: SegmentLaunch) {
    const { device } = this.#held;
    try {
      const compressed = compressedIn(segment);
      const groups = launchGroups(segment, device.properties, this.#mayFuse, compressed);
      const kept = launch.queue(groups);
      device.flush();
      return { groups: groups.length, kept };
    } catch (error) {
      throw this.#held.asOurs(error);
    }
  }

  readonly #mayFuse: FusionRule = (nodes, fused) =>
    this.#refused.allows(() => fused) && this.#fusion.pays(nodes, fused);

  get #place(): LaunchPlace {
    return {
      device: this.#held.device,
      memory: this.tier,
      pending: (handle) => this.#pending.get(handle),
      missing: (what) => this.#held.missing(what),
      uploads: this.#uploads,
      refused: this.#refused,
    };
  }

  #name(
    expr: Pick<Expr, 'rows' | 'cols' | 'dtype'>,
    { block, event, checks }: LaunchedValue,
  ): Handle {
    const { rows, cols, dtype } = expr;
    const id = `${this.name}-${++this.#made}`;
    const { name: backend } = this;
    const bytes = denseBytes(expr);
    const handle: Handle = { kind: 'handle', backend, id, rows, cols, dtype, bytes };
    this.tier.named(handle, block);
    this.#pending.set(handle, { event, checks });
    return handle;
  }

  /** Never rejects: a device that is lost fails every node. */
  async #end(
    segment: Segment,
    launch: Pick<SegmentLaunch, 'last' | 'checks' | 'preparedMs'>,
    start: number,
  ): Promise<SegmentEnd> {
    let failures: Map<Expr, Error>;
    try {
      if (launch.last !== undefined) await this.#held.device.settled(launch.last);
      failures = this.#failures(segment, launch.checks);
    } catch (error) {
      const lost = this.#held.asOurs(error) as Error;
      failures = new Map(segment.nodes.map((node) => [node, lost]));
    }
    const end = performance.now();
    const workedMs = end - Math.max(start, this.#busyUntil) - launch.preparedMs;
    const seconds = Math.max(0, workedMs) / 1000;
    this.#busyUntil = end;
    return { failures, seconds, isFirst: launch.preparedMs > 0 };
  }

  #failures(segment: Segment, own: readonly KernelCheck[]): Map<Expr, Error> {
    return segmentFailures(segment, own, (handle) => this.#pending.get(handle));
  }

  #known(handle: Handle): PendingValue {
    const known = this.holds(handle) ? this.#pending.get(handle) : undefined;
    if (known === undefined) throw this.#held.missing('a value');
    return known;
  }
}
