/**
 * A session: interned expressions, the backends they run on and the reuse cache, for as many runs
 * as like. It is a run itself, without a signal, for what is asked of it directly.
 */
import type { Backend } from '../backend/backend.js';
import { Places } from '../backend/places.js';
import type { PlacementPolicy } from '../compiler/pass.js';
import { siblingKeys } from '../compiler/plan-rules/find-by.js';
import { saveCostModel } from '../cost/cost-file.js';
import { CostModel } from '../cost/cost-model.js';
import { observeCollect } from '../cost/measure.js';
import { movePays } from '../cost/move-pays.js';
import { FunctionCache } from '../functions/function-cache.js';
import { LoopEnds } from '../functions/loop-ends.js';
import { denseBytes, type Expr } from '../ir/expr.js';
import { Interner } from '../ir/intern.js';
import type { Handle } from '../ir/value.js';
import { DurableTier } from '../reuse/durable-tier.js';
import { evictionPolicy, type PolicyName, policyFromEnv } from '../reuse/eviction-policy.js';
import { ReuseCache } from '../reuse/reuse-cache.js';
import { reusePolicy } from '../reuse/setting.js';
import { SharedMemos } from '../reuse/shared-memos.js';
import { type SpillOptions, spillTier } from '../reuse/spill-tier.js';
import type { DurableStore } from '../reuse/store/durable-store.js';
import { memoryShares } from '../support/memory.js';
import type { ReuseSetting } from '../support/reuse-words.js';
import { Planner } from './planner.js';
import { Recovery } from './recovery.js';
import { Run, type RunScope } from './run.js';
import type { SessionParts } from './session-parts.js';

/** Share of the host's budget for copies beside originals, and the most of it for one value. */
const COPY_SHARE = 0.25;

export interface SessionOptions {
  /** Runs operators on whole values on this machine. */
  readonly local: Backend;
  /** Runs row blocks: Spark, say. Default: `local`. */
  readonly blocks?: Backend;
  /** Run whole values and keep them: GPUs. Default: none. */
  readonly devices?: readonly Backend[];
  /** Where nodes with a choice run. Default `REPRISE_PLACEMENT`, else `cost`: least time. */
  readonly placement?: PlacementPolicy;
  /** Measured costs of work and transfers, learned as it runs. Default: backends' estimates. */
  readonly costs?: CostModel;
  /** Host memory for results. @units bytes, default half of the process's (`support/memory.ts`) */
  readonly cacheBytes?: number;
  /** Eviction order. Default `REPRISE_CACHE_POLICY`, else `costSize`: least cost for the size. */
  readonly policy?: PolicyName;
  /** Spill values to disk where it pays. False: never. Default on, or by `REPRISE_SPILL`. */
  readonly spill?: SpillOptions | false;
  /** Largest data kept, not streamed. @units bytes, default half `cacheBytes`, at most its share */
  readonly materialiseBytes?: number;
  /** What is reused: see `reuse/setting.ts`. Default `REPRISE_REUSE`, else `full`. */
  readonly reuse?: ReuseSetting;
  /** False, for measuring: values leaving a backend neither move nor are copied. Default true. */
  readonly migration?: boolean;
  /** False, for measuring: one piece of work at a time, nothing sent ahead. Default true. */
  readonly asynchronous?: boolean;
  /** Results that outlive the process, shared with others. Default: none. */
  readonly store?: DurableStore;
}

export class Session extends Run {
  readonly local: Backend;
  readonly blocks: Backend;
  readonly cache: ReuseCache;
  readonly interner: Interner;
  readonly functions: FunctionCache;
  readonly loops: LoopEnds;
  readonly #parts: SessionParts;

  constructor(options: SessionOptions) {
    const parts = partsOf(options);
    super(parts, {});
    this.local = options.local;
    this.blocks = options.blocks ?? options.local;
    this.cache = parts.cache;
    this.interner = parts.interner;
    this.functions = parts.functions;
    this.loops = parts.loops;
    this.#parts = parts;
  }

  /**
   * A run of its own: what is asked for through it, by matrices made with it or brought with
   * `Matrix.in`, is counted in its `statistics`, cancelled by `signal` and told to `onProgress`.
   * Runs side by side share what the session keeps; what several need one of them computes.
   */
  run(scope: RunScope = {}): Run {
    return new Run(this.#parts, scope, this);
  }

  /** Resolves when everything that is to be kept is in the durable store. */
  async settle(): Promise<void> {
    await this.#parts.tier?.settle();
  }

  /** Ends every backend. */
  async close(): Promise<void> {
    const { backends, places, planner } = this.#parts;
    await this.settle();
    await places.close();
    saveCostModel(planner.costs);
    this.cache.close();
    await Promise.all([...backends.values()].map((backend) => backend.close()));
  }
}

function partsOf(options: SessionOptions): SessionParts {
  const { local, blocks = local, devices = [], asynchronous = true } = options;
  const reuse = reusePolicy(options.reuse);
  const backends = new Map([local, blocks, ...devices].map((backend) => [backend.name, backend]));
  const shares = memoryShares();
  const cacheBytes = options.cacheBytes ?? shares.cacheBytes;
  const materialiseBytes =
    options.materialiseBytes ?? Math.min(cacheBytes / 2, shares.materialiseBytes);
  const seconds = (expr: Expr): number => blocks.estimate(expr).seconds;
  const tier =
    options.store !== undefined && reuse.store
      ? new DurableTier(options.store, seconds, siblingKeys)
      : undefined;
  const costs = options.costs ?? new CostModel();
  const at = (handle: Handle): Backend => backends.get(handle.backend)!;
  const copyBytes =
    reuse.results === 'all' && (options.migration ?? true) ? cacheBytes * COPY_SHARE : 0;
  const places = new Places({
    backends,
    copyBytes,
    movePays: (entry, handle, isHere) =>
      denseBytes(handle) <= copyBytes && movePays(entry, handle, at(handle), costs, isHere),
    brought: (handle, seconds) => observeCollect(costs, at(handle), handle, seconds),
  });
  const policy = options.policy === undefined ? policyFromEnv() : evictionPolicy(options.policy);
  const cache: ReuseCache = new ReuseCache({
    budgetBytes: cacheBytes,
    siblingKeys,
    policy,
    tiers: [...backends.values()].flatMap((backend) => backend.tier ?? []),
    spill: reuse.setting === 'off' ? undefined : spillTier(options.spill, policy),
    release: (handle) => places.release(handle),
    onEvict: (entry) => places.leaving(entry, cache),
    isStored: (expr) => tier?.has(expr) === true,
  });
  const interner = new Interner();
  const planner = new Planner({
    ...options,
    blocks,
    costs,
    places,
    interner,
    cache,
    tier,
    reuse,
    materialiseBytes,
  });
  return {
    backends,
    local,
    interner,
    cache,
    planner,
    places,
    tier,
    memos: new SharedMemos(tier, reuse.profiles),
    recovery: new Recovery(cache, backends, places),
    functions: new FunctionCache(cache, tier, reuse.functions),
    loops: new LoopEnds(cache, tier),
    reuse,
    asynchronous,
  };
}
