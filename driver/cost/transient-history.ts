/**
 * How often cheap steps that were not kept were made again, by operator and shape: a loop that
 * carries such a step from one plan to the next shows itself in its first turns, and steps of that
 * form are kept from then on. Invariant: counts are halved before they grow old, so what a session
 * does now weighs most.
 */
import type { Expr } from '../ir/expr.js';
import { forgetOldest } from '../support/forget-oldest.js';

/** Steps of a form are let go while at most one in so many of them was made again. */
const MIN_GONE_FOR_ONE = 32;
const MAX_COUNT = 4096;
const MAX_FORMS = 1 << 14;

interface Counts {
  gone: number;
  madeAgain: number;
}

export class TransientHistory {
  readonly #forms = new Map<number, Counts>();

  /** Whether letting such a step go has paid so far. */
  pays(expr: Expr): boolean {
    const counts = this.#forms.get(formOf(expr));
    return counts === undefined || counts.madeAgain * MIN_GONE_FOR_ONE <= counts.gone;
  }

  /** A step was computed and let go. */
  letGo(expr: Expr): void {
    const counts = this.#countsOf(expr);
    counts.gone++;
    if (counts.gone < MAX_COUNT) return;
    counts.gone /= 2;
    counts.madeAgain /= 2;
  }

  /** A step that had been let go was computed once more. */
  madeAgain(expr: Expr): void {
    this.#countsOf(expr).madeAgain++;
  }

  #countsOf(expr: Expr): Counts {
    const form = formOf(expr);
    let counts = this.#forms.get(form);
    if (counts === undefined) {
      counts = { gone: 0, madeAgain: 0 };
      this.#forms.set(form, counts);
      forgetOldest(this.#forms, MAX_FORMS);
    }
    return counts;
  }
}

/** A number for operator and shape; two forms that share one only share their counts. */
function formOf({ op, rows, cols }: Expr): number {
  return (op.id * 8191 + rows) * 131_071 + cols;
}
