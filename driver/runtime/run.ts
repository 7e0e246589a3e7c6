/**
 * One line of work in a session: what is asked for through it is counted in its own statistics,
 * cancelled by its own signal, and told to its own caller. Nodes, kept values and backends are the
 * session's. Requests made in the same turn of the event loop are planned together, so that
 * concurrent trials meet in one plan; those of other runs are planned apart, and what both need is
 * claimed in the cache by the first. Invariant: a run that is cancelled leaves no claim behind, so
 * who waits for it computes for itself.
 */
import { type Backend, heldBytes, type RunContext } from '../backend/backend.js';
import type { Places } from '../backend/places.js';
import { beginPlan } from '../compiler/begin-plan.js';
import type { Plan } from '../compiler/plan.js';
import { DATA_BYTES } from '../compiler/row-blocks.js';
import { simplify } from '../compiler/simplify.js';
import type { CallHost, FunctionCache } from '../functions/function-cache.js';
import type { Attrs } from '../ir/attrs.js';
import type { Evaluator, ReusableFunction } from '../ir/evaluator.js';
import { denseBytes, type Expr } from '../ir/expr.js';
import type { Interner } from '../ir/intern.js';
import { isLeafValue } from '../ir/leaf-value.js';
import type { OpDef } from '../ir/op-def.js';
import type { Value } from '../ir/value.js';
import type { DurableTier } from '../reuse/durable-tier.js';
import type { MemoTable } from '../reuse/memo-table.js';
import type { ReuseCache } from '../reuse/reuse-cache.js';
import type { Json } from '../reuse/store/entry-format.js';
import { joinOrBegin } from '../support/shared-work.js';
import { Execution } from './execution.js';
import type { ExecutionContext, Outcome } from './execution-context.js';
import type { Given, Planner } from './planner.js';
import { Recall } from './recall.js';
import { collectOutcomes, type Recovery } from './recovery.js';
import { Statistics } from './statistics.js';

/** Cancellation and progress of a run. */
export type RunScope = RunContext;

/** What the runs of a session share. */
export interface SessionParts {
  readonly backends: ReadonlyMap<string, Backend>;
  readonly local: Backend;
  readonly interner: Interner;
  readonly cache: ReuseCache;
  readonly planner: Planner;
  readonly places: Places;
  readonly tier: DurableTier | undefined;
  readonly memos: MemoTable;
  readonly recovery: Recovery;
  readonly functions: FunctionCache;
  readonly reuse: boolean;
  readonly asynchronous: boolean;
}

