/**
 * What is kept of loops that ended, so that the same loop asked for more iterations goes on there.
 * Invariant: a loop is known by all that its state after so many iterations follows from, and not by
 * how many it may take.
 */
import type { Expr } from './expr.js';
import type { DenseMatrix } from './value.js';

/** A loop but for its limit. */
export interface LoopIdentity {
  /** Names, start and step, over leaves without a value: see `driver/batch/loop-form.ts`. */
  readonly form: string;
  /** What the leaves stand for. */
  readonly inputs: readonly Expr[];
}

/** State that stays where it was made. */
export interface LargeState {
  readonly expr: Expr;
  /** What it is a part of: the value that is kept there. */
  readonly of: Expr;
}

/** Where a loop stood after so many iterations. */
export interface LoopEnd {
  readonly iterations: number;
  /** It was done; else it may go on. */
  readonly isFinished: boolean;
  /** In the order of the state's names. */
  readonly state: readonly (DenseMatrix | LargeState)[];
}

/** What looking for an end needs to know. */
export interface LoopLimit {
  readonly most: number;
  /** An end at the limit itself is not looked for: it is to be made again. */
  readonly isFresh: boolean;
}
