/**
 * Plain data computed from files (profiles, vocabularies), by key, for the session that computed
 * them. Invariant: those used longest ago go once all of them as text are longer than
 * `MAX_CHARACTERS`; what is being computed stays.
 */
import { Budget, type BudgetItem, leastRecentlyUsed } from '../support/budget.js';
import type { SharedWork } from '../support/shared-work.js';
import type { Json } from './store/entry-format.js';

const MAX_CHARACTERS = 32 * 1024 * 1024;

interface Memo extends BudgetItem, SharedWork<Json> {
  readonly key: string;
  /** 0 while it is being computed. */
  characters: number;
  usedAt: number;
}

export class MemoTable {
  readonly #memos = new Map<string, Memo>();
  readonly #budget: Budget<Memo>;
  #clock = 0;

  constructor(maxCharacters = MAX_CHARACTERS) {
    this.#budget = new Budget<Memo>(leastRecentlyUsed, maxCharacters);
  }

  get size(): number {
    return this.#memos.size;
  }

  get(key: string): SharedWork<Json> | undefined {
    const memo = this.#memos.get(key);
    if (memo !== undefined) memo.usedAt = ++this.#clock;
    return memo;
  }

  /**
   * Keeps what is being computed, unless that fails.
   * @param length of the result as text, where it is known. @units characters
   */
  keep(key: string, work: SharedWork<Json>, length?: number): void {
    this.#forget(this.#memos.get(key));
    const memo = { ...work, key, characters: 0, usedAt: ++this.#clock, budget: undefined };
    this.#memos.set(key, memo);
    work.promise.then(
      (json) => this.#resolved(memo, length ?? JSON.stringify(json).length),
      () => this.#forget(memo),
    );
  }

  #resolved(memo: Memo, length: number): void {
    if (this.#memos.get(memo.key) !== memo) return;
    memo.characters = memo.key.length + length;
    this.#budget.charge(memo.characters);
    this.#budget.add(memo);
    for (const oldest of this.#budget.victims()) this.#forget(oldest);
  }

  #forget(memo: Memo | undefined): void {
    if (memo === undefined || this.#memos.get(memo.key) !== memo) return;
    this.#memos.delete(memo.key);
    this.#budget.remove(memo);
    this.#budget.charge(-memo.characters);
  }
}