interface Request {
  readonly exprs: readonly Expr[];
  readonly persist: boolean;
  readonly resolve: (outcomes: Outcome[]) => void;
  readonly reject: (error: unknown) => void;
}

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
  #requests: Request[] = [];

  /** @param of the run that this one is a part of, which counts for both and keeps the end of it */
  constructor(parts: SessionParts, scope: RunScope, session?: Evaluator, of?: Run) {
    this.statistics = of?.statistics ?? new Statistics();
    this.#outlives = of === undefined;
    this.#parts = parts;
    this.#interner = parts.interner;
    this.#before = parts.cache.runs;
    this.scope = scope;
    this.session = session ?? this;
  }

  passing(): Run {
    return new Run(this.#parts, this.scope, this.session, this);
  }

  intern(op: OpDef, inputs: readonly Expr[], attrs?: Attrs, payload?: unknown): Expr {
    const interner = this.#interner;
    const before = interner.hits;
    const expr = interner.intern(op, inputs, attrs, payload);
    if (op.source === 'call') this.#parts.functions.hasCalls = true;
    if (interner.hits !== before && inputs.length > 0) this.statistics.hit(expr);
    return expr;
  }

  /** The node plans compute instead of this one. */
  simplified(expr: Expr): Expr {
    return expr.simplified ?? simplify([expr], this.#interner)[0]!;
  }

  async evaluate(exprs: readonly Expr[]): Promise<Value[]> {
    return valuesOf(await this.evaluateSettled(exprs));
  }

  /** The values of nodes over these cells for their slots, in a plan of their own. */
  async evaluateWith(exprs: readonly Expr[], given: Given): Promise<Value[]> {
    this.#begin();
    return valuesOf(await this.#settle(exprs, new Set(), given));
  }

  /** As `evaluate`, but a failing node (a singular system) fails alone. Values are on the host. */
  evaluateSettled(exprs: readonly Expr[]): Promise<Outcome[]> {
    return this.#request(exprs, false);
  }

  /** Computes nodes and keeps them with their row blocks (RDDs on Spark, otherwise the host). */
  async persist(exprs: readonly Expr[]): Promise<void> {
    for (const outcome of await this.#request(exprs, true)) if (!outcome.ok) throw outcome.error;
  }

  /** Keeps data that many requests will read: with their row blocks, or here if they fit. */
  async keep(exprs: readonly Expr[]): Promise<void> {
    const { backends, local, planner } = this.#parts;
    const isResident = [...backends.values()].some(
      ({ capabilities }) => capabilities.blocks === 'resident',
    );
    const kept = exprs.filter(
      (expr) =>
        !isLeafValue(expr) &&
        denseBytes(expr) >= DATA_BYTES &&
        (isResident || heldBytes(local, expr) <= planner.materialiseBytes),
    );
    if (kept.length > 0) await this.persist(kept);
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
    const { memos, tier, reuse } = this.#parts;
    const { signal } = this.scope;
    const begin = (): Promise<T> => {
      const once = alone ? { signal } : undefined;
      const promise = tier?.memo(key, compute, unchanged, once) ?? compute();
      memos.keep(key, { promise, signal });
      return promise;
    };
    const underWay = reuse ? () => memos.get(key) : () => undefined;
    return joinOrBegin<Json>(underWay, begin, signal) as Promise<T>;
  }

  /** What `memo` has under a key, of this process or the durable store; undefined for nothing. */
  async memoOf(key: string): Promise<Json | undefined> {
    const { memos, tier, reuse } = this.#parts;
    const known = reuse ? memos.get(key)?.promise : undefined;
    if (known !== undefined) return known.catch(() => undefined);
    const found = await tier?.memoOf(key);
    const { signal } = this.scope;
    if (found !== undefined) memos.keep(key, { promise: Promise.resolve(found), signal });
    return found;
  }

  explain(exprs: readonly Expr[], options: { readonly verbose?: boolean } = {}): string {
    return this.#parts.planner.explain(exprs, options.verbose);
  }

  /** The placed plan of these nodes, simplified; nothing runs and nothing is claimed. */
  plan(exprs: readonly Expr[]): Plan {
    return this.#parts.planner.plan(exprs);
  }

  /** As `plan`, over what the durable store holds too, which is read; no lease is taken. */
  async planStored(exprs: readonly Expr[]): Promise<Plan> {
    const { cache, interner, planner, tier } = this.#parts;
    const recall = new Recall(cache, tier, interner, this.scope.signal);
    const roots = simplify(exprs, interner);
    await recall.fromStore(
      roots,
      (expr) => recall.values.has(expr) || planner.isAtHand(expr),
      false,
    );
    for (;;) {
      const plan = planner.plan(roots, { recall });
      if (recall.isComplete(plan)) return plan;
      await recall.complete(plan);
    }
  }

  /** Time a plan should take by measurements so far, without overlap. @units seconds */
  expectedSeconds(plan: Plan): number {
    return this.#parts.planner.seconds(plan);
  }

  #request(exprs: readonly Expr[], persist: boolean): Promise<Outcome[]> {
    return new Promise((resolve, reject) => {
      if (this.#requests.length === 0) setImmediate(() => this.#flush());
      this.#requests.push({ exprs, persist, resolve, reject });
    });
  }

  #flush(): void {
    const requests = this.#requests;
    this.#requests = [];
    this.#begin();
    const exprs = requests.flatMap((request) => request.exprs);
    const kept = requests.filter(({ persist }) => persist).flatMap((request) => request.exprs);
    this.#settle(exprs, new Set(kept)).then(
      (outcomes) => {
        let from = 0;
        for (const request of requests) {
          const own = outcomes.slice(from, from + request.exprs.length);
          // What another request of this turn persists is not here yet.
          if (request.persist) request.resolve(own);
          else this.#collected(own).then(request.resolve, request.reject);
          from += request.exprs.length;
        }
      },
      (error) => {
        for (const request of requests) request.reject(error);
      },
    );
  }

  /** Runs these nodes, whatever ends under them; their values are here, but for the persisted. */
  #settle(exprs: readonly Expr[], persisted: ReadonlySet<Expr>, given?: Given): Promise<Outcome[]> {
    const execute = async (some: readonly Expr[]): Promise<Outcome[]> => {
      const outcomes = await this.#execute(some, persisted, given);
      if (persisted.size === 0) return this.#collected(outcomes);
      return Promise.all(
        outcomes.map(async (outcome, i) =>
          persisted.has(some[i]!) ? outcome : (await this.#collected([outcome]))[0]!,
        ),
      );
    };
    return this.#parts.recovery.settle(exprs, execute);
  }

  #collected(outcomes: readonly Outcome[]): Promise<Outcome[]> {
    return collectOutcomes(outcomes, (value) => this.#parts.places.read(value, this.scope));
  }

  /** Counts a run at its first request. Parallel runs count once, or what all need would age. */
  #begin(): void {
    const { cache, interner } = this.#parts;
    if (cache.runs !== this.#before) return;
    cache.beginRun();
    interner.tidy();
  }

  async #execute(
    exprs: readonly Expr[],
    persistedExprs: ReadonlySet<Expr>,
    given?: Given,
  ): Promise<Outcome[]> {
    const { cache, interner, planner, reuse, tier } = this.#parts;
    const recall = new Recall(cache, tier, interner, this.scope.signal);
    if (this.#parts.functions.hasCalls) await this.#bringCalls(exprs, recall);
    const roots = simplify(exprs, interner);
    const persisted = new Set(roots.filter((_, i) => persistedExprs.has(exprs[i]!)));
    cache.awake(roots);
    // What follows from slots is stored nowhere.
    if (given === undefined && this.#outlives) {
      await recall.fromStore(roots, (expr) => recall.values.has(expr) || planner.isAtHand(expr));
    }
    try {
      for (;;) {
        const plan = planner.plan(roots, { persisted, recall, given });
        if (!recall.isComplete(plan)) {
          await recall.complete(plan);
          continue;
        }
        planner.executes(plan);
        recall.countReuse(plan, this.statistics, (expr) => this.#adopt(plan, expr));
        // Claims what it computes before anybody else can plan, so that nothing is computed twice.
        const end = beginPlan(plan, reuse ? cache.tiers : []);
        const outcomes = await new Execution(plan, this.#contextOf(recall)).run().finally(end);
        interner.weakenAfter(plan.nodes.length);
        return outcomes;
      }
    } finally {
      recall.end();
    }
  }

  /** Values of reusable functions' outputs, which no backend computes. */
  async #bringCalls(exprs: readonly Expr[], recall: Recall): Promise<void> {
    const { functions, planner, reuse } = this.#parts;
    const isThere = (expr: Expr): boolean => reuse && planner.isAtHand(expr.simplified ?? expr);
    for (const [expr, { value, seconds }] of await functions.values(this, exprs, isThere)) {
      recall.add(this.simplified(expr), value, seconds);
    }
  }

  #contextOf(recall: Recall): ExecutionContext {
    const { backends, local, cache, places, planner, reuse, asynchronous, tier } = this.#parts;
    return {
      ...this.scope,
      cache,
      statistics: this.statistics,
      backends,
      local,
      reuse,
      costs: planner.costs,
      places,
      transients: planner.transients,
      asynchronous,
      ...(tier && this.#outlives
        ? {
            onComputed: (expr, value, seconds) =>
              tier.publish(expr, value, seconds, recall.leaseOf(expr)),
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

function valuesOf(outcomes: readonly Outcome[]): Value[] {
  return outcomes.map((outcome) => {
    if (!outcome.ok) throw outcome.error;
    return outcome.value;
  });
}
