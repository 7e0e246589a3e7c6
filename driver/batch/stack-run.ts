/**
 * One run of a traced program for a stack of models. Its loops are taken here: each iteration is one
 * plan for all models that are not done. Invariants: a model's state is the one of the step that
 * said it is done, whatever the others go on to; expressions do not grow with the iterations.
 */
import type { BatchValue } from '../ir/batch-rule.js';
import type { Evaluator } from '../ir/evaluator.js';
import { type Expr, topological } from '../ir/expr.js';
import type { DenseMatrix } from '../ir/value.js';
import { Matrix } from '../matrix/matrix.js';
import type { ArgumentValues } from './arguments.js';
import {
  checkStep,
  type IterateOptions,
  type LoopResult,
  type LoopState,
  type LoopStep,
} from './iterate.js';
import { countColumns, HostColumns, type ModelValues } from './model-values.js';
import { slotLeaf, Trace } from './trace.js';
import { Transform } from './transform.js';

const columnsOf = (expr: Expr): BatchValue => ({ layout: 'columns', expr });

/** Models leave a stack when fewer than this share of it go on. */
const COMPACT_SHARE = 0.875;

export type Program<R> = (args: Readonly<Record<string, Matrix>>) => Promise<R>;
export type Matrices = Readonly<Record<string, Matrix>>;

/** What runs in a step: its traced results, and how each stands for the models that go on. */
interface Compiled {
  readonly models: readonly number[];
  /** Placeholders of the state of these models. */
  readonly leaves: readonly Expr[];
  readonly roots: readonly Expr[];
  /** Nodes that depend on the state, inputs first. */
  readonly varying: readonly Expr[];
}

export class StackRun {
  readonly #session: Evaluator;
  readonly #trace: Trace;
  readonly #models: readonly number[];
  /** What each placeholder stands for. */
  readonly #leaves = new Map<Expr, ModelValues>();
  /** The transformed program for some models, kept while the same go on. */
  #transform: Transform | undefined;

  constructor(session: Evaluator, models: number) {
    this.#session = session;
    this.#models = Array.from({ length: models }, (_, k) => k);
    this.#trace = new Trace((state, step, options) => this.#loop(state, step, options));
  }

  /** The program's results, model by model, on the host. */
  async run<R extends Matrices>(
    args: Readonly<Record<string, Pick<ArgumentValues, 'like' | 'values'>>>,
    program: Program<R>,
  ): Promise<R[]> {
    const given = Object.entries(args).map(([name, { like, values }]) => {
      return [name, this.#leaf(like, values)] as const;
    });
    const result = await program(Object.fromEntries(given));
    const names = Object.keys(result);
    const values = await this.#onHost(names.map((name) => result[name]!.expr));
    return this.#models.map((k) => {
      const own = names.map((name, i) => {
        const { expr } = values[i]!.pick([k]).of([0]);
        return [name, Matrix.of(this.#session, expr)] as const;
      });
      return Object.fromEntries(own) as unknown as R;
    });
  }

  #leaf(like: Pick<Matrix, 'rows' | 'cols' | 'dtype'>, values: ModelValues): Matrix {
    const leaf = this.#trace.placeholder(like);
    this.#leaves.set(leaf.expr, values);
    // What is transformed so far does not know it.
    this.#transform = undefined;
    return leaf;
  }

