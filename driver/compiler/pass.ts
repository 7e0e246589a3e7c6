/**
 * What a pass of the compiler is: a value with a name and a function from state to state. Passes
 * before `placement` rewrite expressions, those from it on fill in the physical plan. A pass owns
 * no traversal policy beyond its own walk, no I/O and no state; `run-passes.ts` orders, checks and
 * traces them, and `pipeline.ts` lists them.
 */

import type { Backend } from '../backend/backend.js';
import type { Places } from '../backend/places.js';
import type { CostModel } from '../cost/cost-model.js';
import type { Likelihood } from '../cost/likelihood.js';
import type { ReuseHistory } from '../cost/reuse-history.js';
import type { Expr, NodeMaker } from '../ir/expr.js';
import type { Value } from '../ir/value.js';
import type { CollectResult } from './collect.js';
import type { Plan } from './plan.js';
import type { PartialReuse, PartialReuseOptions } from './run-plan-rules.js';

/**
 * Where nodes run that more than one backend can run. `cost`: where the whole plan is expected to
 * take least; `local`: here; `blocks`: where the row blocks are; `devices`: on devices whatever they
 * have kernels for, the rest as by `local`.
 */
export const PLACEMENTS = ['cost', 'local', 'blocks', 'devices'] as const;
export type PlacementPolicy = (typeof PLACEMENTS)[number];

export interface PassContext {
  readonly maker: NodeMaker;
  /** Runs operators on whole host values. */
  readonly local: Backend;
  /** Runs row blocks: the same backend, or Spark. */
  readonly blocks: Backend;
  /** Run whole values and keep them: GPUs. */
  readonly devices: readonly Backend[];
  readonly policy: PlacementPolicy;
  readonly costs: CostModel;
  readonly history: ReuseHistory;
  /** Where copies are: reading one that is here costs nothing. */
  readonly places: Places;
  /** A blocked value of at most this size may be kept whole on the host. @units bytes */
  readonly materialiseBytes: number;
  /** Roots that are to be kept where their row blocks are, not brought here. */
  readonly persisted: ReadonlySet<Expr>;
  /** Roots that may be left on the device that makes them: nobody reads them on the host. */
  readonly resident: ReadonlySet<Expr>;
  /** Nodes that are kept whatever backend makes them. */
  readonly held: ReadonlySet<Expr>;
  /** Whether results of a backend are kept beyond their plan. */
  readonly keepsIn: (backend: Backend) => boolean;
  /** Of cheap steps that were not kept, those made again. */
  readonly transients: Likelihood<Expr>;
  /** Of all results, those asked for again. */
  readonly results: Likelihood<Expr>;
  /** Absent: nothing cached is built upon. */
  readonly partial?: PartialReuseOptions;
  /** A node's value if there; `pending` if another execution computes it; else undefined. */
  readonly find: (expr: Expr) => Value | 'pending' | undefined;
  readonly verify: boolean;
  /** Told the plan as text after each rule and pass that changed it. */
  readonly trace?: (step: string, text: string) => void;
}

export interface PassState {
  /** Equal to the roots asked for, in the same order. */
  readonly roots: readonly Expr[];
  readonly partial?: PartialReuse;
  /** What these roots lack; there once a pass has asked. */
  readonly collected?: CollectResult;
  /** There from `placement` on. */
  readonly plan?: Plan;
}

export interface Pass {
  /** Lower case, as `explain` prints it. */
  readonly name: string;
  /** What it decides, in one sentence. */
  readonly summary: string;
  readonly run: (state: PassState, context: PassContext) => PassState;
}
