/**
 * A loop of a traced program, for all models of a stack: each iteration is one plan for the models
 * that go on. Invariants: a model's state is the one of the step that said it is done, whatever the
 * others go on to; done models leave the stack once they are many enough to pay for it; what all
 * models of a stack have alike, and a step makes alike, is computed once for them; expressions
 * do not grow with the iterations but where state is too large to be brought to the host. State that
 * a device makes stays there from step to step, and comes to the host when a model is done. A model
 * whose loop was asked for before begins where it stood then.
 */

import { BackendLostError } from '../errors.js';
import type { BatchValue } from '../ir/batch-rule.js';
import { cellBytes } from '../ir/dtype.js';
import type { Evaluator, LoopTurns } from '../ir/evaluator.js';
import { denseBytes, type Expr } from '../ir/expr.js';
import type { LoopEnd } from '../ir/loop-end.js';
import type { DenseMatrix, Value } from '../ir/value.js';
import type { Matrix } from '../matrix/matrix.js';
import { sharedParts } from './alike-state.js';
import { Checkpoints, identitiesOf, knownEnds, limitsOf } from './checkpoints.js';
import {
  checkStep,
  HOST_BYTES,
  type IterateOptions,
  type LoopResult,
  type LoopState,
  type LoopStep,
} from './iterate.js';
import {
  type BegunValues,
  type HeldValues,
  heldOf,
  joinedState,
  lostPlaces,
  ResidentColumns,
  StateMemory,
  type StateValues,
  substituted,
} from './loop-state.js';
import {
  HostColumns,
  type ModelValues,
  NodeValues,
  type Pieces,
  SharedCells,
} from './model-values.js';
import type { StackRun } from './stack-run.js';
import { slotLeaf } from './trace.js';

/** Steps taken by plans before one is compiled, which costs about as much. */
const PLANNED_STEPS = 3;
/** Of so much state one is enough: plans take new memory for each value. @units bytes */
const LARGE_STATE_BYTES = 1 << 16;
/** Models leave a stack when fewer than this share of it go on. */
const COMPACT_SHARE = 0.875;

/** What runs in a step of these models. */
interface CompiledStep {
  readonly models: readonly number[];
  /** What the state stands as; absent for what no step changes. */
  readonly slots: readonly (Expr | undefined)[];
  /** Parts of the state that all models have alike. */
  readonly alike: ReadonlySet<number>;
  /** The next state where a step changes it, then whether it is the last. */
  readonly roots: readonly Expr[];
  /** Roots that may be left on the device that makes them. */
  readonly stays: ReadonlySet<Expr>;
  /** Of each, whether its cells are the loop's alone. */
  readonly isOwn: readonly boolean[];
  /** A singular matrix may give NaN. */
  readonly mayLose: boolean;
  /** What a step changes. @units bytes */
  readonly bytes: number;
  /** Taken by plans. */
  planned: number;
  /** Turns without plans, once so many were taken; false: there are none. */
  turns?: LoopTurns | false;
}

interface Taken {
  readonly next: StateValues[];
  readonly done: HostColumns;
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
  /** Parts of the state that a step changes; the others are as they begin. */
  readonly #changed: readonly number[];
  readonly #maxIterations: number;
  readonly #memory: StateMemory;
  /** State has been left on a device. */
  #hasLeft = false;
  readonly #most: Expr | undefined;
  readonly #checkpoints: Checkpoints;

