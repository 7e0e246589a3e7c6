/**
 * Plans for a session: what the passes of the compiler need to know of its backends, cache and
 * store, and plans as text. Invariant: planning claims nothing, counts nothing and runs nothing, so
 * a plan may be made again at any time.
 */

import type { Backend } from '../backend/backend.js';
import type { Places } from '../backend/places.js';
import { printPlan } from '../compiler/explain.js';
import { MIN_PARTIAL_SECONDS } from '../compiler/partial-reuse.js';
import { type PassContext, PLACEMENTS, type PlacementPolicy } from '../compiler/pass.js';
import { compile } from '../compiler/pipeline.js';
import type { Plan } from '../compiler/plan.js';
import { LookupHistory } from '../compiler/plan-rules/look-up-last.js';
import { planSeconds } from '../compiler/plan-seconds.js';
import { isHostData } from '../compiler/row-blocks.js';
import { logicalText } from '../compiler/run-passes.js';
import type { PartialReuseOptions } from '../compiler/run-plan-rules.js';
import { transientHistory } from '../compiler/transients.js';
import type { CostModel } from '../cost/cost-model.js';
import { ReuseHistory } from '../cost/reuse-history.js';
import { ConfigError } from '../errors.js';
import { type Expr, topological } from '../ir/expr.js';
import type { Interner } from '../ir/intern.js';
import { isLeafValue, leafValue } from '../ir/leaf-value.js';
import type { Value } from '../ir/value.js';
import type { DurableTier } from '../reuse/durable-tier.js';
import type { ReuseCache } from '../reuse/reuse-cache.js';
import type { ReusePolicy } from '../reuse/setting.js';
import { env } from '../support/env.js';
import type { Recall } from './recall.js';

/** With blocks elsewhere, larger results are not merged here: they would travel. @units bytes */
const REMOTE_PARTIAL_BYTES = 8 * 1024 * 1024;

/** Of what may be whole on the host, what may be made of a table of which some rows are asked for. */
const TABLE_SHARE = 1 / 2;

const none: ReadonlySet<Expr> = new Set();

export interface PlanOptions {
  /** Roots that are to stay with their row blocks. */
  readonly persisted?: ReadonlySet<Expr>;
  /** Nodes that are to stay if they are made. */
  readonly held?: ReadonlySet<Expr>;
  /** Roots that nobody reads on the host. */
  readonly resident?: ReadonlySet<Expr>;
  readonly recall?: Recall | undefined;
  readonly given?: Given | undefined;
  /** The only device that may run nodes. Default: all. */
  readonly device?: Backend | undefined;
}

/** Values of slots. */
export type Given = ReadonlyMap<Expr, Value>;

export interface PlannerOptions {
  readonly local: Backend;
  readonly blocks: Backend;
  readonly devices?: readonly Backend[];
  readonly interner: Interner;
  readonly cache: ReuseCache;
  readonly tier: DurableTier | undefined;
  readonly reuse: ReusePolicy;
  readonly materialiseBytes: number;
  /** Default: `REPRISE_PLACEMENT`, else `cost`. */
  readonly placement?: PlacementPolicy;
  readonly costs: CostModel;
  readonly places: Places;
}

export class Planner {
  readonly costs: CostModel;
  readonly transients = transientHistory();
  readonly history: ReuseHistory;
  /** Whether results of every backend outlive their plan. */
  readonly keepsAll: boolean;
  readonly #lookups = new LookupHistory();
  readonly #options: PlannerOptions;
  readonly #policy: PlacementPolicy;

  /** @throws ConfigError when `REPRISE_PLACEMENT` names no policy */
  constructor(options: PlannerOptions) {
    this.#options = options;
    this.costs = options.costs;
    const { local, blocks, devices = [] } = options;
    this.keepsAll = [local, blocks, ...devices].every((backend) => this.keepsIn(backend));
    // What nobody keeps is not made for later readers.
    this.history = new ReuseHistory(this.keepsAll ? options.costs.reads : undefined);
    this.#policy = options.placement ?? policyFromEnv();
  }

