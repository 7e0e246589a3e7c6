/**
 * The Spark backend: runs segments as programs of the shim over any channel. Row blocks stay in the
 * cluster as RDDs, named by handles. Invariant: it decides nothing about what runs where, and
 * leaves to its tier what is kept; handles are made here, so a lost answer leaves no value whose
 * name is unknown.
 */
import { randomBytes } from 'node:crypto';
import type {
  Backend,
  BackendCapabilities,
  CostEstimate,
  RunContext,
  Segment,
  SegmentResult,
} from '../../driver/backend/backend.js';
import { type NewCopy, Place } from '../../driver/backend/place.js';
import { BackendLostError, ConfigError, DataError, ExecutionError } from '../../driver/errors.js';
import { causeOf, verifyUnchanged } from '../../driver/frame/identity.js';
import type { SqlParser } from '../../driver/frame/sql/parser.js';
import { nnzAttr, valueToBytes } from '../../driver/ir/csr.js';
import { dtypeAttr } from '../../driver/ir/dtype.js';
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import type { FrameEngine, SqlText } from '../../driver/ir/frame-engine.js';
import type { TableColumn } from '../../driver/ir/table-aggregates.js';
import { dense, type Handle, type Value } from '../../driver/ir/value.js';
import type { Channel, Reply } from '../channel/channel.js';
import { bytesToCells } from '../channel/frame-codec.js';
import { RenewableChannel } from '../channel/renewable-channel.js';
import type { WireDescription, WireSql } from '../channel/wire.js';
import {
  type EmbeddedSpark,
  type EmbeddedSparkOptions,
  startEmbeddedSpark,
} from '../embedded/start.js';
import type { RddReuse } from '../rdd/delayed-caching.js';
import { keptBytes } from '../rdd/kept-bytes.js';
import { RddTier } from '../rdd/rdd-tier.js';
import { chooseLevel } from '../rdd/storage-level.js';
import { isLocalMaster } from '../submit/settings.js';
import { addParts } from './answer-parts.js';
import { estimateOn, sparkCosts } from './estimate.js';
import { SparkExpressions } from './expressions.js';
import { filesRead } from './files-read.js';
import { BROADCAST_BYTES, type LoweredProgram, lowerSegment } from './lower.js';
import { columnsOnSpark, createSparkFrames, retryingFrames } from './spark-frames.js';
import { Survey } from './survey.js';

const none: ReadonlySet<string> = new Set();
const PROTOCOL = 2;
/** How row blocks stay in the cluster for later plans, and how expressions get there. */
export interface SparkTierOptions {
  /** Which computed row blocks stay. Default `delayed`. */
  readonly rddReuse?: RddReuse;
  /** Share of Spark's storage memory for them, 0..1. Default 0.8. */
  readonly rddShare?: number;
  /** Parses expressions. Default: none, and only columns can be read. */
  readonly sql?: SqlParser;
}

/** Host values kept whole in the cluster; loops make one each turn and drop the old ones. */
const MAX_BROADCASTS = 64;
/** Most host data kept in the cluster: as row blocks, and whole as broadcasts. @units bytes */
const KEPT_BYTES = { uploads: 1024 ** 3, broadcasts: 256 * 1024 ** 2 } as const;

export interface SparkBackendOptions extends SparkTierOptions {
  /** The way to a shim that runs already. */
  readonly channel: Channel;
  /** Ends what `channel` leads to, after the backend let go of its values. */
  readonly onClose?: () => Promise<void>;
  /** Spark runs in a JVM of this machine and sees our files. Default false: that is tested. */
  readonly isHere?: boolean;
  /** Told what the operator should know while executors are waited for. */
  readonly onWarning?: (message: string) => void;
  /** Gives up waiting for them. */
  readonly signal?: AbortSignal;
}

export class SparkBackend implements Backend {
  readonly name = 'spark';
  readonly capabilities: BackendCapabilities;
  readonly frames: FrameEngine;
  readonly description: WireDescription;
  readonly channel: Channel;
  readonly costs = sparkCosts;
  readonly tier: RddTier;
  readonly survey: Survey;
  readonly #options: SparkBackendOptions;
  readonly #expressions: SparkExpressions;
  readonly #onClose: () => Promise<void>;
  /** Tasks at once, as the last program found. */
  #slots: number;
  #uploads!: Place<string>;
  #broadcasts!: Place<string>;
  /** Values that went with an executor. */
  readonly #lost = new Set<string>();
  /** Part of every name we make; differs by shim, so that names of a lost one are known. */
  #prefix = randomBytes(4).toString('hex');
  #generation = 0;
  #next = 1;
  #closing: Promise<void> | undefined;

