/** What training a batch would take, found without running anything: passes, stacks and memory. */
import type { AttrValue } from '../ir/attrs.js';
import type { BatchValue } from '../ir/batch-rule.js';
import type { Evaluator } from '../ir/evaluator.js';
import type { Expr } from '../ir/expr.js';
import { type BatchArgument, checkArguments, likeOf } from './arguments.js';
import type { BatchFunction } from './batch.js';
import { bytesPerModel, dryRun, stackedSections, stacksOn } from './dry-run.js';
import { sharedValue } from './model-values.js';
import type { Matrices } from './stack-run.js';
import { slotLeaf } from './trace.js';

/** A run, which plans. */
export interface PlanningRun extends Evaluator {
  plan(exprs: readonly Expr[]): {
    readonly nodes: readonly {
      readonly expr: Expr;
      readonly how: { readonly kind: string };
      readonly wave: number;
    }[];
  };
}

export interface BatchPlan {
  /** Passes over the data in one iteration of each loop, in their order. */
  readonly iterations: readonly number[];
  /** Passes before, between and after them. */
  readonly passes: number;
  /** Models of a stack, of about equal size. */
  readonly atOnce: number;
  readonly stacks: number;
  /** @units bytes */
  readonly bytesPerModel: number;
}

/** @throws PlanError where `fn` asks for values */
export async function planBatch(
  run: PlanningRun,
  models: number,
  args: Readonly<Record<string, BatchArgument>>,
  fn: BatchFunction<Matrices>,
  params: AttrValue = null,
): Promise<BatchPlan> {
  checkArguments(models, args);
  const values = Object.fromEntries(
    Object.entries(args).map(([name, argument]) => {
      const like = likeOf(argument);
      const own = (): BatchValue => ({ layout: 'columns', expr: slotLeaf(run, like) });
      const known = 'shared' in argument ? sharedValue(argument.shared.expr) : { of: own };
      return [name, { like, values: known }];
    }),
  );
  const traced = await dryRun(values, (given) => fn(given, params));
  const { stacks } = stacksOn(run, models, traced);
  const atOnce = Math.ceil(models / stacks);
  const dataRows = Math.max(...[...traced.shared.values()].map(({ rows }) => rows));
  const iterations: number[] = [];
  let passes = 0;
  for (const { isLoop, exprs } of stackedSections(run, atOnce, traced)) {
    const own = passesOf(run, exprs, dataRows);
    if (isLoop) iterations.push(own);
    else passes += own;
  }
  return { iterations, passes, atOnce, stacks, bytesPerModel: bytesPerModel(traced) };
}

/**
 * Over rows of the data, of what differs between models; what is shared by all is computed once,
 * before.
 */
function passesOf(run: PlanningRun, exprs: readonly Expr[], dataRows: number): number {
  const { nodes } = run.plan(exprs);
  const own = nodes.filter(
    ({ expr, how }) =>
      how.kind === 'reduce' &&
      !expr.isDeterministic &&
      expr.inputs.some(({ rows }) => rows === dataRows),
  );
  return new Set(own.map(({ wave }) => wave)).size;
}
