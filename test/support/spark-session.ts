/** Sessions with row blocks on embedded Spark and host operators on the reference backend. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { Session, type SessionOptions } from '../../driver/runtime/session.js';
import { createDuckDbEngine } from '../../gpu-executor/cpu/duckdb/index.js';
import type { WireStorage } from '../../spark-bridge/channel/wire.js';
import {
  createSparkBackend,
  type EmbeddedSpark,
  type SparkBackend,
  type SparkTierOptions,
} from '../../spark-bridge/index.js';
import { type BorrowedSpark, borrowSpark } from './spark.js';

/** One Spark for many sessions, each with a backend and a tier of its own. */
export class SharedSpark {
  readonly embedded: EmbeddedSpark;
  readonly close: () => Promise<void>;

  private constructor({ embedded, giveBack }: BorrowedSpark) {
    this.embedded = embedded;
    this.close = giveBack;
  }

  /** @returns the reason when this machine can't run it */
  static async start(
    options: {
      readonly memoryBytes?: number;
      readonly conf?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<SharedSpark | string> {
    const borrowed = await borrowSpark(options);
    return typeof borrowed === 'string' ? borrowed : new SharedSpark(borrowed);
  }

  backend(tier: SparkTierOptions = {}): Promise<SparkBackend> {
    const { sql } = createDuckDbEngine();
    const { channel } = this.embedded;
    return createSparkBackend({ channel, onClose: async () => {}, sql, ...tier });
  }

  /** A session whose large values are on Spark whatever they cost there. */
  async session(
    tier: SparkTierOptions = {},
    options: Partial<SessionOptions> = {},
  ): Promise<{ session: Session; spark: SparkBackend }> {
    const spark = await this.backend(tier);
    const local = createReferenceBackend();
    const session = new Session({ local, blocks: spark, placement: 'blocks', ...options });
    return { session, spark };
  }

  async storage(): Promise<WireStorage> {
    return (await this.embedded.channel.call('storage', {})).result;
  }

  /** Spark jobs this application ever ran. */
  async jobs(): Promise<number> {
    return (await this.embedded.channel.call('status', {})).result.sparkJobs;
  }
}

/** Waits for something that happens in the background. */
export async function eventually(
  what: string,
  holds: () => Promise<boolean> | boolean,
  limitMs = 30_000,
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`expected ${what} within ${limitMs} ms`);
    await sleep(25);
  }
}
