/** What differs between two runs and which steps of the second could not be reused because of it. */
import { compareRuns } from './compare-runs.js';
import type { LoadedRun } from './load-run.js';
import { type Change, changeText } from './value-changes.js';

export interface RunDifference {
  readonly before: string;
  readonly after: string;
  readonly settings: readonly Change[];
  /** Steps of the second run that are in the first too. */
  readonly sameSteps: number;
  readonly newSteps: number;
  /** Steps of the first run that are not in the second. */
  readonly goneSteps: number;
  /** New steps that stand in the place of steps of the first, by structure; the rest of the new steps have no like before. */
  readonly aligned: readonly AlignedStep[];
  /** Widest first; a step may have several causes. */
  readonly causes: readonly CauseEffect[];
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
    if (place !== undefined) aligned.push({ op: node.op, before: place, after: node.id });
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
    settings: comparison.settings,
    sameSteps,
    newSteps,
    goneSteps: before.steps.filter(isGone).length,
    aligned,
    causes,
  };
}

const SHOWN_CAUSES = 12;
const SHOWN_OPS = 6;

/** The difference for people. */
export function diffText(difference: RunDifference): string {
  const { before, after, settings, sameSteps, newSteps, goneSteps, aligned, causes } = difference;
  const lines = [`first   ${before}`, `second  ${after}`];
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
