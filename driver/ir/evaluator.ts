/** What the matrix API needs of a session: make nodes and get their values. */
import type { Attrs } from './attrs.js';
import type { Expr } from './expr.js';
import type { OpDef } from './op-def.js';
import type { Value } from './value.js';

export interface Evaluator {
  /** Calls of reusable functions; absent where nothing is kept. */
  readonly functions?: FunctionCalls;
  /** The one node for this operator application. @throws ShapeError, DTypeError, PlanError */
  intern(op: OpDef, inputs: readonly Expr[], attrs?: Attrs, payload?: unknown): Expr;
  /** The values of the nodes; nodes asked for in the same turn of the event loop are planned together. */
  evaluate(exprs: readonly Expr[]): Promise<Value[]>;
  /** The plan of these nodes as text. `verbose`: after each compiler pass that changed it. */
  explain(exprs: readonly Expr[], options?: { readonly verbose?: boolean }): string;
}

/** A function whose calls are reused: see `reusable`. */
export interface ReusableFunction {
  readonly name: string;
  /** Raised when what the function computes changes. */
  readonly version: string;
  readonly run: (...args: readonly never[]) => unknown;
}

/** What reusable functions need of a session. */
export interface FunctionCalls {
  /** The outputs of a call, computed at most once. */
  call(fn: ReusableFunction, args: readonly unknown[]): Promise<unknown>;
}
