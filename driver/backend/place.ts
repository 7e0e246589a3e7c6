/**
 * One place where values lie: host memory beside a backend's originals, row blocks or broadcasts of
 * host matrices in a cluster, the memory of a device. It knows which values are there, at what
 * price, and who pins them; rules say how much fits and what goes first. Invariants: what is pinned
 * stays; a copy is released once, when it is out and nothing pins it; it lives at most as long as
 * the value it is of; a copy on its way is waited for, not made twice.
 */
import { heldCells, type Value } from '../ir/value.js';
import { Budget, leastRecentlyUsed, lossPerByte, type VictimRule } from '../support/budget.js';

export interface Copy<T> {
  /** What it is in that place: a matrix, the name of a block. */
  readonly it: T;
  bytes: number;
  /** To make or bring it again. @units seconds */
  readonly seconds: number;
  reads: number;
  /** Place in the order of use: larger is later. */
  usedAt: number;
  pins: number;
  isOut: boolean;
  isReleased: boolean;
  budget: object | undefined;
  /** What it is a copy of, which it doesn't keep alive. */
  readonly of: WeakRef<object>;
}

/** What is to be put in a place. */
export type NewCopy<T> = Pick<Copy<T>, 'it' | 'bytes' | 'seconds'>;

export interface PlaceRules<T> {
  /** @units bytes */
  readonly budgetBytes: number;
  /** Most copies at once. Default: no limit. */
  readonly maxCopies?: number;
  /** Which copy goes first. Default: what was used longest ago. */
  readonly victims?: VictimRule<Copy<T>>;
  /** True: what was added last stays, even if it is larger than the budget. */
  readonly keepsLatest?: boolean;
  /** Told that too much is here, instead of letting it go at once. */
  readonly onOver?: () => void;
  /** A copy is out, and nobody reads it. Waits for nobody. */
  readonly release?: (it: T) => void;
}

/** What saves least for its size goes first. */
export const leastSaved: VictimRule<Copy<unknown>> = {
  score: ({ reads, seconds, bytes }) => lossPerByte(reads - 1, seconds, bytes),
  tieBreak: ({ usedAt }) => usedAt,
};

const untouched = { reads: 0, pins: 1, isOut: false, isReleased: false, budget: undefined };

export class Place<T> {
  readonly #rules: PlaceRules<T>;
  readonly #of = new WeakMap<object, Copy<T>>();
  readonly #copies = new Set<Copy<T>>();
  readonly #budget: Budget<Copy<T>>;
  readonly #arriving = new WeakMap<object, Promise<Copy<T> | undefined>>();
  readonly #collected = new FinalizationRegistry<Copy<T>>((copy) => this.#drop(copy));
  #latest: Copy<T> | undefined;
  #clock = 0;

  constructor(rules: PlaceRules<T>) {
    this.#rules = rules;
    this.#budget = new Budget(rules.victims ?? leastRecentlyUsed, rules.budgetBytes);
  }

  get budgetBytes(): number {
    return this.#budget.limitBytes;
  }

  get bytes(): number {
    return this.#budget.bytes;
  }

  get size(): number {
    return this.#copies.size;
  }

  has(value: Value): boolean {
    return this.find(value) !== undefined;
  }

  find(value: Value): Copy<T> | undefined {
    return this.#of.get(keyOf(value));
  }

  /** The copy of a value, for one who says when it is no longer read by `unpin`. */
  use(value: Value): Copy<T> | undefined {
    const copy = this.find(value);
    return copy && this.#use(copy);
  }

  /** The copy of a value as by `use`. If there is none, `make` makes one, once for all callers. */
  async bring(
    value: Value,
    make: () => Promise<NewCopy<T> | undefined>,
  ): Promise<Copy<T> | undefined> {
    let copy = this.find(value);
    for (let other = this.arrival(value); !copy && other; other = this.arrival(value)) {
      // Whoever asked first may have been cancelled.
      copy = await other.catch(() => undefined);
    }
    if (copy !== undefined) return this.#use(copy);
    copy = await this.#make(value, make);
    if (copy !== undefined) copy.reads++;
    return copy;
  }

