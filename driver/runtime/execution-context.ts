/** What an execution needs of its session, and what it answers. */

import type { Backend, RunContext } from '../backend/backend.js';
import type { Places } from '../backend/places.js';
import type { PlanNode } from '../compiler/plan.js';
import type { CostModel } from '../cost/cost-model.js';
import type { Likelihood } from '../cost/likelihood.js';
import type { Expr } from '../ir/expr.js';
import type { Value } from '../ir/value.js';
import type { ReuseCache } from '../reuse/reuse-cache.js';
import type { Statistics } from './statistics.js';

export interface ExecutionContext extends RunContext {
  readonly cache: ReuseCache;
  readonly statistics: Statistics;
  readonly backends: ReadonlyMap<string, Backend>;
  /** Runs operators on whole values on this machine. */
  readonly local: Backend;
  /** Whether a result outlives its plan. */
  readonly keeps: (node: PlanNode) => boolean;
  /** Learns from what is measured. */
  readonly costs: CostModel;
  readonly places: Places;
  /** Told what becomes of cheap steps that are not kept. */
  readonly transients: Likelihood<Expr>;
  /** False: nothing travels ahead, and one thing runs at a time. For measuring. */
  readonly asynchronous: boolean;
  /** Told each value as it is computed. */
  readonly onComputed?: (expr: Expr, value: Value, seconds: number) => void;
}

export type Outcome =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: Error };