  constructor(options: SparkBackendOptions, description: WireDescription) {
    this.channel = options.channel;
    this.description = description;
    this.#slots = description.parallelism;
    this.capabilities = { ops: new Set(description.ops), blocks: 'resident' };
    const { channel } = options;
    const { master } = description;
    const { isHere = false } = options;
    this.survey = new Survey({ channel, newRun: () => this.#name('survey'), master, isHere });
    this.#expressions = new SparkExpressions(options.sql, (source) =>
      columnsOnSpark(channel, source),
    );
    const newRun = (): string => this.#name('profile');
    const frames = createSparkFrames(channel, newRun, this.#expressions, this.survey);
    this.frames = retryingFrames(frames, () => this.recover());
    this.#onClose = options.onClose ?? (() => options.channel.close());
    this.#options = options;
    this.tier = this.#newTier();
    this.#newPlaces();
  }

  heldBytes(expr: Expr): number {
    return keptBytes(expr);
  }

  estimate(expr: Expr): CostEstimate {
    const nativeBlas = this.survey.isNative ?? this.description.nativeBlas;
    return estimateOn({ nativeBlas, parallelism: this.#slots }, expr);
  }

  async run(segment: Segment, context: RunContext): Promise<SegmentResult> {
    this.#follow();
    for (const value of segment.inputs.values()) this.#requireHeld(value);
    await this.#arrivals(segment);
    const { tier } = this;
    const expressions = await this.#expressions.ofNodes(segment.nodes);
    const lowered = lowerSegment(segment, {
      expressions,
      run: this.#name('run'),
      newHandle: () => this.#name('h'),
      uploads: this.#uploads,
      broadcasts: this.#broadcasts,
      levelOf: (expr) =>
        chooseLevel(expr, keptBytes(expr), tier.budgetBytes, segment, (node) =>
          this.#workSeconds(node),
        ),
    });
    const { result, payloads } = await this.#call(segment, lowered, context);
    this.#slots = result.slots;
    lowered.keepSent();
    await this.#verify(segment, lowered, new Set(result.incomplete), result.executors);
    const values = new Map<Expr, Value>();
    segment.outputs.forEach((expr, i) => {
      const shape = result.outputs[i];
      const cells = payloads[i];
      if (shape === undefined || cells === undefined) {
        throw new ExecutionError(`spark: expected ${segment.outputs.length} outputs, got ${i}`, {
          backend: 'spark',
          op: expr.op.name,
        });
      }
      values.set(expr, dense(shape.rows, shape.cols, bytesToCells(cells, expr.dtype)));
    });
    addParts(segment, result.parts, payloads.slice(segment.outputs.length), values);
    const bytes = new Map(result.persisted.map((held) => [held.handle, held.bytes]));
    for (const [expr, id] of lowered.handles) {
      values.set(expr, {
        kind: 'handle',
        backend: this.name,
        id,
        rows: expr.rows,
        cols: expr.cols,
        dtype: expr.dtype,
        bytes: bytes.get(id) ?? keptBytes(expr),
      });
    }
    tier.read(lowered.reads, result.incomplete);
    const { kernels, passes, sparkJobs } = result;
    return { values, kernels, passes, sparkJobs };
  }

  /** Nothing is kept of a program during which a file changed. @throws DataError naming it */
  async #verify(
    segment: Segment,
    lowered: LoweredProgram,
    incomplete: ReadonlySet<string>,
    executors: readonly string[],
  ): Promise<void> {
    try {
      for (const source of filesRead(segment, incomplete)) {
        await verifyUnchanged(source);
        await this.survey.check(source.files, executors);
      }
    } catch (error) {
      this.#drop('unpersist', [...lowered.handles.values()]);
      throw error;
    }
  }

  async #call(
    segment: Segment,
    lowered: LoweredProgram,
    context: RunContext,
  ): Promise<Reply<'runProgram'>> {
    try {
      return await this.channel.call('runProgram', lowered.program, lowered.payloads, context);
    } catch (error) {
      this.#noteLost(error);
      let cause: unknown = error;
      if (error instanceof ExecutionError || error instanceof DataError) {
        for (const source of filesRead(segment, none)) {
          cause = await causeOf(source, cause);
          cause = await this.survey.causeOf(source.files, cause);
        }
      }
      throw cause;
    } finally {
      lowered.done();
    }
  }

  /** Remembers values lost with an executor, so that they are made again from their lineage. */
  #noteLost(error: unknown): void {
    if (!(error instanceof BackendLostError) || typeof error.facts.handles !== 'string') return;
    const handles = error.facts.handles.split(',');
    for (const id of handles) this.#lost.add(id);
    this.#drop('unpersist', handles);
  }

  /** Values sent ahead are waited for, not sent again. */
  async #arrivals(segment: Segment): Promise<void> {
    for (const value of segment.inputs.values()) {
      if (value.kind === 'dense') await this.#broadcasts.arrival(value);
    }
  }

  announce(value: Value): void {
    if (value.kind !== 'dense' || denseBytes(value) < BROADCAST_BYTES) return;
    this.#follow();
    const { rows, cols, dtype } = value;
    const shape = { rows, cols, ...dtypeAttr(dtype), ...nnzAttr(value) };
    const handle = this.#name('b');
    const broadcasts = this.#broadcasts;
    const send = async (): Promise<NewCopy<string> | undefined> => {
      const cells = valueToBytes(value);
      const sent = this.channel.call('broadcast', { handle, ...shape }, [cells]);
      const copy = { it: handle, bytes: cells.length, seconds: 0 };
      return sent.then(() => copy).catch(() => undefined);
    };
    void broadcasts.bring(value, send).then((copy) => copy && broadcasts.unpin(copy));
  }

