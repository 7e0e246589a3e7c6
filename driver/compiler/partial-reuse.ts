/**
 * The partial-reuse pass: answers nodes from cached parts by the plan rules listed here. It runs
 * after `simplify` and before placement. What a rule is: `plan-rule.ts`; how they are run:
 * `run-plan-rules.ts`.
 */
import { collect } from './collect.js';
import type { Pass } from './pass.js';
import type { PlanRule } from './plan-rule.js';
import { bindParts } from './plan-rules/bind-parts.js';
import { borderGram } from './plan-rules/border-gram.js';
import { borderGroupGram } from './plan-rules/border-group-gram.js';
import { joinGroupLosses } from './plan-rules/join-group-losses.js';
import { looksUp } from './plan-rules/look-up-last.js';
import { mergeFileParts } from './plan-rules/merge-file-parts.js';
import { mergeParts } from './plan-rules/merge-parts.js';
import { mergeRankings } from './plan-rules/merge-rankings.js';
import { shareFoldSums } from './plan-rules/share-fold-sums.js';
import { sliceWholeResult } from './plan-rules/slice-whole-result.js';
import { planRuleTable, rulesFor, runPlanRules } from './run-plan-rules.js';

/** For sessions: faster results are computed whole, as looking takes as long. @units seconds */
export const MIN_PARTIAL_SECONDS = 2e-4;

/** In the order they are tried at a node; the first proposal that pays is taken. */
export const planRules: readonly PlanRule[] = [
  // What is not read from files costs nothing, whatever else there is.
  mergeFileParts,
  // Shared by the plan: a rule below is taken instead where it costs no more.
  shareFoldSums,
  // These compute nothing when they fit.
  joinGroupLosses,
  sliceWholeResult,
  bindParts,
  mergeRankings,
  mergeParts,
  // These make up for what is missing by products with all the rest.
  borderGram,
  borderGroupGram,
];

const table = planRuleTable(planRules);

export const partialReuse: Pass = {
  name: 'partial reuse',
  summary: 'answers steps from cached parts and a compensation',
  run: (state, context) => {
    const { maker, partial } = context;
    if (partial === undefined) return state;
    const collected = collect(state, context);
    const { missing } = collected;
    const isWorth =
      (partial.lookups !== undefined && looksUp(missing)) ||
      missing.some((expr) => rulesFor(expr, table, partial).length > 0);
    if (!isWorth) return { ...state, collected };
    const reused = runPlanRules(state.roots, maker, table, partial, missing);
    if (reused.answers.size > 0) return { roots: reused.roots, partial: reused };
    // What was made of rows that were looked up counts, though nothing was answered.
    return { ...state, collected, ...(reused.lookups && { partial: reused }) };
  },
};