  /** Settles when a copy that is on its way has arrived; undefined when none is. */
  arrival(value: Value): Promise<Copy<T> | undefined> | undefined {
    return this.#arriving.get(keyOf(value));
  }

  /** In place of an earlier copy of the value. */
  add(value: Value, added: NewCopy<T>): Copy<T> {
    const copy = this.#put(value, added);
    this.unpin(copy);
    return copy;
  }

  unpin(copy: Copy<T>): void {
    copy.pins--;
    if (copy.pins > 0) return;
    if (copy.isOut) this.#release(copy);
    else {
      this.#budget.add(copy);
      this.#trim(copy);
    }
  }

  /** Takes the copy of a value out. */
  drop(value: Value): T | undefined {
    const copy = this.find(value);
    if (copy !== undefined) this.#drop(copy);
    return copy?.it;
  }

  clear(): void {
    for (const copy of this.#copies) this.#drop(copy);
  }

  /** What there is room for and what copies take, as it was found to be. @units bytes */
  resize(budgetBytes: number, sizes: Iterable<readonly [Copy<T>, bytes: number]>): void {
    this.#budget.limitBytes = budgetBytes;
    for (const [copy, bytes] of sizes) {
      this.#budget.charge(bytes - copy.bytes);
      copy.bytes = bytes;
    }
    this.#budget.reorder();
  }

  /** Unread copies, least worth first, while `isOver`. The caller drops each before the next. */
  victims(isOver?: () => boolean, isKept?: (copy: Copy<T>) => boolean): Iterable<Copy<T>> {
    return this.#budget.victims(isOver, isKept);
  }

  #use(copy: Copy<T>): Copy<T> {
    copy.pins++;
    this.#budget.remove(copy);
    copy.reads++;
    copy.usedAt = ++this.#clock;
    return copy;
  }

  #make(value: Value, make: () => Promise<NewCopy<T> | undefined>): Promise<Copy<T> | undefined> {
    const key = keyOf(value);
    const arrival = make()
      .then((made) => made && this.#put(value, made))
      .finally(() => this.#arriving.delete(key));
    this.#arriving.set(key, arrival);
    return arrival;
  }

  /** Pinned once. */
  #put(value: Value, added: NewCopy<T>): Copy<T> {
    this.drop(value);
    const key = keyOf(value);
    const of = new WeakRef(key);
    const copy = { ...added, ...untouched, usedAt: ++this.#clock, of };
    this.#of.set(key, copy);
    this.#copies.add(copy);
    this.#collected.register(key, copy, copy);
    this.#budget.charge(copy.bytes);
    this.#latest = copy;
    return copy;
  }

  /** Takes out copies until the rest fits. One that can't fit goes before it pushes out others. */
  #trim(unpinned: Copy<T>): void {
    const { maxCopies = Infinity, keepsLatest = false, onOver } = this.#rules;
    const isOver = (): boolean => this.#budget.isOver() || this.#copies.size > maxCopies;
    if (onOver !== undefined) {
      if (isOver()) onOver();
      return;
    }
    if (!keepsLatest && unpinned.bytes > this.budgetBytes) this.#drop(unpinned);
    const isKept = (copy: Copy<T>): boolean => keepsLatest && copy === this.#latest;
    for (const copy of this.victims(isOver, isKept)) this.#drop(copy);
  }

  #drop(copy: Copy<T>): void {
    if (copy.isOut) return;
    copy.isOut = true;
    this.#copies.delete(copy);
    this.#collected.unregister(copy);
    const of = copy.of.deref();
    if (of !== undefined) this.#of.delete(of);
    this.#budget.remove(copy);
    this.#budget.charge(-copy.bytes);
    if (copy.pins === 0) this.#release(copy);
  }

  #release(copy: Copy<T>): void {
    if (copy.isReleased) return;
    copy.isReleased = true;
    this.#rules.release?.(copy.it);
  }
}

/** Cells are shared by matrices of other shapes; a handle is its own name. */
function keyOf(value: Value): object {
  return heldCells(value) ?? value;
}