  async collect(handle: Handle, context: RunContext): Promise<Value> {
    this.#requireHeld(handle);
    const { result, payloads } = await this.channel.call(
      'collect',
      { handle: handle.id, run: this.#name('run') },
      [],
      context,
    );
    const cells = bytesToCells(payloads[0] as Uint8Array, handle.dtype);
    return dense(result.rows, result.cols, cells);
  }

  release(handle: Handle): void {
    if (this.holds(handle)) this.#drop('unpersist', [handle.id]);
  }

  holds(handle: Handle): boolean {
    this.#follow();
    return handle.id.includes(this.#prefix) && !this.#lost.has(handle.id);
  }

  async recover(): Promise<void> {
    await this.channel.renew?.();
    this.#follow();
  }

  /** Aggregates over a table as Spark takes them. @throws DataError with the refused `expression` */
  aggregates(formulas: readonly SqlText[], columns: readonly TableColumn[]): Promise<WireSql[]> {
    return this.#expressions.aggregates(formulas, columns);
  }

  /** Another shim knows none of our names. */
  #follow(): void {
    const generation = this.channel.generation ?? 0;
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#prefix = randomBytes(4).toString('hex');
    this.#lost.clear();
    this.survey.clear();
    this.#newPlaces();
  }

  #requireHeld(value: Value): void {
    if (value.kind !== 'handle' || value.backend !== this.name || this.holds(value)) return;
    throw new BackendLostError(
      `spark: expected the value ${value.id} to be held, got a Spark that was started after it`,
      { backend: this.name, handle: value.id },
    );
  }

  #newPlaces(): void {
    this.#uploads = new Place<string>({
      keepsLatest: true,
      budgetBytes: KEPT_BYTES.uploads,
      release: (id) => this.#drop('unpersist', [id]),
    });
    this.#broadcasts = new Place<string>({
      keepsLatest: true,
      budgetBytes: KEPT_BYTES.broadcasts,
      maxCopies: MAX_BROADCASTS,
      release: (id) => this.#drop('destroyBroadcast', [id]),
    });
  }

  #newTier(): RddTier {
    const storage = {
      report: async () => (await this.channel.call('storage', {})).result,
      materialise: async (handle: string) => {
        await this.channel.call('persist', { handle, run: this.#name('run') });
      },
      release: (handles: readonly string[]) => this.#drop('unpersist', handles),
    };
    const { rddReuse: policy = 'delayed', rddShare: share = 0.8 } = this.#options;
    const memoryBytes = this.description.storageMemoryBytes;
    return new RddTier(this.name, storage, { policy, memoryBytes, share });
  }

  /** One node's own work, without the job. @units seconds */
  #workSeconds(expr: Expr): number {
    const { seconds, startSeconds = 0 } = this.estimate(expr);
    return seconds - startSeconds;
  }

  close(): Promise<void> {
    this.#closing ??= this.#onClose();
    return this.#closing;
  }

  /** Lets go of what this shim holds; names of an earlier one are gone with it. */
  #drop(verb: 'unpersist' | 'destroyBroadcast', ids: readonly string[]): void {
    const handles = ids.filter((id) => id.includes(this.#prefix));
    if (this.#closing !== undefined || handles.length === 0) return;
    // Nobody waits for this: what stays behind when it is lost ends with the Spark application.
    this.channel.call(verb, { handles }).catch(() => undefined);
  }

  /** Names that no other driver of the same shim makes. */
  #name(kind: string): string {
    return `${kind}-${this.#prefix}-${this.#next++}`;
  }
}

/**
 * A backend over a running shim, or over an embedded Spark that is started (and set up) for it.
 * @throws ConfigError, ExecutionError as `startEmbeddedSpark`; ConfigError when the shim speaks
 *   another protocol
 */
export async function createSparkBackend(
  options: SparkBackendOptions | (EmbeddedSparkOptions & SparkTierOptions) = {},
): Promise<SparkBackend> {
  if ('channel' in options) return connect(options);
  const open = (): Promise<EmbeddedSpark> => startEmbeddedSpark(options);
  const { onWarning, submit } = options;
  const channel = new RenewableChannel(await open(), {
    open,
    onLost: (message) =>
      onWarning?.(`${message}\nspark: starting another JVM for what is unfinished`),
  });
  try {
    const isHere = submit === undefined || isLocalMaster(submit.master);
    return await connect({ ...options, channel, isHere });
  } catch (error) {
    await channel.close();
    throw error;
  }
}

async function connect(options: SparkBackendOptions): Promise<SparkBackend> {
  const { onWarning, signal } = options;
  const { result } = await options.channel.call('hello', {});
  if (result.protocol !== PROTOCOL) {
    throw new ConfigError(
      `shim: expected protocol ${PROTOCOL}, got ${result.protocol} (shim ${result.shim}); use the shim that comes with this version`,
      { key: 'shim', value: result.protocol, allowed: [PROTOCOL] },
    );
  }
  const backend = new SparkBackend(options, result);
  await backend.survey.open(onWarning, signal);
  return backend;
}
