/**
 * Plain data computed from files, shared by the runs of a session and, by the durable store, by
 * other processes. Invariant: under a setting of `reuse` that learns nothing of data, each request
 * computes for itself.
 */
import { joinOrBegin } from '../support/shared-work.js';
import type { DurableTier } from './durable-tier.js';
import { MemoTable } from './memo-table.js';
import type { Json } from './store/entry-format.js';

export interface MemoRequest<T extends Json> {
  readonly key: string;
  readonly compute: () => Promise<T>;
  /** Throws when an input changed while it was read; then nothing is stored. */
  readonly unchanged: () => Promise<void>;
  /** One process computes it, the others wait. */
  readonly alone: boolean;
  readonly signal: AbortSignal | undefined;
}

export class SharedMemos {
  readonly #memos = new MemoTable();
  readonly #tier: DurableTier | undefined;
  readonly #isKeeping: boolean;

  constructor(tier: DurableTier | undefined, isKeeping: boolean) {
    this.#tier = tier;
    this.#isKeeping = isKeeping;
  }

  get<T extends Json>({ key, compute, unchanged, alone, signal }: MemoRequest<T>): Promise<T> {
    if (!this.#isKeeping) return compute();
    const begin = (): Promise<T> => {
      const once = alone ? { signal } : undefined;
      const promise = this.#tier?.memo(key, compute, unchanged, once) ?? compute();
      this.#memos.keep(key, { promise, signal });
      return promise;
    };
    return joinOrBegin<Json>(() => this.#memos.get(key), begin, signal) as Promise<T>;
  }

  /** What is there under a key; undefined for nothing. */
  async find(key: string, signal: AbortSignal | undefined): Promise<Json | undefined> {
    if (!this.#isKeeping) return undefined;
    const known = this.#memos.get(key)?.promise;
    if (known !== undefined) return known.catch(() => undefined);
    const found = await this.#tier?.memoOf(key);
    if (found === undefined) return undefined;
    const { json, bytes } = found;
    this.#memos.keep(key, { promise: Promise.resolve(json), signal }, bytes);
    return json;
  }
}
