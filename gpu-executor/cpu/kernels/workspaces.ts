/**
 * Large buffers that calls work in and leave behind. Invariants: so many calls run at a time and
 * those that wait hold no memory yet; buffers pass from call to call instead of waiting for the
 * garbage collector, and go when nobody waits.
 */
import type { Cells } from '../../../driver/ir/value.js';

export class Workspaces<C extends Cells> {
  readonly #make: (cells: number) => C;
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  #free: C[] = [];

  constructor(make: (cells: number) => C) {
    this.#make = make;
  }

  /** Runs work in a buffer of that many cells once under `limit` calls run; it is not cleared. */
  async run<T>(limit: number, cells: number, work: (buffer: C) => Promise<T>): Promise<T> {
    while (this.#running >= limit) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#running++;
    const at = this.#free.findIndex((buffer) => buffer.length === cells);
    const buffer = at < 0 ? this.#make(cells) : this.#free.splice(at, 1)[0]!;
    try {
      return await work(buffer);
    } finally {
      this.#running--;
      this.#free.push(buffer);
      const next = this.#waiting.shift();
      if (next === undefined) this.#free = [];
      else next();
    }
  }
}
