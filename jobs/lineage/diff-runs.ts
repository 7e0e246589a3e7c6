/** What differs between two runs, and which steps of the second it kept from being reused. */

import { formatBest, formatCount } from '../format.js';
import { type RunSummary, summarize } from '../runs/summary.js';
import type { SearchResult, TrialResult } from '../search/result.js';
import { compareRuns } from './compare-runs.js';
import type { LoadedRun } from './load-run.js';
import { relativeDistance } from './stored-answer.js';
import { type Change, changeText } from './value-changes.js';

export interface RunDifference {
  readonly before: string;
  readonly after: string;
  /** What each run answered, the first's first. */
  readonly outcomes: readonly [RunOutcome, RunOutcome];
  /** How far the scores are apart that both runs have; null when they have none in common. */
  readonly scores: ScoreDifference | null;
  readonly settings: readonly Change[];
  /** Steps of the second run that are in the first too. */
  readonly sameSteps: number;
  readonly newSteps: number;
  /** Steps of the first run that are not in the second. */
  readonly goneSteps: number;
  /** New steps in the place of steps of the first, by structure; other new steps have no like. */
  readonly aligned: readonly AlignedStep[];
  /** Widest first; a step may have several causes. */
  readonly causes: readonly CauseEffect[];
}

export interface RunOutcome {
  readonly engine: 'local' | 'spark';
  readonly best: RunSummary['best'];
}

export interface ScoreDifference {
  /** Scores of equal parameters on equally many folds. */
  readonly compared: number;
  /** Largest, relative to the larger of 1 and the first run's score. */
  readonly difference: number;
}

export interface AlignedStep {
  readonly op: string;
  /** Number in the first run. */
  readonly before: number;
  /** Number in the second. */
  readonly after: number;
}

export interface CauseEffect {
  readonly cause: string;
  /** Steps of the second run that stand behind it, by number. */
  readonly steps: readonly number[];
  /** How many of each operator. */
  readonly ops: Readonly<Record<string, number>>;
}

/** Both runs must come from one loader. Leaves are causes and never counted as steps. */
export function diffRuns(before: LoadedRun, after: LoadedRun): RunDifference {
  const comparison = compareRuns(before, after);
  const effects = new Map<string, { steps: number[]; ops: Record<string, number> }>();
  const stepOf = new Map(before.steps.map(({ expr, node }) => [expr, node.id]));
  const kept = new Set(after.nodes);
  const isGone = ({ expr, node }: LoadedRun['steps'][number]): boolean =>
    node.state !== 'source' && !kept.has(expr);
  const aligned: AlignedStep[] = [];
  const taken = new Set<number>();
  let sameSteps = 0;
  let newSteps = 0;
  for (const { expr, node } of after.steps) {
    if (node.state === 'source') continue;
    if (comparison.isKnown(expr)) {
      sameSteps++;
      continue;
    }
    newSteps++;
    const twin = comparison.counterpart(expr);
    const place = twin && stepOf.get(twin);
    // Of several steps that stand for one, such as those of more folds than before, the first has
    // its place.
    if (place !== undefined && !taken.has(place)) {
      aligned.push({ op: node.op, before: place, after: node.id });
      taken.add(place);
    }
    for (const cause of comparison.causes(expr)) {
      let effect = effects.get(cause);
      if (effect === undefined) {
        effect = { steps: [], ops: {} };
        effects.set(cause, effect);
      }
      effect.steps.push(node.id);
      effect.ops[node.op] = (effect.ops[node.op] ?? 0) + 1;
    }
  }
  const causes = [...effects]
    .map(([cause, effect]) => ({ cause, ...effect }))
    .sort((a, b) => b.steps.length - a.steps.length);
  return {
    before: before.record.run,
    after: after.record.run,
    outcomes: [outcomeOf(before), outcomeOf(after)],
    scores: compareScores(before.record.search, after.record.search),
    settings: comparison.settings,
    sameSteps,
    newSteps,
    goneSteps: before.steps.filter(isGone).length,
    aligned,
    causes,
  };
}

function outcomeOf({ folder, record }: LoadedRun): RunOutcome {
  return { engine: record.engine, best: summarize(record, folder).best };
}

function compareScores(before: SearchResult, after: SearchResult): ScoreDifference | null {
  if (before.folds !== after.folds) return null;
  const idOf = ({ params }: TrialResult): string => JSON.stringify(params);
  const old = new Map(before.trials.map((trial) => [idOf(trial), trial.splitScores]));
  let compared = 0;
  let difference = 0;
  for (const trial of after.trials) {
    const was = old.get(idOf(trial)) ?? {};
    for (const [metric, scores] of Object.entries(trial.splitScores)) {
      for (const [fold, score] of (was[metric] ?? []).entries()) {
        compared++;
        difference = Math.max(difference, relativeDistance(score, scores[fold] ?? Number.NaN));
      }
    }
  }
  return compared === 0 ? null : { compared, difference };
}

const SHOWN_CAUSES = 12;
const SHOWN_OPS = 6;

/** The difference for people. */
export function diffText(difference: RunDifference): string {
  const { settings, sameSteps, newSteps, goneSteps, aligned, causes, scores } = difference;
  const [first, second] = difference.outcomes;
  const lines = [
    `first   ${difference.before} on ${first.engine}, best ${formatBest(first.best)}`,
    `second  ${difference.after} on ${second.engine}, best ${formatBest(second.best)}`,
  ];
  if (scores !== null) {
    const apart = scores.difference === 0 ? '0' : scores.difference.toExponential(1);
    lines.push(
      `scores  ${formatCount(scores.compared)} of the same candidates on as many folds, apart by at most ${apart}`,
    );
  }
  if (settings.length > 0) lines.push('', 'settings', ...settings.map((c) => `  ${changeText(c)}`));
  lines.push('', `steps of the second: ${sameSteps} are in the first too, ${newSteps} are not`);
  if (aligned.length > 0 || goneSteps > 0) {
    const [one] = aligned;
    const example =
      one === undefined ? '' : ` (${one.op} #${one.after} that of #${one.before}, say)`;
    lines.push(
      `steps of the first: ${goneSteps} are not in the second, where ${aligned.length} new ones have the place of an old one${example}`,
    );
  }
  for (const { cause, steps, ops } of causes.slice(0, SHOWN_CAUSES)) {
    const counts = Object.entries(ops).sort((a, b) => b[1] - a[1]);
    const shown = counts
      .slice(0, SHOWN_OPS)
      .map(([op, count]) => (count > 1 ? `${op} x${count}` : op));
    if (counts.length > SHOWN_OPS) shown.push('..');
    lines.push(`  ${cause}`, `    ${steps.length} steps anew: ${shown.join(', ')}`);
  }
  if (causes.length > SHOWN_CAUSES) {
    lines.push(`  and ${causes.length - SHOWN_CAUSES} more causes (--json has all)`);
  }
  return `${lines.join('\n')}\n`;
}
