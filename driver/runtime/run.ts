/**
 * One line of work in a session: what is asked for through it is counted in its own statistics,
 * cancelled by its own signal, and told to its own caller. Nodes, kept values and backends are the
 * session's. Requests made in the same turn of the event loop are planned together, so that
 * concurrent trials meet in one plan; those of other runs are planned apart, and what both need is
 * claimed in the cache by the first. Invariant: a run that is cancelled leaves no claim behind, so
 * who waits for it computes for itself.
 */
import type { Backend, RunContext } from '../backend/backend.js';
import { beginPlan } from '../compiler/begin-plan.js';
import type { Plan } from '../compiler/plan.js';
import { simplify } from '../compiler/simplify.js';
import type { CallHost } from '../functions/function-cache.js';
import type { Attrs } from '../ir/attrs.js';
import type { Evaluator, LoopTurns, ReusableFunction } from '../ir/evaluator.js';
import { type Expr, topological } from '../ir/expr.js';
import type { Interner } from '../ir/intern.js';
import type { OpDef } from '../ir/op-def.js';
import type { DenseMatrix, Handle, Value } from '../ir/value.js';
import type { ResultRole, ReusePolicy } from '../reuse/setting.js';
import type { Json } from '../reuse/store/entry-format.js';
import { compiledTurns, loopText } from './compiled-turns.js';
import { Execution } from './execution.js';
import type { ExecutionContext, Outcome } from './execution-context.js';
import {
  type AskedRoots,
  askedRoots,
  dataToKeep,
  discardHeld,
  isKept,
  type Kept,
  keptOf,
  NOTHING_ASKED,
} from './kept.js';
import type { Given } from './planner.js';
import { Recall } from './recall.js';
import { collectOutcomes, valuesOf } from './recovery.js';
import { answerEach, outcomesAtHand, type Request } from './requests.js';
import { checkGiven, residentValues } from './resident.js';
import type { SessionParts } from './session-parts.js';
import { Statistics } from './statistics.js';
import { storedPlan } from './stored-plan.js';

/** Cancellation and progress of a run, and the only device it runs on. Default: all. */
export type RunScope = RunContext & { readonly device?: Backend };

export class Run implements CallHost {
  /** The session it is a run of: itself, for the session. */
  readonly session: Evaluator;
  readonly scope: RunScope;
  /** What was done for this run. */
  readonly statistics: Statistics;
  readonly #parts: SessionParts;
  readonly #interner: Interner;
  /** Runs the cache had counted when this one was made. */
  readonly #before: number;
  /** Whether what it computes may outlive the process. */
  readonly #outlives: boolean;
  /** What the trial under way holds that the setting does not keep; shared with its passing runs. */
  readonly #trial: { held: Set<Expr> | undefined };
  readonly loopEnd?: NonNullable<Evaluator['loopEnd']>;
  readonly keepLoopEnd?: NonNullable<Evaluator['keepLoopEnd']>;
  #requests: Request[] = [];

  /** @param of the run that this one is a part of, which counts for both and keeps the end of it */
  constructor(parts: SessionParts, scope: RunScope, session?: Evaluator, of?: Run) {
    this.statistics = of?.statistics ?? new Statistics(parts.backends.values());
    this.#outlives = !of || (of.#outlives && scope.device !== of.scope.device);
    this.#trial = of === undefined ? { held: undefined } : of.#trial;
    this.#parts = parts;
    this.#interner = parts.interner;
    this.#before = parts.cache.runs;
    this.scope = scope;
    this.session = session ?? this;
    const { loops, reuse } = parts;
    // Absent, so that nobody works out what a loop is known by.
    if (!reuse.loops) return;
    this.loopEnd = (loop, like, limit) => loops.find(this, loop, like, limit);
    this.keepLoopEnd = (loop, end, seconds, waited) => loops.keep(this, loop, end, seconds, waited);
  }

  /** What may be reused here. */
  get reuse(): ReusePolicy {
    return this.#parts.reuse;
  }

