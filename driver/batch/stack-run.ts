/**
 * One run of a program, written for one model, for all models of a stack. Its loops are taken by
 * `stack-loop.ts`; what comes before and after one is a plan for all models. Invariant: a model
 * whose system turned out singular is lost to the stack, not to its caller, who runs it alone.
 */
import type { BatchValue } from '../ir/batch-rule.js';
import type { Typed } from '../ir/dtype.js';
import type { Evaluator } from '../ir/evaluator.js';
import type { Expr, Meta } from '../ir/expr.js';
import type { DenseMatrix } from '../ir/value.js';
import { Matrix } from '../matrix/matrix.js';
import type { ArgumentValues } from './arguments.js';
import { HostColumns, type ModelValues } from './model-values.js';
import { StackLoop } from './stack-loop.js';
import { Trace } from './trace.js';
import { Transform } from './transform.js';

export type Matrices = Readonly<Record<string, Matrix>>;
export type Program<R> = (args: Matrices) => Promise<R>;
export type StackArguments = Readonly<Record<string, Pick<ArgumentValues, 'like' | 'values'>>>;

export interface StackOptions {
  /** Loops are taken to their limit again, whatever is kept of their ends. Default false. */
  readonly isFresh?: boolean;
  /** Ends of loops that were done are kept too. Default false: of those at their limit. */
  readonly keepsEnds?: boolean;
}

export class StackRun {
  readonly session: Evaluator;
  readonly isFresh: boolean;
  readonly keepsEnds: boolean;
  readonly trace: Trace;
  /** All of them, by number. */
  readonly models: readonly number[];
  /** Models without a result: with NaN where a matrix was factorised. */
  readonly lost = new Set<number>();
  /** What each leaf of the trace stands for. */
  readonly #leaves = new Map<Expr, ModelValues>();

  constructor(session: Evaluator, models: number, options: StackOptions = {}) {
    this.session = session;
    this.isFresh = options.isFresh ?? false;
    this.keepsEnds = options.keepsEnds ?? false;
    this.models = Array.from({ length: models }, (_, k) => k);
    this.trace = new Trace((state, step, options) =>
      new StackLoop(this, state, step, options).run(),
    );
  }

  /** The program's results, model by model; undefined for a lost one. */
  async run<R extends Matrices>(
    args: StackArguments,
    program: Program<R>,
  ): Promise<readonly (R | undefined)[]> {
    const given = Object.entries(args).map(
      ([name, { like, values }]) => [name, this.leaf(like, values)] as const,
    );
    const result = await program(Object.fromEntries(given));
    const names = Object.keys(result);
    const values = await this.onHost(names.map((name) => result[name]!.expr));
    return this.models.map((k) => {
      if (this.lost.has(k)) return undefined;
      const own = names.map((name, i) => {
        const { expr } = values[i]!.of([k]);
        return [name, Matrix.of(this.session, expr)] as const;
      });
      return Object.fromEntries(own) as unknown as R;
    });
  }

  /** A leaf of the trace that stands for these values. */
  leaf(like: Meta & Typed, values: ModelValues): Matrix {
    const leaf = this.trace.placeholder(like);
    this.#leaves.set(leaf.expr, values);
    return leaf;
  }

  /** A leaf that stands for a number of each model. */
  numbers(cells: Float64Array): Matrix {
    const like = { rows: 1, cols: 1, dtype: 'float64' } as const;
    return this.leaf(like, HostColumns.ofNumbers(this.session, cells));
  }

  /** What a leaf of the trace stands for; undefined for other nodes. */
  valuesOf(expr: Expr): ModelValues | undefined {
    return this.#leaves.get(expr);
  }

  /** The traced program over these models. @param state what further leaves stand for, of a loop */
  transform(models: readonly number[], state?: ReadonlyMap<Expr, BatchValue>): Transform {
    const leaves = new Map<Expr, BatchValue>(state);
    for (const [leaf, values] of this.#leaves) {
      leaves.set(leaf, (state && values.alike?.(models)) ?? values.of(models));
    }
    return new Transform(this.session, models.length, leaves);
  }

  /** Whether a leaf stands for one value of all these models in a loop; state does not. */
  isShared(leaf: Expr, models: readonly number[]): boolean {
    const values = this.#leaves.get(leaf);
    if (values === undefined) return false;
    return (values.alike?.(models) ?? values.of(models)).layout === 'shared';
  }

  /** Values of traced nodes, of these models. */
  async onHost(exprs: readonly Expr[], models = this.models): Promise<HostColumns[]> {
    const transform = this.transform(models);
    const roots = exprs.map((expr) => transform.columns(transform.valueOf(expr)));
    const values = (await this.session.evaluate(roots)) as DenseMatrix[];
    const columns = values.map((value, i) => new HostColumns(this.session, value, exprs[i]!.cols));
    const lost = new Set<number>();
    if (transform.factorises) for (const values of columns) values.addNaN(lost);
    for (const place of lost) this.lost.add(models[place]!);
    return columns;
  }
}
