/** What the parts of one execution share. */
import type { Plan } from '../compiler/plan.js';
import type { ExecutionContext } from './execution-context.js';
import type { Operands } from './operands.js';
import type { PlanValues } from './plan-values.js';
import type { Results } from './results.js';

export interface Running {
  readonly plan: Plan;
  readonly context: ExecutionContext;
  readonly values: PlanValues;
  readonly results: Results;
  readonly operands: Operands;
  readonly inFlight: InFlight;
}

/** What runs now. Invariant: its promises never reject. */
export class InFlight {
  readonly #running = new Set<Promise<void>>();

  get size(): number {
    return this.#running.size;
  }

  launch(work: Promise<void>): void {
    this.#running.add(work);
    void work.then(() => this.#running.delete(work));
  }

  /** Resolves when something has ended, or all of it, and what ended with it. */
  async settle(one: boolean): Promise<void> {
    await (one ? Promise.race(this.#running) : Promise.all(this.#running));
    await nextTurn();
  }

  async all(): Promise<void> {
    await Promise.all(this.#running);
  }
}

export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