  /** Values of traced nodes for all models, as columns. */
  async #onHost(exprs: readonly Expr[]): Promise<HostColumns[]> {
    const transform = this.#transformOf(this.#models);
    const roots = exprs.map((expr) => transform.columns(transform.valueOf(expr)));
    const values = (await this.#session.evaluate(roots)) as DenseMatrix[];
    return values.map((value, i) => new HostColumns(this.#session, value, exprs[i]!.cols));
  }

  #transformOf(models: readonly number[], state?: ReadonlyMap<Expr, BatchValue>): Transform {
    if (state === undefined && this.#transform?.models === models.length) return this.#transform;
    const leaves = new Map<Expr, BatchValue>(state);
    for (const [leaf, values] of this.#leaves) leaves.set(leaf, values.of(models));
    const transform = new Transform(this.#session, models.length, leaves);
    if (state === undefined) this.#transform = transform;
    return transform;
  }

  async #loop<S extends LoopState>(
    start: S,
    step: (state: S) => LoopStep<S>,
    { maxIterations }: IterateOptions,
  ): Promise<LoopResult<S>> {
    const names = Object.keys(start);
    const slots = names.map((name) => this.#trace.placeholder(start[name]!));
    const placed = Object.fromEntries(names.map((name, i) => [name, slots[i]!])) as unknown as S;
    const next = step(placed);
    checkStep(start, next);
    const traced = [...names.map((name) => next.state[name]!.expr), next.done.expr];
    const leaves = slots.map(({ expr }) => expr);

    let state = await this.#onHost(names.map((name) => start[name]!.expr));
    const ends = state.map((columns) => columns.pick(this.#models));
    const iterations = new Array<number>(this.#models.length).fill(0);
    const finished = new Array<number>(this.#models.length).fill(0);
    let going = [...this.#models];
    let compiled: Compiled | undefined;
    for (let taken = 1; taken <= maxIterations && going.length > 0; taken++) {
      if (compiled === undefined || going.length < COMPACT_SHARE * compiled.models.length) {
        const models = compiled?.models ?? this.#models;
        if (models.length !== going.length) {
          const places = going.map((model) => models.indexOf(model));
          state = state.map((columns) => columns.pick(places));
        }
        compiled = this.#compile([...going], leaves, traced, state);
      }
      const { models } = compiled;
      const values = await this.#step(compiled, state);
      const done = values.pop()!;
      state = values.map((value, i) => new HostColumns(this.#session, value, slots[i]!.cols));
      const places = new Map(models.map((model, place) => [model, place]));
      for (const model of going) {
        const place = places.get(model)!;
        const isDone = done.data[place] !== 0;
        iterations[model] = taken;
        if (isDone) finished[model] = 1;
        if (isDone || taken === maxIterations) {
          for (const [i, end] of ends.entries()) end.copy(state[i]!, place, model);
        }
      }
      going = going.filter((model) => finished[model] === 0);
    }
    const results = names.map((name, i) => [name, this.#leaf(slots[i]!, ends[i]!)] as const);
    const count = { rows: 1, cols: 1, dtype: 'float64' } as const;
    return {
      ...(Object.fromEntries(results) as unknown as S),
      iterations: this.#leaf(count, countColumns(this.#session, iterations)),
      finished: this.#leaf(count, countColumns(this.#session, finished)),
    };
  }

  /** The step for these models. */
  #compile(
    models: readonly number[],
    slots: readonly Expr[],
    traced: readonly Expr[],
    state: readonly HostColumns[],
  ): Compiled {
    const leaves = state.map(({ rows, cols, dtype }) =>
      slotLeaf(this.#session, { rows, cols: cols * models.length, dtype }),
    );
    const standing = slots.map((slot, i) => [slot, columnsOf(leaves[i]!)] as const);
    const transform = this.#transformOf(models, new Map(standing));
    const roots = traced.map((expr) => transform.columns(transform.valueOf(expr)));
    const dependent = new Set<Expr>(leaves);
    const varying = topological(roots).filter((expr) => {
      if (!expr.inputs.some((input) => dependent.has(input))) return false;
      dependent.add(expr);
      return true;
    });
    return { models, leaves, roots, varying };
  }

  /** Values of a step from this state: the nodes that depend on it made again over its cells. */
  async #step(
    { models, leaves, roots, varying }: Compiled,
    state: readonly HostColumns[],
  ): Promise<DenseMatrix[]> {
    const all = models.map((_, place) => place);
    const made = new Map<Expr, Expr>();
    for (const [i, columns] of state.entries()) made.set(leaves[i]!, columns.of(all).expr);
    for (const expr of varying) {
      const inputs = expr.inputs.map((input) => made.get(input) ?? input);
      made.set(expr, this.#session.intern(expr.op, inputs, expr.attrs));
    }
    const exprs = roots.map((root) => made.get(root) ?? root);
    return (await this.#session.evaluate(exprs)) as DenseMatrix[];
  }
}
