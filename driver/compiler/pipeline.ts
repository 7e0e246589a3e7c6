/**
 * The compiler: an ordered list of passes from expressions to a physical plan. Each pass is a
 * value, the order and its reasons stand in the one list. Source: MEMPHIS (EDBT 2025) sections 3.7
 * to 3.9 for the last three.
 */
import type { Expr } from '../ir/expr.js';
import { topological } from '../ir/expr.js';
import { asynchrony } from './asynchrony.js';
import { cellChains } from './cell-chains.js';
import { checkpoints } from './checkpoints.js';
import { deviceSegments } from './device-segments.js';
import { fileResults } from './file-results.js';
import { lifetimes } from './lifetimes.js';
import { linearise } from './linearise.js';
import { partialReuse } from './partial-reuse.js';
import type { Pass, PassContext } from './pass.js';
import { placement } from './placement.js';
import type { Plan } from './plan.js';
import { logicalText, MAX_LISTED, runPasses } from './run-passes.js';
import { simplify } from './simplify.js';
import { transients } from './transients.js';

const simplified: Pass = {
  name: 'simplify',
  summary: 'static algebra and fused forms, to their fixpoint',
  run: (state, { maker, trace }) => {
    // A rule fires thousands of times in a large plan; its text after each would be as many times
    // as long.
    const isListed = trace !== undefined && topological(state.roots).length <= MAX_LISTED;
    const onRule = isListed
      ? (rule: string, roots: readonly Expr[]): void => trace(rule, logicalText(topological(roots)))
      : undefined;
    return { ...state, roots: simplify(state.roots, maker, onRule) };
  },
};

/** In order. */
export const passes: readonly Pass[] = [
  // First, so that everything after sees one form of equal work.
  simplified,
  // On fused forms, whose parts are what the cache holds; before placement, since it changes what
  // there is to place.
  partialReuse,
  placement,
  // Of what runs over row blocks; changes no other decision.
  fileResults,
  // What is kept depends on where it is and on which passes read it.
  checkpoints,
  transients,
  // Of transients, which have no value that anybody could ask for.
  cellChains,
  // What travels early depends on both.
  asynchrony,
  // The order serves what the others decided and changes nothing of it.
  linearise,
  // In that order.
  deviceSegments,
  // Last: what is read how often depends on all of it.
  lifetimes,
];

/** The physical plan of these nodes. Runs nothing. @throws InternalError, UnsupportedError */
export function compile(roots: readonly Expr[], context: PassContext): Plan {
  return runPasses(passes, roots, context);
}
