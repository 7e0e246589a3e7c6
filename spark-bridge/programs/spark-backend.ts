/**
 * The Spark backend: runs segments as programs of the shim over any channel. Row blocks stay in the cluster as
 * RDDs, named by handles. Invariant: it decides nothing about what is kept or where things run; handles are made here,
 * so a lost answer leaves no value whose name is unknown.
 */
import { randomBytes } from 'node:crypto';
import { BackendLostError, ConfigError, ExecutionError } from '../../driver/errors.js';
import type { FrameEngine } from '../../driver/frame/engine.js';
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import type {
  Backend,
  BackendCapabilities,
  CostEstimate,
  RunContext,
  Segment,
  SegmentResult,
} from '../../driver/runtime/backend.js';
import { dense, type Handle, type Value } from '../../driver/runtime/value.js';
import type { Channel } from '../channel/channel.js';
import { bytesToCells } from '../channel/frame-codec.js';
import { RenewableChannel } from '../channel/renewable-channel.js';
import type { WireDescription } from '../channel/wire.js';
import {
  type EmbeddedSpark,
  type EmbeddedSparkOptions,
  startEmbeddedSpark,
} from '../embedded/start.js';
import { lowerSegment } from './lower.js';
import { createSparkFrames, retryingFrames } from './spark-frames.js';
import { UploadCache } from './upload-cache.js';

const PROTOCOL = 1;
/** A Spark job that does nothing. @units seconds */
const JOB_SECONDS = 0.05;
/** Block kernels with a native BLAS, a core; without. @units flops/s */
const NATIVE_FLOPS = 3e10;
const JAVA_FLOPS = 2e9;

export interface SparkBackendOptions {
  /** The way to a shim that runs already. */
  readonly channel: Channel;
  /** Ends what `channel` leads to, after the backend let go of its values. */
  readonly onClose?: () => Promise<void>;
  /** Most host data kept in the cluster as row blocks. @units bytes, default 1 GiB */
  readonly uploadBytes?: number;
}

export class SparkBackend implements Backend {
  readonly name = 'spark';
  readonly capabilities: BackendCapabilities;
  readonly frames: FrameEngine;
  readonly description: WireDescription;
  readonly channel: Channel;
  readonly #onClose: () => Promise<void>;
  #uploads: UploadCache;
  readonly #uploadBytes: number;
  /** Part of every name we make; another one for each shim, so that names of a lost one are known. */
  #prefix = randomBytes(4).toString('hex');
  #generation = 0;
  #next = 1;
  #closing: Promise<void> | undefined;

  constructor(options: SparkBackendOptions, description: WireDescription) {
    this.channel = options.channel;
    this.description = description;
    this.capabilities = { ops: new Set(description.ops), blocks: 'resident' };
    const frames = createSparkFrames(options.channel, () => this.#name('profile'));
    this.frames = retryingFrames(frames, () => this.recover());
    this.#onClose = options.onClose ?? (() => options.channel.close());
    this.#uploadBytes = options.uploadBytes ?? 1024 ** 3;
    this.#uploads = this.#newUploads();
  }

  estimate(expr: Expr): CostEstimate {
    const rate = this.description.nativeBlas ? NATIVE_FLOPS : JAVA_FLOPS;
    const flops = expr.op.flops(expr.inputs, expr.attrs, expr);
    return { seconds: JOB_SECONDS + flops / (rate * this.description.parallelism) };
  }

  async run(segment: Segment, context: RunContext): Promise<SegmentResult> {
    this.#follow();
    for (const value of segment.inputs.values()) this.#requireHeld(value);
    const lowered = lowerSegment(segment, this.#name('run'), () => this.#name('h'), this.#uploads);
    const { result, payloads } = await this.channel.call(
      'runProgram',
      lowered.program,
      lowered.payloads,
      context,
    );
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
      values.set(expr, dense(shape.rows, shape.cols, bytesToCells(cells)));
    });
    const bytes = new Map(result.persisted.map((held) => [held.handle, held.bytes]));
    for (const [expr, id] of lowered.handles) {
      values.set(expr, {
        kind: 'handle',
        backend: this.name,
        id,
        rows: expr.rows,
        cols: expr.cols,
        bytes: bytes.get(id) ?? denseBytes(expr),
      });
    }
    for (const [id, matrix] of lowered.uploads) this.#uploads.add(id, matrix);
    const { kernels, passes, sparkJobs } = result;
    return { values, kernels, passes, sparkJobs };
  }

  async collect(handle: Handle, context: RunContext): Promise<Value> {
    this.#requireHeld(handle);
    const { result, payloads } = await this.channel.call(
      'collect',
      { handle: handle.id, run: this.#name('run') },
      [],
      context,
    );
    return dense(result.rows, result.cols, bytesToCells(payloads[0] as Uint8Array));
  }

  release(handle: Handle): void {
    if (this.holds(handle)) this.#unpersist(handle.id);
  }

  holds(handle: Handle): boolean {
    this.#follow();
    return handle.id.includes(this.#prefix);
  }

  async recover(): Promise<void> {
    await this.channel.renew?.();
    this.#follow();
  }

  /** Another shim knows none of our names. */
  #follow(): void {
    const generation = this.channel.generation ?? 0;
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#prefix = randomBytes(4).toString('hex');
    this.#uploads = this.#newUploads();
  }

  #requireHeld(value: Value): void {
    if (value.kind !== 'handle' || value.backend !== this.name || this.holds(value)) return;
    throw new BackendLostError(
      `spark: expected the value ${value.id} to be held, got a Spark that was started after it`,
      { backend: this.name, handle: value.id },
    );
  }

  #newUploads(): UploadCache {
    const prefix = this.#prefix;
    return new UploadCache(this.#uploadBytes, (id) => {
      if (prefix === this.#prefix) this.#unpersist(id);
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#onClose();
    return this.#closing;
  }

  #unpersist(id: string): void {
    if (this.#closing !== undefined) return;
    // Nobody waits for this: what stays behind when it is lost ends with the Spark application.
    this.channel.call('unpersist', { handles: [id] }).catch(() => undefined);
  }

  /** Names that no other driver of the same shim makes. */
  #name(kind: string): string {
    return `${kind}-${this.#prefix}-${this.#next++}`;
  }
}

/**
 * A backend over a running shim, or over an embedded Spark that is started (and set up) for it.
 * @throws ConfigError, ExecutionError as `startEmbeddedSpark`; ConfigError when the shim speaks another protocol
 */
export async function createSparkBackend(
  options: SparkBackendOptions | EmbeddedSparkOptions = {},
): Promise<SparkBackend> {
  if ('channel' in options) return connect(options);
  const open = (): Promise<EmbeddedSpark> => startEmbeddedSpark(options);
  const { onWarning } = options;
  const channel = new RenewableChannel(await open(), {
    open,
    onLost: (message) =>
      onWarning?.(`${message}\nspark: starting another JVM for what is unfinished`),
  });
  try {
    return await connect({ channel });
  } catch (error) {
    await channel.close();
    throw error;
  }
}

async function connect(options: SparkBackendOptions): Promise<SparkBackend> {
  const { result } = await options.channel.call('hello', {});
  if (result.protocol !== PROTOCOL) {
    throw new ConfigError(
      `shim: expected protocol ${PROTOCOL}, got ${result.protocol} (shim ${result.shim}); use the shim that comes with this version`,
      { key: 'shim', value: result.protocol, allowed: [PROTOCOL] },
    );
  }
  return new SparkBackend(options, result);
}
