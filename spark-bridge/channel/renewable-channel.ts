/**
 * A channel that outlives the Spark behind it: when that has ended, calls say so by
 * `BackendLostError`, and `renew` puts another Spark in its place. Invariants: one Spark is open at
 * a time, and the lost one is ended before the next is started, so that no application stays
 * behind; a call is never moved to another Spark by itself, since only the session knows which of
 * its values are gone.
 */
import { BackendLostError, RepriseError, ResourceError } from '../../driver/errors.js';
import type { CallOptions, Channel, Reply } from './channel.js';
import type { Verb, Verbs } from './wire.js';

/** The way to one shim, and what is known of its life. */
export interface Way {
  readonly channel: Channel;
  /** Fires, with the error as its reason, when shim or application are known to have ended. */
  readonly lost: AbortSignal;
  /** Declares it over, when the shim itself says that its application is stopping: `lost` fires. */
  over(why: string): Promise<unknown>;
  /** Ends what the channel leads to. Idempotent. */
  close(): Promise<void>;
}

export interface RenewableChannelOptions {
  /** The next Spark. */
  readonly open: () => Promise<Way>;
  /** Told of each loss before the next Spark is opened. */
  readonly onLost?: (message: string) => void;
}

/** What a driver's last words say when memory was the reason. */
const OUT_OF_MEMORY =
  /OutOfMemoryError|Java heap space|GC overhead limit exceeded|exceeding (physical|virtual|memory) ?(memory )?limits|Container killed by YARN|exitCode: ?-?104\b|OOMKilled/i;

export class RenewableChannel implements Channel {
  readonly #options: RenewableChannelOptions;
  #way: Way;
  #generation = 0;
  #renewing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(way: Way, options: RenewableChannelOptions) {
    this.#way = way;
    this.#options = options;
  }

  get kind(): string {
    return this.#way.channel.kind;
  }

  /** Counts the Sparks put in place of lost ones; values of an earlier one are gone. */
  get generation(): number {
    return this.#generation;
  }

  async call<V extends Verb>(
    verb: V,
    args: Verbs[V]['args'],
    payloads?: readonly Uint8Array[],
    options?: CallOptions,
  ): Promise<Reply<V>> {
    const way = this.#way;
    if (way.lost.aborted && this.#closing === undefined) throw lostError(way.lost.reason, 'before');
    try {
      return await way.channel.call(verb, args, payloads, options);
    } catch (error) {
      if (isStopping(error) && this.#closing === undefined)
        await way.over('a stopping application');
      if (!way.lost.aborted || this.#closing !== undefined || options?.signal?.aborted) throw error;
      throw lostError(way.lost.reason, 'during');
    }
  }

  /** Opens the next Spark if this is lost. @throws what opening throws; then asking retries */
  async renew(): Promise<void> {
    if (!this.#way.lost.aborted || this.#closing !== undefined) return;
    this.#renewing ??= this.#replace().finally(() => {
      this.#renewing = undefined;
    });
    await this.#renewing;
  }

  async #replace(): Promise<void> {
    const { message } = this.#way.lost.reason as Error;
    this.#options.onLost?.(message);
    // What is left of it (a session in `error`, a stuck application) must not stay beside its
    // successor.
    await this.#way.close().catch(() => undefined);
    this.#way = await this.#options.open();
    this.#generation++;
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#renewing?.catch(() => undefined);
      await this.#way.close();
    })();
    return this.#closing;
  }
}

/** The shim answers for a moment yet, while its Spark is being stopped under it. */
function isStopping(error: unknown): boolean {
  return error instanceof BackendLostError && error.facts.reason === 'stopping';
}

/** Work that killed its driver by memory would kill the next too, so it has its own error. */
function lostError(reason: unknown, when: 'before' | 'during'): RepriseError {
  const known = reason instanceof RepriseError ? reason : undefined;
  const message = reason instanceof Error ? reason.message : String(reason);
  const facts = { ...known?.facts, backend: 'spark' };
  if (when === 'during' && OUT_OF_MEMORY.test(message)) {
    return new ResourceError(
      `spark: expected enough memory in the Spark driver, got its end; give it more (driverMemory), or cache less. ${message}`,
      { ...facts, resource: 'memory' },
      { cause: reason },
    );
  }
  return new BackendLostError(message, facts, { cause: reason });
}
