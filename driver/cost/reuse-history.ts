/**
 * How often each value was read by earlier plans of this process, from which the planner judges how likely it is to be read
 * again. The expectation is that of a value read n times so far: n times more (the Lindy estimate, exact for a
 * heavy-tailed lifetime), so a value is worth keeping from its second reader on, as delayed caching has it.
 */
import { isFrameData } from '../frame/frame-data.js';
import type { Expr } from '../ir/expr.js';

/** More reads than this say nothing more. */
const MAX_EXPECTED = 16;

export class ReuseHistory {
  readonly #reads = new WeakMap<Expr, number>();

  /** One more plan that runs reads these values. */
  note(exprs: Iterable<Expr>): void {
    for (const expr of exprs) this.#reads.set(expr, (this.#reads.get(expr) ?? 0) + 1);
  }

  /** Plans that read it so far. */
  reads(expr: Expr): number {
    return this.#reads.get(expr) ?? 0;
  }

  /** Later plans expected to read it. Data of a frame are read at least once more: models are fitted, then scored. */
  expected(expr: Expr): number {
    const earlier = Math.min(this.reads(expr), MAX_EXPECTED);
    return earlier === 0 && expr.inputs.length > 0 && isFrameData(expr) ? 1 : earlier;
  }
}