  /** The physical plan of these nodes. @throws InternalError, UnsupportedError */
  plan(roots: readonly Expr[], options: PlanOptions = {}): Plan {
    return compile(roots, this.#context(options));
  }

  /** Whether results of a backend outlive their plan. */
  keepsIn(backend: Backend): boolean {
    const { reuse, local } = this.#options;
    return reuse.results === 'all' || (reuse.results === 'here' && backend === local);
  }

  /** All devices, where any would run one of these nodes; else none. */
  devicesFor(roots: () => readonly Expr[]): readonly Backend[] {
    const { devices } = this;
    if (devices.length === 0) return devices;
    const { nodes } = this.plan(roots());
    return nodes.some(({ backend }) => devices.includes(backend)) ? devices : [];
  }

  get devices(): readonly Backend[] {
    return this.#options.devices ?? [];
  }

  /** Largest data kept whole on the host. @units bytes */
  get materialiseBytes(): number {
    return this.#options.materialiseBytes;
  }

  /** What a plan is expected to take, nothing overlapping. @units seconds */
  seconds(plan: Plan): number {
    return planSeconds(plan, this.costs);
  }

  /** Before a plan runs: remembers its data, so that later plans know what is read again. */
  executes(plan: Plan): void {
    const { local, blocks, devices = [] } = this.#options;
    if (!this.keepsAll) return;
    if (plan.partial?.lookups !== undefined) this.#lookups.note(plan.partial.lookups);
    const data = plan.nodes.filter(({ how }) => how.kind === 'rows').map(({ expr }) => expr);
    for (const [expr, value] of plan.available) {
      if (value.kind === 'handle' || isHostData(expr, value)) data.push(expr);
    }
    // Later sessions place by it. With one place there is nothing to decide, and naming data of
    // this process means digesting them.
    this.history.note(data, blocks !== local || devices.length > 0);
  }

  /** The plan as text. `verbose`: as written, then after each rule and pass that changed it. */
  explain(roots: readonly Expr[], verbose = false, recall?: Recall): string {
    if (!verbose) return printPlan(this.plan(roots));
    const steps = [`== as written\n${logicalText(topological(roots))}`];
    const trace = (step: string, text: string): void => {
      steps.push(`== ${step}\n${text}`);
    };
    compile(roots, { ...this.#context({ recall }), trace });
    return steps.join('\n\n');
  }

  #context(options: PlanOptions): PassContext {
    const { persisted = none, held = none, resident = none, recall, given, device } = options;
    const { local, blocks, interner, materialiseBytes } = this.#options;
    const devices = device === undefined ? this.devices : [device];
    const partial = this.#partialOptions(persisted.size > 0, recall);
    return {
      maker: interner,
      local,
      blocks,
      devices,
      policy: this.#policy,
      costs: this.costs,
      history: this.history,
      materialiseBytes,
      keepsIn: (backend) => this.keepsIn(backend),
      transients: this.transients,
      results: this.#options.cache.results,
      places: this.#options.places,
      persisted,
      held,
      resident,
      ...(partial ? { partial } : {}),
      find: (expr) => given?.get(expr) ?? this.#find(expr, recall),
      verify: env.verify() >= 1,
    };
  }

  #find(expr: Expr, recall: Recall | undefined): Value | 'pending' | undefined {
    if (isLeafValue(expr)) return leafValue(expr);
    if (expr.op.source !== 'call' && !expr.isDeterministic) return undefined;
    const entry = this.#options.cache.probe(expr);
    const value = entry?.value ?? recall?.values.get(expr);
    if (value !== undefined) return value;
    return entry === undefined && recall?.isOffered(expr) !== true ? undefined : 'pending';
  }

  /** Whether a value is, or is about to be, in this process. */
  isAtHand(expr: Expr): boolean {
    return expr.isDeterministic && this.#options.cache.probe(expr) !== undefined;
  }

  /** Values kept in a backend are left to it, so a request to persist is answered by no parts. */
  #partialOptions(persist: boolean, recall: Recall | undefined): PartialReuseOptions | undefined {
    const { reuse, cache, local, blocks, materialiseBytes } = this.#options;
    if (!reuse.partial || persist) return undefined;
    const lookups = { history: this.#lookups, maxBytes: materialiseBytes * TABLE_SHARE };
    return {
      isThere: (expr) =>
        expr.inputs.length === 0
          ? isLeafValue(expr) || this.isAtHand(expr)
          : this.isAtHand(expr) ||
            recall?.values.has(expr) === true ||
            recall?.isOffered(expr) === true,
      isCached: (expr) => {
        const entry = cache.probe(expr);
        if (entry !== undefined) return entry.value?.kind === 'dense' || entry.state === 'spilled';
        return recall?.canRead(expr) === true;
      },
      siblings: (op, key) => recall?.siblings(op, key) ?? cache.siblings(op, key),
      estimate: (expr) => local.estimate(expr).seconds,
      minSeconds: MIN_PARTIAL_SECONDS,
      verify: env.verify() >= 1,
      // What other batches will look up in has to be there for them.
      ...(reuse.results === 'all' ? { lookups } : {}),
      ...(blocks === local ? {} : { maxBytes: REMOTE_PARTIAL_BYTES }),
    };
  }
}

function policyFromEnv(): PlacementPolicy {
  const value = env.placement() ?? 'cost';
  const policy = PLACEMENTS.find((known) => known === value);
  if (policy !== undefined) return policy;
  throw new ConfigError(
    `REPRISE_PLACEMENT: expected ${PLACEMENTS.join(', ')}, got \`${value}\`; unset it for \`cost\``,
    { key: 'REPRISE_PLACEMENT', value, allowed: PLACEMENTS, source: 'environment' },
  );
}
