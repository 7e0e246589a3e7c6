/**
 * A loop of a traced program, for all models of a stack: each iteration is one plan for the models
 * that go on. Invariants: a model's state is the one of the step that said it is done, whatever the
 * others go on to; done models leave the stack once they are many enough to pay for it; expressions
 * do not grow with the iterations but where state is too large to be brought to the host.
 */

import { cellBytes } from '../ir/dtype.js';
import type { Evaluator } from '../ir/evaluator.js';
import { type Expr, topological } from '../ir/expr.js';
import type { DenseMatrix } from '../ir/value.js';
import type { Matrix } from '../matrix/matrix.js';
import {
  checkStep,
  HOST_BYTES,
  type IterateOptions,
  type LoopResult,
  type LoopState,
  type LoopStep,
} from './iterate.js';
import { HostColumns, type ModelValues, NodeValues, type Pieces } from './model-values.js';
import type { StackRun } from './stack-run.js';
import { slotLeaf } from './trace.js';

/** Models leave a stack when fewer than this share of it go on. */
const COMPACT_SHARE = 0.875;

/** The state of the models of a stack, by place in it. */
type StateValues = HostColumns | NodeValues;

/** What runs in a step of these models. */
interface CompiledStep {
  readonly models: readonly number[];
  /** What the state stands as. */
  readonly slots: readonly Expr[];
  /** The next state, then whether it is the last. */
  readonly roots: readonly Expr[];
  /** A singular matrix may give NaN. */
  readonly mayLose: boolean;
}

export class StackLoop<S extends LoopState> {
  readonly #run: StackRun;
  readonly #session: Evaluator;
  readonly #names: readonly string[];
  /** The state as the trace has it. */
  readonly #leaves: readonly Matrix[];
  readonly #start: readonly Expr[];
  /** The traced step: the next state, then whether it is the last. */
  readonly #step: readonly Expr[];
  readonly #isLarge: readonly boolean[];
  readonly #maxIterations: number;

