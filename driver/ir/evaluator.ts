/** What the matrix API needs of a session or one of its runs: make nodes, and get their values. */
import type { Attrs } from './attrs.js';
import type { Expr } from './expr.js';
import type { LoopEnd, LoopIdentity, LoopLimit } from './loop-end.js';
import type { OpDef } from './op-def.js';
import type { DenseMatrix, Handle, Value } from './value.js';

export interface Evaluator {
  /** Whose nodes these are. Default: its own; a run's are its session's. */
  readonly session?: Evaluator;
  /** The one node for this operator application. @throws ShapeError, DTypeError, PlanError */
  intern(op: OpDef, inputs: readonly Expr[], attrs?: Attrs, payload?: unknown): Expr;
  /** The values of the nodes; nodes asked for in one event-loop turn are planned together. */
  evaluate(exprs: readonly Expr[]): Promise<Value[]>;
  /**
   * The values of nodes over values given for their slots. Nothing is kept; absent where that can't
   * be said.
   * @param stays nodes over slots whose values may be left where they are made: such a handle is the
   *   caller's, who may give it for a slot and lets it go by `release`
   * @throws BackendLostError when a handle that was given has gone with its backend
   */
  evaluateWith?(
    exprs: readonly Expr[],
    given: ReadonlyMap<Expr, Value>,
    stays?: ReadonlySet<Expr>,
  ): Promise<Value[]>;
  /** The cells of a value that `evaluateWith` left where it was made. @throws BackendLostError */
  bring?(handle: Handle): Promise<DenseMatrix>;
  release?(handle: Handle): void;
  /**
   * Turns of a loop over its state, compiled, where that can be: `evaluateWith` gives the same, a
   * turn at a time.
   * @param exprs the next state, in the order of `given`, then what else is asked for
   * @param given the state, by slot
   */
  loopTurns?(exprs: readonly Expr[], given: ReadonlyMap<Expr, DenseMatrix>): LoopTurns | undefined;
  /** Whether `evaluateWith` gives cells for this node, over these slots, that nobody else holds. */
  makesAnew?(expr: Expr, slots: readonly Expr[]): boolean;
  /** The last holder of cells that were made anew gives them up, for results to come. */
  recycle?(value: DenseMatrix): void;
  /** The plan of these nodes as text. `verbose`: after each compiler pass that changed it. */
  explain(exprs: readonly Expr[], options?: { readonly verbose?: boolean }): string;
  /** Whether turns of a loop over these nodes are compiled, as text; absent where none are. */
  explainLoop?(exprs: readonly Expr[]): string;
  /** Computes nodes and keeps them with their row blocks; absent where nothing is kept. */
  persist?(exprs: readonly Expr[]): Promise<void>;
  /** Keeps data that many requests will read, where they fit; absent where nothing is kept. */
  keep?(exprs: readonly Expr[]): Promise<void>;
  /**
   * The same on one device each, where devices would run some of these nodes: work that is given to
   * them side by side. None where there are no devices, and on one of these.
   * @param exprs not asked for where there are none
   */
  lanes?(exprs: () => readonly Expr[]): readonly Evaluator[];
  /** The same, but what is made there ends with the process: steps of a loop, whose end is kept. */
  passing?(): Evaluator;
  /** The outputs of a call, computed at most once; absent where nothing is kept. */
  call?(fn: ReusableFunction, args: readonly unknown[]): Promise<unknown>;
  /**
   * Where a loop stood that was asked for before, with no more iterations than the limit; absent
   * where nothing is kept of loops.
   * @param like the state, for its shapes
   */
  loopEnd?(
    loop: LoopIdentity,
    like: readonly Expr[],
    limit: LoopLimit,
  ): Promise<LoopEnd | undefined>;
  /**
   * Keeps where a loop stands, for `loopEnd`.
   * @param seconds time it took, and all that ran together
   */
  keepLoopEnd?(loop: LoopIdentity, end: LoopEnd, seconds: number, waited: number): void;
}

/** See `Evaluator.loopTurns`. */
export interface LoopTurns {
  /** The nodes after the last turn; the next one writes over them. */
  readonly values: readonly DenseMatrix[];
  /**
   * Takes turns until one is the last.
   * @param isLast asked after each
   * @throws what a turn throws, AbortError
   */
  take(isLast: () => boolean): Promise<void>;
  /** Gives the memory back. */
  end(): void;
}

/** A function whose calls are reused: see `reusable`. */
export interface ReusableFunction {
  readonly name: string;
  /** Raised when what the function computes changes. */
  readonly version: string;
  readonly run: (...args: readonly never[]) => unknown;
  /** Calls that ran together with this one, itself among them: they share the time. Default 1. */
  readonly together?: () => number;
  /** It runs though the durable store may have its outputs. Default false. */
  readonly isFresh?: boolean;
}

/** The session that owns an evaluator's nodes: operands of one operator have it in common. */
export function sessionOf(evaluator: Evaluator): Evaluator {
  return evaluator.session ?? evaluator;
}
