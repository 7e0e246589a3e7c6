/**
 * A loop's body compiled by a backend: one turn computes the next state from the state and writes
 * it in its place. Invariant: values have the bits that the nodes have when each is run by itself.
 */
import type { Expr } from '../ir/expr.js';
import type { DenseMatrix } from '../ir/value.js';

/** Nodes that are evaluated over rows together, in one pass. */
export interface LoopPass {
  /** Inputs before consumers. */
  readonly nodes: readonly Expr[];
  /** What they read from outside. */
  readonly operands: readonly Expr[];
  /** Those whose values are wanted. */
  readonly outputs: readonly Expr[];
  /** Those that are evaluated by row blocks. */
  readonly blocked: ReadonlySet<Expr>;
}

export interface LoopBody {
  /** What a turn computes, nodes over whole values and passes, inputs before consumers. */
  readonly steps: readonly (Expr | LoopPass)[];
  /** What is there before: cells that do not change while the loop runs. */
  readonly values: ReadonlyMap<Expr, DenseMatrix>;
  /** The state. */
  readonly slots: readonly Expr[];
  /** The next state, in the order of `slots`, then what else is asked for. */
  readonly roots: readonly Expr[];
}

export interface LoopProgram {
  /**
   * The roots after the last turn, the state before the first: views of memory that the next turn
   * writes over.
   */
  readonly results: readonly DenseMatrix[];
  /** What it holds. @units bytes */
  readonly bytes: number;
  /** Kernels run so far, one a node, and passes over rows. */
  readonly kernels: number;
  readonly passes: number;
  /** Sets the state. */
  load(state: readonly DenseMatrix[]): void;
  /** At once where nothing in it is better run beside other work. @throws as the nodes do */
  turn(): void | Promise<void>;
  /** Nobody reads its results any more. */
  end(): void;
}
