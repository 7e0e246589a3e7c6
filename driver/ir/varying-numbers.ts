/**
 * Numbers in the attributes of a repeated loop body: found while a repeat is looked for, given back while it is read.
 * Invariant: a number either stays as it was one iteration before, or follows one series from the first iteration on.
 */
import { PlanError } from '../errors.js';
import { type Series, SeriesFit, type SeriesReader } from './number-series.js';

/** Node of the body, number of the node, and how it goes on. */
export type VaryList = readonly (readonly [node: number, number: number, series: Series])[];

/** Where the numbers of nodes stand. */
interface NumberTable {
  readonly numberStart: Int32Array;
  readonly numbers: Float64Array;
}

export interface Varying {
  readonly number: number;
  readonly read: SeriesReader;
}

/** The numbers in attributes that change over the iterations of a repeat. */
export class VaryingNumbers {
  readonly #table: NumberTable;
  readonly #i: number;
  readonly #back: number;
  readonly #fits = new Map<number, SeriesFit>();

  constructor(table: NumberTable, i: number, back: number) {
    this.#table = table;
    this.#i = i;
    this.#back = back;
  }

  /** Whether node `at`, the `count`th of the repeat, has the numbers of the one before it or goes on from them. */
  takes(at: number, count: number): boolean {
    const { numberStart, numbers } = this.#table;
    const first = numberStart[at]!;
    const before = numberStart[at - this.#back]!;
    const width = numberStart[at + 1]! - first;
    if (width === 0) return true;
    const k = Math.floor(count / this.#back) + 1;
    for (let n = 0; n < width; n++) {
      const [here, there] = [numbers[first + n]!, numbers[before + n]!];
      const key = (count % this.#back) * MAX_NUMBERS + n;
      const fit = this.#fits.get(key);
      if (fit !== undefined) {
        if (!fit.takes(here, k)) return false;
      } else if (here !== there) {
        // What stood still and moves now is another loop.
        if (k > 1 || n >= MAX_NUMBERS) return false;
        this.#fits.set(key, new SeriesFit(there, here));
      }
    }
    return true;
  }

  /** What to write for `count` nodes, and how many nodes' room it takes. */
  result(count: number): {
    readonly vary: VaryList;
    readonly cost: number;
  } {
    const { numberStart, numbers } = this.#table;
    let cost = 0;
    const vary = [...this.#fits].flatMap(([key, fit]) => {
      const node = Math.floor(key / MAX_NUMBERS);
      const number = key % MAX_NUMBERS;
      const length = lengthOf(count, node, this.#back);
      if (length === 0) return [];
      cost += fit.isListed ? 2 + length / 2 : 2;
      const values = (): Float64Array =>
        Float64Array.from({ length }, (_, k) => {
          const at = this.#i + k * this.#back + node;
          return numbers[numberStart[at]! + number]!;
        });
      return [[node, number, fit.series(values)] as const];
    });
    return { vary, cost };
  }
}

/** Numbers of one node that may vary. */
const MAX_NUMBERS = 64;

/** Iterations in which a node of the body occurs. */
export function lengthOf(count: number, node: number, back: number): number {
  return Math.ceil((count - node) / back);
}

/** The numbers of nodes whose attributes are not those of their place. */
export class OwnNumbers {
  readonly #start: Int32Array;
  #numbers = new Float64Array(16);
  #end = 0;
  readonly #attrs: Int32Array;
  readonly #numbersOf: (place: number) => readonly number[];

  constructor(count: number, attrs: Int32Array, numbersOf: (place: number) => readonly number[]) {
    this.#start = new Int32Array(count + 1);
    this.#attrs = attrs;
    this.#numbersOf = numbersOf;
  }

  none(node: number): void {
    this.#start[node + 1] = this.#end;
  }

  /** Node's numbers are those of `from`, but for what varies. */
  repeat(node: number, from: number, vary: readonly Varying[] | undefined, k: number): void {
    const first = this.#start[from]!;
    const count = this.#start[from + 1]! - first;
    if (count === 0 && vary === undefined) {
      this.none(node);
      return;
    }
    const numbers =
      count > 0
        ? this.#numbers.subarray(first, first + count)
        : this.#numbersOf(this.#attrs[from]!);
    const end = this.#end + numbers.length;
    if (end > this.#numbers.length) {
      const grown = new Float64Array(Math.max(end, this.#numbers.length * 2));
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    this.#numbers.set(numbers, this.#end);
    for (const { number, read } of vary ?? []) {
      if (number >= numbers.length) throw damagedNodes('a number of the node', number);
      this.#numbers[this.#end + number] = read(numbers[number]!, k);
    }
    this.#end = end;
    this.#start[node + 1] = end;
  }

  table(): { readonly numberStart: Int32Array; readonly numbers: Float64Array } {
    return { numberStart: this.#start, numbers: this.#numbers };
  }
}

/** The error for records that are not what was written. */
export function damagedNodes(expected: string, got: unknown): PlanError {
  return new PlanError(
    `lineage: expected ${expected}, got ${String(got)}; the stored lineage is damaged, run the job again`,
    { got },
  );
}