  lanes(exprs: () => readonly Expr[]): readonly Run[] {
    const { scope, session } = this;
    const devices = scope.device ? [] : this.#parts.planner.devicesFor(exprs);
    return devices.map((device) => new Run(this.#parts, { ...scope, device }, session, this));
  }

  passing(): Run {
    return new Run(this.#parts, this.scope, this.session, this);
  }

  intern(op: OpDef, inputs: readonly Expr[], attrs?: Attrs, payload?: unknown): Expr {
    const interner = this.#interner;
    const before = interner.hits;
    const expr = interner.intern(op, inputs, attrs, payload);
    if (op.source === 'call') this.#parts.functions.hasCalls = true;
    const isAgain = interner.hits !== before && inputs.length > 0;
    if (isAgain && this.#parts.planner.keepsAll) this.statistics.hit(expr);
    return expr;
  }

  /** The node plans compute instead of this one. */
  simplified(expr: Expr): Expr {
    return expr.simplified ?? simplify([expr], this.#interner)[0]!;
  }

  /** @param role what they are to the program, for settings of `reuse` that keep by it */
  async evaluate(exprs: readonly Expr[], role?: ResultRole): Promise<Value[]> {
    return valuesOf(await this.evaluateSettled(exprs, role));
  }

  async evaluateWith(
    exprs: readonly Expr[],
    given: Given,
    stays: ReadonlySet<Expr> = NOTHING_ASKED.resident,
  ): Promise<Value[]> {
    this.#begin();
    const outcomes = await this.#settle(exprs, { ...NOTHING_ASKED, resident: stays }, given);
    return residentValues(outcomes, given, this.#parts.places);
  }

  async bring(handle: Handle): Promise<DenseMatrix> {
    return (await this.#parts.places.fetch(handle, this.scope))!.it;
  }

  release(handle: Handle): void {
    this.#parts.places.release(handle);
  }

  /** As `evaluateWith` over and over, compiled; undefined where that can't be. */
  loopTurns(exprs: readonly Expr[], given: ReadonlyMap<Expr, DenseMatrix>): LoopTurns | undefined {
    const { cache, interner, local, planner } = this.#parts;
    const plan = planner.plan(simplify(exprs, interner), { given, device: this.scope.device });
    const { scope, statistics } = this;
    return compiledTurns(plan, given, { local, cache, scope, statistics });
  }

  /** Cells of one backend alone, of an operator that gives no view, and of what nobody keeps. */
  makesAnew(expr: Expr, slots: readonly Expr[]): boolean {
    const root = this.simplified(expr);
    if (this.#parts.backends.size > 1 || !root.op.elementwise) return false;
    return topological([root]).some((node) => slots.includes(node));
  }

  recycle(value: DenseMatrix): void {
    this.#parts.local.recycle?.(value);
  }

  /** As `evaluate`, but a failing node (a singular system) fails alone. Values are on the host. */
  evaluateSettled(exprs: readonly Expr[], role?: ResultRole): Promise<Outcome[]> {
    return this.#request(exprs, false, role);
  }

  /** Computes nodes and keeps them with their row blocks (RDDs on Spark, otherwise the host). */
  async persist(exprs: readonly Expr[], role?: ResultRole): Promise<void> {
    const outcomes = await this.#request(exprs, true, role);
    for (const outcome of outcomes) if (!outcome.ok) throw outcome.error;
  }

  /**
   * A piece of work by itself: what it persists, what it asks for by role and what its calls give it
   * holds as a program holds its variables, until it ends. What the setting keeps stays. One at a
   * time in a run; one inside another hands over what `leaves` names.
   */
  async trial<T>(
    work: () => Promise<T>,
    leaves: (result: T) => readonly Expr[] = () => [],
  ): Promise<T> {
    if (this.#parts.planner.keepsAll) return work();
    const { held: outer } = this.#trial;
    const held = new Set<Expr>();
    this.#trial.held = held;
    try {
      const result = await work();
      for (const expr of leaves(result).map((one) => this.simplified(one))) {
        if (held.delete(expr)) outer?.add(expr);
      }
      return result;
    } finally {
      this.#trial.held = outer;
      discardHeld(held, this.#parts);
    }
  }

  /** The trial under way holds the value of a node, if it is made. */
  holds(expr: Expr): void {
    this.#trial.held?.add(this.simplified(expr));
  }

  /** Keeps data that many requests will read: with their row blocks, or here if they fit. */
  async keep(exprs: readonly Expr[]): Promise<void> {
    const kept = dataToKeep(exprs, this.#parts);
    if (kept.length > 0) await this.persist(kept, 'data');
  }

  call(fn: ReusableFunction, args: readonly unknown[]): Promise<unknown> {
    return this.#parts.functions.call(this, fn, args);
  }

  /** Whether the durable store, as it was last looked at, has the outputs of a call. */
  isStored(fn: Pick<ReusableFunction, 'name' | 'version'>, args: readonly unknown[]): boolean {
    return this.#parts.functions.isStored(this, fn, args);
  }

  /**
   * Plain data computed from files (a profile, a vocabulary), shared by all that ask for the same
   * key, in this process or by the durable store.
   * @param unchanged throws when an input changed while it was read; then nothing is stored
   * @param alone one process computes it, the others wait; only for what waits for nothing else of
   *   the kind
   */
  memo<T extends Json>(
    key: string,
    compute: () => Promise<T>,
    unchanged: () => Promise<void> = async () => {},
    alone = false,
  ): Promise<T> {
    const { signal } = this.scope;
    return this.#parts.memos.get({ key, compute, unchanged, alone, signal });
  }

  /** What `memo` has under a key, of this process or the durable store; undefined for nothing. */
  memoOf(key: string): Promise<Json | undefined> {
    return this.#parts.memos.find(key, this.scope.signal);
  }

  explain(exprs: readonly Expr[], options: { readonly verbose?: boolean } = {}): string {
    return this.#parts.planner.explain(exprs, options.verbose);
  }

  explainLoop(exprs: readonly Expr[]): string {
    return loopText(this.plan(simplify(exprs, this.#interner)), this.#parts.local);
  }

  /** The placed plan of these nodes, simplified; nothing runs and nothing is claimed. */
  plan(exprs: readonly Expr[]): Plan {
    return this.#parts.planner.plan(exprs);
  }

  /** As `plan`, over what the durable store holds too, which is read; no lease is taken. */
  async planStored(exprs: readonly Expr[]): Promise<Plan> {
    return (await storedPlan(exprs, this.#parts, this.scope.signal)).plan;
  }

  /** `planStored` as text: as written, then after each rule and pass that changed it. */
  async explainStored(exprs: readonly Expr[]): Promise<string> {
    const { recall } = await storedPlan(exprs, this.#parts, this.scope.signal);
    return this.#parts.planner.explain(exprs, true, recall);
  }

  /** Time a plan should take by measurements so far, without overlap. @units seconds */
  expectedSeconds(plan: Plan): number {
    return this.#parts.planner.seconds(plan);
  }

  #request(exprs: readonly Expr[], persist: boolean, role?: ResultRole): Promise<Outcome[]> {
    return new Promise((resolve, reject) => {
      if (this.#requests.length === 0) setImmediate(() => this.#flush());
      this.#requests.push({ exprs, persist, role, resolve, reject });
    });
  }

  #flush(): void {
    const requests = this.#requests;
    this.#requests = [];
    this.#begin();
    const exprs = requests.flatMap((request) => request.exprs);
    const atHand = this.#atHand(requests, exprs);
    if (atHand !== undefined) {
      answerEach(requests, atHand, ({ resolve }, own) => resolve(own));
      return;
    }
    this.#settle(exprs, askedRoots(requests, this.reuse)).then(
      (outcomes) =>
        answerEach(requests, outcomes, ({ persist, resolve, reject }, own) => {
          // What another request of this turn persists is not here yet.
          if (persist) resolve(own);
          else this.#collected(own).then(resolve, reject);
        }),
      (error) => {
        for (const request of requests) request.reject(error);
      },
    );
  }

  #atHand(requests: readonly Request[], exprs: readonly Expr[]): Outcome[] | undefined {
    const isPlanned = this.#trial.held !== undefined || this.scope.signal?.aborted === true;
    if (isPlanned || requests.some(({ persist }) => persist)) return undefined;
    return outcomesAtHand(exprs, this.#parts.cache, this.statistics);
  }

  /** Runs these nodes, whatever ends under them; their values are here, but for the persisted. */
  #settle(exprs: readonly Expr[], asked: AskedRoots, given?: Given): Promise<Outcome[]> {
    const { persisted, resident } = asked;
    const execute = async (some: readonly Expr[]): Promise<Outcome[]> => {
      checkGiven(given, this.#parts.places);
      const outcomes = await this.#execute(some, asked, given);
      return this.#collected(outcomes, (i) => persisted.has(some[i]!) || resident.has(some[i]!));
    };
    return this.#parts.recovery.settle(exprs, execute);
  }

  #collected(outcomes: readonly Outcome[], isLeft?: (i: number) => boolean): Promise<Outcome[]> {
    const collect = (value: Value) => this.#parts.places.read(value, this.scope);
    return collectOutcomes(outcomes, collect, isLeft);
  }

  /** Counts a run at its first request. Parallel runs count once, or what all need would age. */
  #begin(): void {
    const { cache, interner } = this.#parts;
    if (cache.runs !== this.#before) return;
    cache.beginRun();
    interner.tidy();
  }

  async #execute(exprs: readonly Expr[], asked: AskedRoots, given?: Given): Promise<Outcome[]> {
    const { cache, interner, planner, tier } = this.#parts;
    const recall = new Recall(cache, tier, interner, this.scope.signal);
    if (this.#parts.functions.hasCalls) await this.#bringCalls(exprs, recall);
    const roots = simplify(exprs, interner);
    const kept = keptOf(asked, exprs, roots, this.#trial.held);
    cache.awake(roots);
    // What follows from slots is stored nowhere.
    if (given === undefined && this.#outlives) {
      const isThere = (expr: Expr): boolean => recall.values.has(expr) || planner.isAtHand(expr);
      await recall.fromStore(roots, isThere, true, kept.byRole);
    }
    try {
      for (;;) {
        const plan = planner.plan(roots, { ...kept, recall, given, device: this.scope.device });
        if (!recall.isComplete(plan)) {
          await recall.complete(plan);
          continue;
        }
        planner.executes(plan);
        recall.countReuse(plan, this.statistics, (expr) => this.#adopt(plan, expr));
        // Claims what it computes before anybody else can plan, so that nothing is computed twice.
        const end = beginPlan(plan, cache.tiers, planner.keepsAll);
        const outcomes = await new Execution(plan, this.#contextOf(recall, kept))
          .run()
          .finally(end);
        interner.weakenAfter(plan.nodes.length);
        return outcomes;
      }
    } finally {
      recall.end();
    }
  }

  /** Values of reusable functions' outputs, which no backend computes. */
  async #bringCalls(exprs: readonly Expr[], recall: Recall): Promise<void> {
    const { functions, planner } = this.#parts;
    const isThere = (expr: Expr): boolean => planner.isAtHand(expr.simplified ?? expr);
    for (const [expr, { value, seconds }] of await functions.values(this, exprs, isThere)) {
      recall.add(this.simplified(expr), value, seconds);
    }
  }

  #contextOf(recall: Recall, kept: Kept): ExecutionContext {
    const { backends, local, cache, places, planner, asynchronous, tier } = this.#parts;
    return {
      ...this.scope,
      cache,
      statistics: this.statistics,
      backends,
      local,
      keeps: ({ expr, backend }) => planner.keepsIn(backend) || isKept(kept, expr),
      costs: planner.costs,
      places,
      transients: planner.transients,
      asynchronous,
      ...(tier && this.#outlives
        ? {
            onComputed: (expr, value, seconds) => {
              const isOfRole = kept.byRole.has(expr);
              if (!planner.keepsAll && !isOfRole) return;
              tier.publish(expr, value, seconds, recall.leaseOf(expr), isOfRole);
            },
          }
        : {}),
    };
  }

  /** Keeps a cached value that is the whole answer to another node under that node as well. */
  #adopt(plan: Plan, expr: Expr): void {
    const { cache } = this.#parts;
    const entry = cache.probe(expr);
    if (entry === undefined || !plan.partial?.answers.has(expr)) return;
    for (const original of plan.partial.originals.get(expr) ?? []) {
      cache.alias(original, expr, entry.seconds);
      this.statistics.partial++;
      this.statistics.record(original, entry.backend, entry.seconds, 'reused');
    }
  }
}
