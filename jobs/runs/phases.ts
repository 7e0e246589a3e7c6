/** The phases of a run: when each began, how far it is, and the seconds each took. */
import { performance } from 'node:perf_hooks';
import type { RunOptions } from './run-events.js';

/** Seconds by phase, in order. */
export class Phases {
  readonly origin = performance.now();
  readonly #seconds: Record<string, number> = {};
  readonly #onEvent: RunOptions['onEvent'];
  #phase: string | undefined;
  #since = this.origin;
  #end = 0;

  constructor(onEvent: RunOptions['onEvent']) {
    this.#onEvent = onEvent;
  }

  enter(phase: string): void {
    this.end();
    this.#phase = phase;
    this.#since = performance.now();
    this.#onEvent?.({ kind: 'phase', phase });
  }

  progress(fraction: number): void {
    if (this.#phase !== undefined) {
      this.#onEvent?.({ kind: 'progress', phase: this.#phase, fraction });
    }
  }

  end(): void {
    this.#end = performance.now();
    if (this.#phase === undefined) return;
    const known = this.#seconds[this.#phase] ?? 0;
    this.#seconds[this.#phase] = known + (this.#end - this.#since) / 1000;
    this.#phase = undefined;
  }

  seconds(): Record<string, number> {
    return { total: (this.#end - this.origin) / 1000, ...this.#seconds };
  }
}
