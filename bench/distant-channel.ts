/**
 * A channel to a Spark that stands as far away as clusters do: each exchange takes so much longer
 * than here, and bytes travel so fast. Nothing else changes; the time is waited for, so it costs
 * this machine no work, as a network's would not.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CallOptions, Channel, Reply } from '../spark-bridge/channel/channel.js';
import type { Verb, Verbs } from '../spark-bridge/channel/wire.js';

export interface Distance {
  /** What an exchange takes there and back, beside its work. @units ms */
  readonly exchangeMs: number;
  /** Each way. */
  readonly bytesPerSecond: number;
}

export class DistantChannel implements Channel {
  readonly kind = 'distant';
  readonly #channel: Channel;
  readonly #distance: Distance;

  constructor(channel: Channel, distance: Distance) {
    this.#channel = channel;
    this.#distance = distance;
  }

  async call<V extends Verb>(
    verb: V,
    args: Verbs[V]['args'],
    payloads: readonly Uint8Array[] = [],
    options: CallOptions = {},
  ): Promise<Reply<V>> {
    await this.#travel(payloads);
    const reply = await this.#channel.call(verb, args, payloads, options);
    await this.#travel(reply.payloads);
    return reply;
  }

  /** The way it leads over stays open; whoever opened it closes it. */
  async close(): Promise<void> {}

  async #travel(payloads: readonly Uint8Array[]): Promise<void> {
    const { exchangeMs, bytesPerSecond } = this.#distance;
    const bytes = payloads.reduce((sum, payload) => sum + payload.byteLength, 0);
    await sleep(exchangeMs / 2 + (1000 * bytes) / bytesPerSecond);
  }
}
