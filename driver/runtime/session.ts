/**
 * A session: interned expressions, the backends they run on, the reuse cache, and what happened.
 * Requests made in the same turn of the event loop are planned together, so that concurrent trials
 * meet in one plan.
 */

import type { Backend } from '../backend/backend.js';
import { beginPlan } from '../backend/cache-tier.js';
import type { PlacementPolicy } from '../compiler/pass.js';
import type { Plan } from '../compiler/plan.js';
import { siblingKeys } from '../compiler/plan-rules/find-by.js';
import { simplify } from '../compiler/simplify.js';
import { saveCostModel } from '../cost/cost-file.js';
import { CostModel } from '../cost/cost-model.js';
import { FunctionCache } from '../functions/function-cache.js';
import type { Attrs } from '../ir/attrs.js';
import type { Evaluator } from '../ir/evaluator.js';
import type { Expr } from '../ir/expr.js';
import { Interner } from '../ir/intern.js';
import type { OpDef } from '../ir/op-def.js';
import type { Value } from '../ir/value.js';
import { call } from '../operators/call.js';
import { DurableTier } from '../reuse/durable-tier.js';
import { evictionPolicy, type PolicyName, policyFromEnv } from '../reuse/eviction-policy.js';
import { MemoTable } from '../reuse/memo-table.js';
import { ReuseCache } from '../reuse/reuse-cache.js';
import { type SpillOptions, spillTier } from '../reuse/spill-tier.js';
import type { DurableStore } from '../reuse/store/durable-store.js';
import type { Json } from '../reuse/store/entry-format.js';
import { memoryShares } from '../support/memory.js';
import { Execution } from './execution.js';
import type { ExecutionContext, Outcome } from './execution-context.js';
import { Migration } from './migration.js';
import { Planner } from './planner.js';
import { Recall } from './recall.js';
import { collectOutcomes, Recovery } from './recovery.js';
import { Statistics } from './statistics.js';

export interface SessionOptions {
  /** Runs operators on whole values on this machine. */
  readonly local: Backend;
  /** Runs row blocks: Spark, say. Default: `local`. */
  readonly blocks?: Backend;
  /** Run whole values and keep them: GPUs. Default: none. */
  readonly devices?: readonly Backend[];
  /** Where nodes run that several backends can run. Default `REPRISE_PLACEMENT`, else `cost`: least expected time for the plan. */
  readonly placement?: PlacementPolicy;
  /** What work and transfers were measured to cost; learns as the session runs. Default: the backends' own estimates. */
  readonly costs?: CostModel;
  /** Host memory for cached results. @units bytes, default half of what the process may take (`support/memory.ts`) */
  readonly cacheBytes?: number;
  /** Which values leave memory first. Default `REPRISE_CACHE_POLICY`, else `costSize`: cheapest to compute for their size. */
  readonly policy?: PolicyName;
  /** Values that leave memory go to disk when writing them is expected to pay. False: never. Default on, or as `REPRISE_SPILL` says. */
  readonly spill?: SpillOptions | false;
  /** Largest data matrix kept whole on the host rather than streamed again. @units bytes, default half of `cacheBytes`, at most its share */
  readonly materialiseBytes?: number;
  /** False switches reuse off: every request computes everything. For measuring. */
  readonly reuse?: boolean;
  /** False: no value changes place when it leaves a backend, and no copy stays beside its original. For measuring. Default true. */
  readonly migration?: boolean;
  /** False: nothing travels ahead of its use, and one piece of work runs at a time. For measuring. Default true. */
  readonly asynchronous?: boolean;
  /** Results that outlive the process, shared with others. Default: none. */
  readonly store?: DurableStore;
}

interface Request {
  readonly exprs: readonly Expr[];
  readonly persist: boolean;
  readonly resolve: (outcomes: Outcome[]) => void;
  readonly reject: (error: unknown) => void;
}

export interface RunScope {
  readonly signal?: AbortSignal;
  readonly onProgress?: (fraction: number) => void;
}

export class Session implements Evaluator {
  readonly local: Backend;
  readonly blocks: Backend;
  readonly cache: ReuseCache;
  /** What happened since `beginRun`, or since the session was made. */
  statistics = new Statistics();
  readonly interner = new Interner();
  /** Cancellation and progress of the work submitted now; set by whoever runs a job. */
  scope: RunScope = {};
  readonly #backends: ReadonlyMap<string, Backend>;
  readonly #planner: Planner;
  readonly #migration: Migration;
  readonly #reuse: boolean;
  readonly #asynchronous: boolean;
  readonly #tier: DurableTier | undefined;
  readonly #memos = new MemoTable();
  readonly #recovery: Recovery;
  readonly functions: FunctionCache;
  /** Whether any node is an output of a reusable function. */
  #hasCalls = false;
  #requests: Request[] = [];