  constructor(
    run: StackRun,
    start: S,
    step: (state: S) => LoopStep<S>,
    { maxIterations, hostBytes = HOST_BYTES }: IterateOptions,
  ) {
    this.#maxIterations = maxIterations;
    this.#run = run;
    this.#session = run.session;
    this.#names = Object.keys(start);
    this.#start = this.#names.map((name) => start[name]!.expr);
    this.#leaves = this.#start.map((expr) => run.trace.placeholder(expr));
    const placed = this.#names.map((name, i) => [name, this.#leaves[i]!] as const);
    const next = step(Object.fromEntries(placed) as unknown as S);
    checkStep(start, next);
    this.#step = [...this.#names.map((name) => next.state[name]!.expr), next.done.expr];
    this.#isLarge = this.#start.map(
      (expr) => expr.rows * expr.cols * cellBytes(expr) * run.models.length > hostBytes,
    );
  }

  async run(): Promise<LoopResult<S>> {
    const maxIterations = this.#maxIterations;
    const { models, lost } = this.#run;
    const iterations = new Float64Array(models.length);
    const finished = new Float64Array(models.length);
    let state = await this.#begin();
    const ends = state.map((values) => values.toEnd());
    // Those lost before the loop have the state it begins with.
    const before = [...lost];
    for (const [i, end] of ends.entries()) end.set(before, state[i]!, before);
    let going = models.filter((model) => !lost.has(model));
    let compiled: CompiledStep | undefined;
    for (let taken = 1; taken <= maxIterations && going.length > 0; taken++) {
      const standing: readonly number[] = compiled?.models ?? models;
      if (compiled === undefined || going.length < COMPACT_SHARE * standing.length) {
        if (going.length < standing.length) {
          const places = going.map((model) => standing.indexOf(model));
          state = state.map((values) => values.pick(places));
        }
        compiled = this.#compile(going, state);
      }
      const { next, done } = await this.#take(compiled, state);
      state = next;
      const goesOn = new Set(going);
      const isLost = compiled.mayLose ? lostPlaces(state, done) : none;
      const [ended, places]: [number[], number[]] = [[], []];
      for (const [place, model] of compiled.models.entries()) {
        if (!goesOn.has(model)) continue;
        iterations[model] = taken;
        if (isLost.has(place)) lost.add(model);
        else if (done.value.data[place] !== 0) finished[model] = 1;
        else if (taken < maxIterations) continue;
        ended.push(model);
        places.push(place);
      }
      for (const [i, end] of ends.entries()) end.set(ended, state[i]!, places);
      going = going.filter((model) => finished[model] === 0 && !lost.has(model));
    }
    return this.#result(ends, iterations, finished);
  }

  /** The state before the first step. */
  async #begin(): Promise<StateValues[]> {
    const small = this.#start.filter((_, i) => !this.#isLarge[i]);
    const onHost = small.length === 0 ? [] : await this.#run.onHost(small);
    const transform = this.#run.transform(this.#run.models);
    return this.#start.map((expr, i) => {
      if (!this.#isLarge[i]) return onHost.shift()!;
      const all = transform.columns(transform.valueOf(expr));
      return new NodeValues(this.#session, 'columns', all, expr.cols);
    });
  }

  #compile(models: readonly number[], state: readonly StateValues[]): CompiledStep {
    const slots = state.map(({ dtype }, i) => {
      const { rows, cols } = this.#leaves[i]!;
      return slotLeaf(this.#session, { rows, cols: cols * models.length, dtype });
    });
    const standing = this.#leaves.map(
      ({ expr }, i) => [expr, { layout: 'columns', expr: slots[i]! }] as const,
    );
    const transform = this.#run.transform(models, new Map(standing));
    const roots = this.#step.map((expr) => transform.columns(transform.valueOf(expr)));
    return { models, slots, roots, mayLose: transform.factorises };
  }

  /** A step from this state. */
  async #take(
    { models, slots, roots }: CompiledStep,
    state: readonly StateValues[],
  ): Promise<{ readonly next: StateValues[]; readonly done: HostColumns }> {
    const session = this.#session;
    const isLarge = (at: number): boolean => this.#isLarge[at] === true;
    let exprs = roots;
    let values: DenseMatrix[];
    if (session.evaluateWith !== undefined && !this.#isLarge.includes(true)) {
      const cells = state.map((columns) => (columns as HostColumns).value);
      const given = new Map(slots.map((slot, i) => [slot, cells[i]!]));
      values = (await session.evaluateWith(roots, given)) as DenseMatrix[];
    } else {
      const places = models.map((_, place) => place);
      exprs = substituted(
        session,
        roots,
        slots,
        state.map((one) => one.of(places).expr),
      );
      const small = exprs.filter((_, i) => !isLarge(i));
      const large = exprs.filter((_, i) => isLarge(i));
      // In one turn, so that they share a plan.
      const kept = large.length > 0 ? session.persist?.(large) : undefined;
      values = (await session.evaluate(small)) as DenseMatrix[];
      await kept;
    }
    const next = this.#leaves.map(({ cols }, i): StateValues => {
      if (isLarge(i)) return new NodeValues(session, 'columns', exprs[i]!, cols);
      return new HostColumns(session, values.shift()!, cols);
    });
    return { next, done: new HostColumns(session, values[0]!, 1) };
  }

  #result(
    ends: readonly (ModelValues | HostColumns | Pieces)[],
    iterations: Float64Array,
    finished: Float64Array,
  ): LoopResult<S> {
    const results = this.#names.map(
      (name, i) => [name, this.#run.leaf(this.#leaves[i]!, ends[i]!)] as const,
    );
    const counts = (numbers: Float64Array): Matrix =>
      this.#run.leaf(
        { rows: 1, cols: 1, dtype: 'float64' },
        HostColumns.ofNumbers(this.#session, numbers),
      );
    return {
      ...(Object.fromEntries(results) as unknown as S),
      iterations: counts(iterations),
      finished: counts(finished),
    };
  }
}

const none: ReadonlySet<number> = new Set();

/** Places of models without numbers. */
function lostPlaces(state: readonly StateValues[], done: HostColumns): ReadonlySet<number> {
  const lost = new Set<number>();
  for (const values of [...state, done]) if (values instanceof HostColumns) values.addNaN(lost);
  return lost;
}

/** Nodes over other leaves. */
function substituted(
  session: Evaluator,
  roots: readonly Expr[],
  leaves: readonly Expr[],
  others: readonly Expr[],
): Expr[] {
  const made = new Map<Expr, Expr>(leaves.map((leaf, i) => [leaf, others[i]!]));
  for (const expr of topological(roots, (node) => made.has(node))) {
    if (!expr.inputs.some((input) => made.has(input))) continue;
    const inputs = expr.inputs.map((input) => made.get(input) ?? input);
    made.set(expr, session.intern(expr.op, inputs, expr.attrs));
  }
  return roots.map((root) => made.get(root) ?? root);
}
