/**
 * Plain data computed from files (profiles, vocabularies), by key, for the session that computed
 * them. Invariant: those used longest ago go once all of them as text are longer than
 * `MAX_CHARACTERS`; what is being computed stays.
 */
import type { Json } from './store/entry-format.js';

const MAX_CHARACTERS = 32 * 1024 * 1024;

export class MemoTable {
  readonly #maxCharacters: number;
  readonly #promises = new Map<string, Promise<Json>>();
  readonly #lengths = new Map<string, number>();
  #characters = 0;

  constructor(maxCharacters = MAX_CHARACTERS) {
    this.#maxCharacters = maxCharacters;
  }

  get size(): number {
    return this.#promises.size;
  }

  get(key: string): Promise<Json> | undefined {
    const promise = this.#promises.get(key);
    if (promise === undefined) return undefined;
    this.#promises.delete(key);
    this.#promises.set(key, promise);
    return promise;
  }

  /** Keeps what is being computed, unless that fails. */
  keep(key: string, promise: Promise<Json>): void {
    this.#forget(key);
    this.#promises.set(key, promise);
    promise.then(
      (json) => this.#resolved(key, promise, json),
      () => this.#forget(key, promise),
    );
  }

  #resolved(key: string, promise: Promise<Json>, json: Json): void {
    if (this.#promises.get(key) !== promise) return;
    const length = key.length + JSON.stringify(json).length;
    this.#lengths.set(key, length);
    this.#characters += length;
    for (const oldest of this.#promises.keys()) {
      if (this.#characters <= this.#maxCharacters) return;
      if (this.#lengths.has(oldest)) this.#forget(oldest);
    }
  }

  #forget(key: string, promise = this.#promises.get(key)): void {
    if (this.#promises.get(key) !== promise) return;
    this.#promises.delete(key);
    this.#characters -= this.#lengths.get(key) ?? 0;
    this.#lengths.delete(key);
  }
}