  constructor(
    run: StackRun,
    start: S,
    step: (state: S) => LoopStep<S>,
    { maxIterations, most, checkpointMs, hostBytes = HOST_BYTES }: IterateOptions,
  ) {
    this.#maxIterations = maxIterations;
    this.#most = most?.expr;
    const every = run.session.loopEnd === undefined ? Infinity : checkpointMs;
    this.#checkpoints = new Checkpoints(every);
    this.#run = run;
    this.#session = run.session;
    this.#memory = new StateMemory(run.session);
    this.#names = Object.keys(start);
    this.#start = this.#names.map((name) => start[name]!.expr);
    // Later states may have other zeros.
    this.#leaves = this.#start.map(({ rows, cols, dtype }) =>
      run.trace.placeholder({ rows, cols, dtype }),
    );
    const placed = this.#names.map((name, i) => [name, this.#leaves[i]!] as const);
    const next = step(Object.fromEntries(placed) as unknown as S);
    checkStep(start, next);
    this.#step = [...this.#names.map((name) => next.state[name]!.expr), next.done.expr];
    this.#changed = [...this.#names.keys()].filter((i) => this.#step[i] !== this.#leaves[i]!.expr);
    this.#isLarge = this.#start.map(
      (expr) => expr.rows * expr.cols * cellBytes(expr) * run.models.length > hostBytes,
    );
  }

  async run(): Promise<LoopResult<S>> {
    try {
      return await this.#taken(true);
    } catch (error) {
      // What was left on the device that is lost is made again, from the beginning.
      if (!(error instanceof BackendLostError) || !this.#hasLeft) throw error;
      return this.#taken(false);
    }
  }

  /** @param mayLeave state may stay on a device between steps */
  async #taken(mayLeave: boolean): Promise<LoopResult<S>> {
    const limits = await limitsOf(this.#run, this.#maxIterations, this.#most);
    const begun = performance.now();
    const { models, lost } = this.#run;
    const leaves = this.#leaves.map(({ expr }) => expr);
    const loops = identitiesOf(this.#run, this.#names, leaves, [...this.#start, ...this.#step]);
    const known = await knownEnds(this.#run, loops, leaves, limits);
    const iterations = Float64Array.from(models, (k) => known[k]?.iterations ?? 0);
    const finished = Float64Array.from(models, (k) => (known[k]?.isFinished ? 1 : 0));
    const start = await this.#begin(known);
    const ends = start.map((values) => values.toEnd());
    const isGoing = (model: number): boolean =>
      finished[model] === 0 && iterations[model]! < limits[model]! && !lost.has(model);
    // Those lost before the loop, or with nothing left to do, have the state it begins with.
    const still = models.filter((model) => !isGoing(model));
    for (const [i, end] of ends.entries()) end.set(still, start[i]!, still);
    let state: readonly StateValues[] = start;
    let going = models.filter(isGoing);
    let compiled: CompiledStep | undefined;
    try {
      while (going.length > 0) {
        const standing: readonly number[] = compiled?.models ?? models;
        if (compiled === undefined || going.length < COMPACT_SHARE * standing.length) {
          if (going.length < standing.length) {
            const places = going.map((model) => standing.indexOf(model));
            const held = await heldOf(state);
            const fewer = held.map((values) => values.pick(places));
            this.#memory.letGo(state, fewer, (i) => this.#changed.includes(i));
            state = fewer;
          }
          if (compiled?.turns) compiled.turns.end();
          const isLarge = this.#isLarge.includes(true);
          const parts = { leaves: this.#leaves, step: this.#step, state, isLarge };
          const shared = sharedParts(this.#run, parts, going);
          this.#memory.letGo(state, shared.state, () => false);
          state = shared.state;
          compiled = this.#compile(going, state, shared.alike, mayLeave);
        }
        const most = Math.min(...going.map((model) => limits[model]! - iterations[model]!));
        const { next, done, steps } = await this.#goOn(compiled, state, going, most);
        state = next;
        const goesOn = new Set(going);
        const isLost = compiled.mayLose ? lostPlaces(state, done) : none;
        const [ended, places]: [number[], number[]] = [[], []];
        for (const [place, model] of compiled.models.entries()) {
          if (!goesOn.has(model)) continue;
          iterations[model]! += steps;
          if (isLost.has(place)) lost.add(model);
          else if (done.value.data[place] !== 0) finished[model] = 1;
          if (isGoing(model)) continue;
          ended.push(model);
          places.push(place);
        }
        if (ended.length > 0) {
          const held = await heldOf(state);
          for (const [i, end] of ends.entries()) end.set(ended, held[i]!, places);
        }
        going = going.filter(isGoing);
        if (loops && this.#checkpoints.isDue) {
          const held = await heldOf(state);
          const placed = compiled.models;
          this.#checkpoints.keep(this.#session, loops, held, { placed, going, iterations });
        }
      }
    } finally {
      if (compiled?.turns) compiled.turns.end();
      this.#memory.release(state, []);
    }
    const waited = (performance.now() - begun) / 1000;
    for (const k of models) {
      const loop = loops?.[k];
      const isKept = finished[k] === 0 || this.#run.keepsEnds;
      if (loop === undefined || !isKept || lost.has(k)) continue;
      if (iterations[k] === (known[k]?.iterations ?? 0)) continue;
      const own = ends.map((end) => end.endOf(k));
      const end = { iterations: iterations[k]!, isFinished: finished[k] === 1, state: own };
      this.#session.keepLoopEnd?.(loop, end, waited / models.length, waited);
    }
    return this.#result(ends, iterations, finished);
  }

  /** The state before the first step that is to be taken. */
  async #begin(known: readonly (LoopEnd | undefined)[]): Promise<BegunValues[]> {
    const { models } = this.#run;
    const fresh = models.filter((k) => known[k] === undefined);
    const begun = fresh.length === 0 ? [] : await this.#beginOf(fresh);
    if (fresh.length === models.length) return begun;
    return this.#start.map((_, i) => {
      const own = (k: number) => known[k]?.state[i] ?? begun[i]!.endOf(fresh.indexOf(k));
      return joinedState(this.#session, models.map(own), this.#leaves[i]!.cols);
    });
  }

  /** The state that models start with. */
  async #beginOf(models: readonly number[]): Promise<BegunValues[]> {
    const small = this.#start.filter((_, i) => !this.#isLarge[i]);
    const onHost = small.length === 0 ? [] : await this.#run.onHost(small, models);
    const transform = this.#run.transform(models);
    return this.#start.map((expr, i) => {
      if (!this.#isLarge[i]) return onHost.shift()!;
      const all = transform.columns(transform.valueOf(expr));
      return new NodeValues(this.#session, 'columns', all, expr.cols);
    });
  }

  /** Cells that were made for a part of the state. */
  #made({ alike }: CompiledStep, i: number, cells: DenseMatrix): HostColumns | SharedCells {
    if (alike.has(i)) return new SharedCells(this.#session, cells);
    return new HostColumns(this.#session, cells, this.#leaves[i]!.cols);
  }

  #compile(
    models: readonly number[],
    state: readonly StateValues[],
    alike: ReadonlySet<number>,
    mayLeave: boolean,
  ): CompiledStep {
    const places = models.map((_, place) => place);
    const slots = state.map(({ dtype }, i) => {
      if (!this.#changed.includes(i)) return undefined;
      const { rows, cols } = this.#leaves[i]!;
      const width = alike.has(i) ? cols : cols * models.length;
      return slotLeaf(this.#session, { rows, cols: width, dtype });
    });
    const standing = this.#leaves.map(({ expr }, i) => {
      const slot = slots[i];
      // What stays as it is has no copies of its own in each step.
      const constant = (): BatchValue => (state[i] as HeldValues).of(places);
      const layout = alike.has(i) ? 'shared' : 'columns';
      return [expr, slot ? ({ layout, expr: slot } as const) : constant()] as const;
    });
    const transform = this.#run.transform(models, new Map(standing));
    const columns = (expr: Expr): Expr => transform.columns(transform.valueOf(expr));
    const next = (i: number): Expr =>
      alike.has(i) ? transform.valueOf(this.#step[i]!).expr : columns(this.#step[i]!);
    const roots = [...this.#changed.map(next), columns(this.#step.at(-1)!)];
    const isPassing = !this.#isLarge.includes(true);
    const known = slots.filter((slot) => slot !== undefined);
    const isOwn = this.#step.map((_, i) => {
      const root = i < state.length ? this.#changed.indexOf(i) : roots.length - 1;
      return isPassing && root >= 0 && this.#session.makesAnew?.(roots[root]!, known) === true;
    });
    const { factorises: mayLose } = transform;
    // Whether a model is lost is seen in its cells.
    const isLeft = mayLeave && isPassing && !mayLose;
    const stays = isLeft ? roots.slice(0, -1).filter((root) => !root.isDeterministic) : [];
    const bytes = known.reduce((sum, slot) => sum + denseBytes(slot), 0);
    const found = { models, slots, alike, roots, stays: new Set(stays), isOwn, mayLose, bytes };
    return { ...found, planned: 0 };
  }

  /**
   * From this state to the next in which something may have happened: a model is done or lost, or
   * `most` steps are taken.
   */
  async #goOn(
    compiled: CompiledStep,
    state: readonly StateValues[],
    going: readonly number[],
    most: number,
  ): Promise<Taken & { readonly steps: number }> {
    const planned = compiled.bytes < LARGE_STATE_BYTES ? PLANNED_STEPS : 1;
    if (compiled.planned >= planned && most > planned) {
      compiled.turns ??= this.#turnsOf(compiled, state) ?? false;
    }
    const { turns } = compiled;
    if (!turns) {
      const taken = await this.#take(compiled, state);
      compiled.planned++;
      const isOwn = (i: number): boolean => compiled.isOwn[i] === true;
      this.#memory.letGo(state, [...taken.next, taken.done], isOwn);
      return { ...taken, steps: 1 };
    }
    const done = new HostColumns(this.#session, turns.values.at(-1)!, 1);
    const next = [...state];
    for (const [root, i] of this.#changed.entries()) {
      next[i] = this.#made(compiled, i, turns.values[root]!);
    }
    const ends = new Set(going);
    const places = compiled.models.flatMap((model, place) => (ends.has(model) ? [place] : []));
    let steps = 0;
    await turns.take(() => {
      steps++;
      if (steps >= most || this.#checkpoints.isDue) return true;
      if (places.some((place) => done.value.data[place] !== 0)) return true;
      return compiled.mayLose && lostPlaces(next, done).size > 0;
    });
    this.#memory.letGo(state, next, () => false);
    return { next, done, steps };
  }

  #turnsOf({ slots, roots }: CompiledStep, state: readonly StateValues[]): LoopTurns | undefined {
    const given = new Map<Expr, DenseMatrix>();
    for (const i of this.#changed) {
      const values = state[i]!;
      if (!('value' in values) || values.value.kind !== 'dense') return undefined;
      given.set(slots[i]!, values.value);
    }
    return this.#session.loopTurns?.(roots, given);
  }

  /** A step from this state. */
  async #take(compiled: CompiledStep, state: readonly StateValues[]): Promise<Taken> {
    const { models, slots, roots, stays } = compiled;
    const session = this.#session;
    const changed = this.#changed;
    const isLarge = (root: number): boolean => this.#isLarge[changed[root]!] === true;
    let exprs = roots;
    let values: Value[];
    if (session.evaluateWith !== undefined && !this.#isLarge.includes(true)) {
      const standing = (i: number): Value => (state[i] as Exclude<StateValues, NodeValues>).value;
      const given = new Map(changed.map((i) => [slots[i]!, standing(i)]));
      values = await session.evaluateWith(roots, given, stays);
    } else {
      const places = models.map((_, place) => place);
      const standing = changed.map((i) => {
        return [slots[i]!, (state[i] as HeldValues).of(places).expr] as const;
      });
      exprs = substituted(session, roots, new Map(standing));
      const small = exprs.filter((_, i) => !isLarge(i));
      const large = exprs.filter((_, i) => isLarge(i));
      // In one turn, so that they share a plan.
      const kept = large.length > 0 ? session.persist?.(large) : undefined;
      values = await session.evaluate(small);
      await kept;
    }
    const next = [...state];
    for (const [root, i] of changed.entries()) {
      const { cols } = this.#leaves[i]!;
      const value = isLarge(root) ? undefined : values.shift()!;
      if (value === undefined) next[i] = new NodeValues(session, 'columns', exprs[root]!, cols);
      else if (value.kind === 'dense') next[i] = this.#made(compiled, i, value);
      else next[i] = new ResidentColumns(session, value, (own) => this.#made(compiled, i, own));
      this.#hasLeft ||= value?.kind === 'handle';
    }
    const done = values[0]!;
    const cells = done.kind === 'handle' ? await session.bring!(done) : done;
    return { next, done: new HostColumns(session, cells, 1) };
  }

  #result(
    ends: readonly (ModelValues | HostColumns | Pieces)[],
    iterations: Float64Array,
    finished: Float64Array,
  ): LoopResult<S> {
    const results = this.#names.map(
      (name, i) => [name, this.#run.leaf(this.#leaves[i]!, ends[i]!)] as const,
    );
    return {
      ...(Object.fromEntries(results) as unknown as S),
      iterations: this.#run.numbers(iterations),
      finished: this.#run.numbers(finished),
    };
  }
}

const none: ReadonlySet<number> = new Set();
