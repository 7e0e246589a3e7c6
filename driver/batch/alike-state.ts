/**
 * Which parts of a loop's state are the same for all models of a stack, and stay so: their cells are
 * equal now, bit for bit, and a step makes them of nothing but such parts and what models share.
 * Invariant: each model's value of such a part is what the model would have by itself.
 */
import { type Expr, topological } from '../ir/expr.js';
import type { Matrix } from '../matrix/matrix.js';
import type { StateValues } from './loop-state.js';
import { HostColumns, SharedCells } from './model-values.js';
import type { StackRun } from './stack-run.js';

export interface LoopParts {
  /** The state as the trace has it. */
  readonly leaves: readonly Matrix[];
  /** The next state, by part, and further nodes. */
  readonly step: readonly Expr[];
  readonly state: readonly StateValues[];
  /** Some of it is not brought to the host, which has nothing alike. */
  readonly isLarge: boolean;
}

/** @returns numbers of such parts, and the state with one value of each; none for one model */
export function sharedParts(
  run: StackRun,
  parts: LoopParts,
  models: readonly number[],
): { readonly alike: ReadonlySet<number>; readonly state: readonly StateValues[] } {
  const alike = alikeParts(run, parts, models);
  const state = parts.state.map((values, i) => {
    const isOwn = alike.has(i) && values instanceof HostColumns;
    return isOwn ? new SharedCells(run.session, values.endOf(0)) : values;
  });
  return { alike, state };
}

function alikeParts(
  run: StackRun,
  { leaves, step, state, isLarge }: LoopParts,
  models: readonly number[],
): ReadonlySet<number> {
  if (models.length === 1 || isLarge) return new Set();
  const nodes = topological(step);
  const ownLeaves = nodes.filter((node) => run.valuesOf(node) && !run.isShared(node, models));
  const alike = new Set(state.keys());
  const leaveOutMixed = (): void => {
    for (let before = Infinity; alike.size < before; ) {
      before = alike.size;
      const own = new Set(ownLeaves);
      for (const [i, { expr }] of leaves.entries()) if (!alike.has(i)) own.add(expr);
      for (const node of nodes) if (node.inputs.some((input) => own.has(input))) own.add(node);
      for (const i of alike) if (own.has(step[i]!)) alike.delete(i);
    }
  };
  leaveOutMixed();
  const places = models.map((_, place) => place);
  for (const i of alike) {
    const values = state[i]!;
    const isEqual = values instanceof HostColumns && values.isAlike(places);
    if (!isEqual && !(values instanceof SharedCells)) alike.delete(i);
  }
  leaveOutMixed();
  return alike;
}