  constructor(options: SessionOptions) {
    this.local = options.local;
    this.blocks = options.blocks ?? options.local;
    const all = [this.local, this.blocks, ...(options.devices ?? [])];
    this.#backends = new Map(all.map((backend) => [backend.name, backend]));
    const shares = memoryShares();
    const cacheBytes = options.cacheBytes ?? shares.cacheBytes;
    const materialiseBytes =
      options.materialiseBytes ?? Math.min(cacheBytes / 2, shares.materialiseBytes);
    this.#reuse = options.reuse ?? true;
    this.#asynchronous = options.asynchronous ?? true;
    if (options.store !== undefined && this.#reuse) {
      const seconds = (expr: Expr): number => this.blocks.estimate(expr).seconds;
      this.#tier = new DurableTier(options.store, seconds, siblingKeys);
    }
    const costs = options.costs ?? new CostModel();
    this.#migration = new Migration({
      backends: this.#backends,
      costs,
      budgetBytes: cacheBytes,
      enabled: this.#reuse && (options.migration ?? true),
    });
    const policy = options.policy === undefined ? policyFromEnv() : evictionPolicy(options.policy);
    this.cache = new ReuseCache({
      budgetBytes: cacheBytes,
      siblingKeys,
      policy,
      tiers: [...this.#backends.values()].flatMap(({ tier }) => tier ?? []),
      spill: this.#reuse ? spillTier(options.spill, policy) : undefined,
      release: (handle) => this.#backends.get(handle.backend)?.release?.(handle),
      onEvict: (entry) => this.#migration.leaving(entry, this.cache),
    });
    this.functions = new FunctionCache(this, this.#tier, this.#reuse);
    this.#recovery = new Recovery(this.cache, this.#backends);
    this.#planner = new Planner({
      ...options,
      costs,
      replicas: this.#migration.replicas,
      blocks: this.blocks,
      interner: this.interner,
      cache: this.cache,
      tier: this.#tier,
      reuse: this.#reuse,
      materialiseBytes,
    });
  }

  /** Starts counting afresh for a run. Runs that overlap in one session share what is counted. */
  beginRun(): Statistics {
    this.statistics = new Statistics();
    this.cache.beginRun();
    this.interner.tidy();
    return this.statistics;
  }

  intern(op: OpDef, inputs: readonly Expr[], attrs?: Attrs, payload?: unknown): Expr {
    const before = this.interner.hits;
    const expr = this.interner.intern(op, inputs, attrs, payload);
    if (op === call) this.#hasCalls = true;
    if (this.interner.hits !== before && inputs.length > 0) this.statistics.hit(expr);
    return expr;
  }

  /** The node plans compute instead of this one. */
  simplified(expr: Expr): Expr {
    return expr.simplified ?? simplify([expr], this.interner)[0]!;
  }

  async evaluate(exprs: readonly Expr[]): Promise<Value[]> {
    const outcomes = await this.evaluateSettled(exprs);
    return outcomes.map((outcome) => {
      if (!outcome.ok) throw outcome.error;
      return outcome.value;
    });
  }

  /** As `evaluate`, but a node that fails (a singular system, say) fails alone. Values are on the host. */
  evaluateSettled(exprs: readonly Expr[]): Promise<Outcome[]> {
    return this.#request(exprs, false);
  }

  /** Computes nodes and keeps them where their row blocks are (RDDs on Spark, the host otherwise). */
  async persist(exprs: readonly Expr[]): Promise<void> {
    for (const outcome of await this.#request(exprs, true)) if (!outcome.ok) throw outcome.error;
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
    const known = this.#memos.get(key);
    if (known !== undefined && this.#reuse) return known as Promise<T>;
    const { signal } = this.scope;
    const once = alone ? { signal } : undefined;
    const promise = this.#tier?.memo(key, compute, unchanged, once) ?? compute();
    this.#memos.keep(key, promise);
    return promise;
  }

  explain(exprs: readonly Expr[], options: { readonly verbose?: boolean } = {}): string {
    return this.#planner.explain(exprs, options.verbose);
  }

  /** The placed plan of these nodes, simplified; nothing runs and nothing is claimed. */
  plan(exprs: readonly Expr[]): Plan {
    return this.#planner.plan(exprs);
  }

  /** What a plan is expected to take by what was measured so far, nothing overlapping. @units seconds */
  expectedSeconds(plan: Plan): number {
    return this.#planner.seconds(plan);
  }

  /** Resolves when everything that is to be kept is in the durable store. */
  async settle(): Promise<void> {
    await this.#tier?.settle();
  }

  /** Ends every backend. */
  async close(): Promise<void> {
    await this.#tier?.settle();
    await this.#migration.close();
    saveCostModel(this.#planner.costs);
    this.cache.close();
    await Promise.all([...this.#backends.values()].map((backend) => backend.close()));
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
    for (const persist of [false, true]) {
      const group = requests.filter((request) => request.persist === persist);
      if (group.length === 0) continue;
      const exprs = group.flatMap((request) => request.exprs);
      const execute = async (some: readonly Expr[]): Promise<Outcome[]> => {
        const outcomes = await this.#execute(some, persist);
        return persist ? outcomes : collectOutcomes(outcomes, (value) => this.#collect(value));
      };
      this.#recovery.settle(exprs, execute).then(
        (outcomes) => {
          let from = 0;
          for (const request of group) {
            request.resolve(outcomes.slice(from, from + request.exprs.length));
            from += request.exprs.length;
          }
        },
        (error) => {
          for (const request of group) request.reject(error);
        },
      );
    }
  }

  async #execute(exprs: readonly Expr[], persist: boolean): Promise<Outcome[]> {
    const recall = new Recall(this.cache, this.#tier, this.interner);
    if (this.#hasCalls) await this.#bringCalls(exprs, recall);
    const roots = simplify(exprs, this.interner);
    this.cache.awake(roots);
    const isThere = (expr: Expr): boolean =>
      recall.values.has(expr) || this.#planner.isAtHand(expr);
    await recall.fromStore(roots, isThere, this.scope.signal);
    try {
      for (;;) {
        const plan = this.#planner.plan(roots, persist, recall);
        if (!recall.isComplete(plan)) {
          await recall.complete(plan);
          continue;
        }
        this.#planner.executes(plan);
        recall.countReuse(plan, this.statistics, (expr) => this.#adopt(plan, expr));
        // Claims what it computes before anybody else can plan, so that nothing is computed twice.
        const end = beginPlan(this.#reuse ? this.cache.tiers : [], plan);
        const outcomes = await new Execution(plan, this.#contextOf(recall)).run().finally(end);
        this.interner.weakenAfter(plan.nodes.length);
        return outcomes;
      }
    } finally {
      recall.end();
    }
  }

  /** Values of reusable functions' outputs, which no backend computes. */
  async #bringCalls(exprs: readonly Expr[], recall: Recall): Promise<void> {
    const isThere = (expr: Expr): boolean =>
      this.#reuse && this.#planner.isAtHand(expr.simplified ?? expr);
    for (const [expr, { value, seconds }] of await this.functions.values(exprs, isThere)) {
      recall.add(this.simplified(expr), value, seconds);
    }
  }

  #contextOf(recall: Recall): ExecutionContext {
    const { signal, onProgress } = this.scope;
    const tier = this.#tier;
    return {
      cache: this.cache,
      statistics: this.statistics,
      backends: this.#backends,
      reuse: this.#reuse,
      costs: this.#planner.costs,
      migration: this.#migration,
      transients: this.#planner.transients,
      asynchronous: this.#asynchronous,
      ...(signal ? { signal } : {}),
      ...(onProgress ? { onProgress } : {}),
      ...(tier
        ? {
            onComputed: (expr, value, seconds) =>
              tier.publish(expr, value, seconds, recall.leaseOf(expr)),
          }
        : {}),
    };
  }

  /** Keeps a cached value that is the whole answer to another node under that node as well. */
  #adopt(plan: Plan, expr: Expr): void {
    const entry = this.cache.probe(expr);
    if (entry === undefined || !plan.partial?.answers.has(expr)) return;
    for (const original of plan.partial.originals.get(expr) ?? []) {
      this.cache.alias(original, expr, entry.seconds);
      this.statistics.partial++;
      this.statistics.record(original, entry.backend, entry.seconds, 'reused');
    }
  }

  async #collect(value: Value): Promise<Value> {
    if (value.kind === 'dense') return value;
    return (await this.#migration.collect(value, this.scope)) ?? value;
  }
}
