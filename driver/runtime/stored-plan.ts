/** The plan of nodes over what the durable store holds too, which is read; no lease is taken. */
import type { Plan } from '../compiler/plan.js';
import { simplify } from '../compiler/simplify.js';
import type { Expr } from '../ir/expr.js';
import { Recall } from './recall.js';
import type { SessionParts } from './session-parts.js';

export async function storedPlan(
  exprs: readonly Expr[],
  { cache, interner, planner, tier }: SessionParts,
  signal: AbortSignal | undefined,
): Promise<{ readonly plan: Plan; readonly recall: Recall }> {
  const recall = new Recall(cache, tier, interner, signal);
  const roots = simplify(exprs, interner);
  const isThere = (expr: Expr): boolean => recall.values.has(expr) || planner.isAtHand(expr);
  // Settings that keep results by role keep little ones too.
  await recall.fromStore(roots, isThere, false, planner.keepsAll ? undefined : new Set(roots));
  for (;;) {
    const plan = planner.plan(roots, { recall });
    if (recall.isComplete(plan)) return { plan, recall };
    await recall.complete(plan);
  }
}
