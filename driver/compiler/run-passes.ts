/**
 * Runs the passes in order: checks what each returns when `verify` is set, names the pass at fault
 * when one throws, and traces the plan's text after each that changed it. Invariant: roots keep
 * number, order and shape through every pass.
 */
import { InternalError, RepriseError } from '../errors.js';
import { type Expr, shapeText, topological } from '../ir/expr.js';
import { printExprs } from '../ir/print.js';
import { printForms, printPlan } from './explain.js';
import type { Pass, PassContext, PassState } from './pass.js';
import type { Plan } from './plan.js';
import { verifyPlan } from './verify-plan.js';

/** Plans up to this many nodes are printed node by node, and after each rule. */
export const MAX_LISTED = 200;

/** @throws InternalError naming the pass that broke an invariant; UnsupportedError for no kernel */
export function runPasses(
  passes: readonly Pass[],
  roots: readonly Expr[],
  context: PassContext,
): Plan {
  let state: PassState = { roots };
  let text = context.trace === undefined ? '' : stateText(state, context);
  const trace = (step: string, now: string): void => {
    if (now === text) return;
    text = now;
    context.trace?.(step, now);
  };
  const traced = context.trace === undefined ? context : { ...context, trace };
  for (const pass of passes) {
    const before = state;
    state = runOne(pass, state, traced);
    if (context.verify) verifyState(pass, before, state);
    if (context.trace !== undefined && state !== before)
      trace(pass.name, stateText(state, context));
  }
  if (state.plan === undefined) {
    throw new InternalError('compiler: expected a pass that places the plan, got none');
  }
  return state.plan;
}

function stateText({ roots, partial, plan }: PassState, { find }: PassContext): string {
  if (plan !== undefined) return printPlan(plan);
  const isThere = (expr: Expr): boolean => find(expr) !== undefined;
  return logicalText(partial ? topological(roots, isThere) : topological(roots));
}

/** A line a node; of large plans a line a form. */
export function logicalText(order: readonly Expr[]): string {
  return order.length > MAX_LISTED ? printForms(order) : printExprs(order);
}

function runOne(pass: Pass, state: PassState, context: PassContext): PassState {
  try {
    return pass.run(state, context);
  } catch (cause) {
    if (cause instanceof RepriseError) throw cause;
    throw new InternalError(
      `${pass.name}: expected a plan, got ${String(cause)}`,
      { pass: pass.name },
      { cause },
    );
  }
}

function verifyState(pass: Pass, before: PassState, after: PassState): void {
  if (after.roots.length !== before.roots.length) {
    throw new InternalError(
      `${pass.name}: expected ${before.roots.length} roots, got ${after.roots.length}`,
      { pass: pass.name },
    );
  }
  after.roots.forEach((root, i) => {
    const was = before.roots[i]!;
    if (root.rows !== was.rows || root.cols !== was.cols) {
      throw new InternalError(
        `${pass.name}: expected root ${i} to stay ${shapeText(was)}, got ${shapeText(root)}`,
        { pass: pass.name },
      );
    }
    if (was.isDeterministic && !root.isDeterministic) {
      throw new InternalError(`${pass.name}: expected root ${i} to stay deterministic`, {
        pass: pass.name,
      });
    }
  });
  if (after.plan !== undefined) verifyPlan(pass.name, after.plan);
}
