/**
 * Why a step of a run was computed and not reused, in comparison with the latest earlier run that
 * has the very step, else with the latest of the same job.
 */
import { reducesFrameData } from '../../driver/frame/frame-data.js';
import { lineageKey } from '../../driver/index.js';
import { denseBytes } from '../../driver/ir/expr.js';
import { isWorthItsRoom, STORE_SECONDS } from '../../driver/reuse/durable-tier.js';
import { isWorthLooking } from '../../driver/reuse/store-recall.js';
import { formatBytes } from '../../driver/support/size.js';
import { compareRuns } from './compare-runs.js';
import { earlierRun, type LoadedRun, type RunLoader, type Step } from './load-run.js';

export type Verdict =
  /** It was not computed at all. */
  | 'reused'
  /** A leaf: data or a constant. */
  | 'source'
  | 'non-deterministic'
  /** No earlier run of the job has a step like it. */
  | 'never-seen'
  /** An earlier run computed the same step, and its result is gone or was never kept. */
  | 'evicted'
  | 'not-kept'
  /** An earlier run has a like step over other data or with other attributes. */
  | 'changed';

export interface Explanation {
  readonly step: number;
  readonly op: string;
  readonly verdict: Verdict;
  /** One sentence each; for `changed` the first things that differ. */
  readonly reasons: readonly string[];
  /** The run compared with; null when there was nothing to compare. */
  readonly comparedWith: string | null;
  /** The step of that run in this one's place. */
  readonly counterpart: number | null;
}

/** @throws as the loader, for a damaged run folder */
export async function explainStep(
  run: LoadedRun,
  step: Step,
  load: RunLoader,
): Promise<Explanation> {
  const { node, expr } = step;
  const say = (
    verdict: Verdict,
    reasons: readonly string[],
    comparedWith: string | null = null,
    counterpart: number | null = null,
  ): Explanation => ({ step: node.id, op: node.op, verdict, reasons, comparedWith, counterpart });

  if (node.state === 'reused') {
    const from = node.backend === 'store' ? 'the durable store' : 'the memory of its process';
    return say('reused', [`its result was reused from ${from}; nothing was computed`]);
  }
  if (node.key === null || !expr.isDeterministic) {
    return say('non-deterministic', [
      'it is non-deterministic, or reads a step that is; such results are never reused',
    ]);
  }
  if (node.state === 'source') {
    const readers = run.steps.filter((other) => other.node.inputs.includes(node.id));
    return readers.length > 0 && readers.every((reader) => reader.node.state === 'reused')
      ? say('reused', ['it was not needed: the steps that read it were reused'])
      : say('source', ['it is a leaf; there is nothing to compute']);
  }
  const folder = await earlierRun(run.folder, run.record, lineageKey(expr));
  if (folder === undefined) {
    return say('never-seen', [
      `never seen: ${run.record.run} is the first run of job ${run.record.name} here that kept its lineage`,
    ]);
  }
  const before = await load(folder);
  const name = before.record.run;
  const same = before.steps.find((other) => other.expr === expr);
  if (before.nodes.includes(expr)) {
    const [verdict, reason] = lostReason(run, before, step, same);
    return say(verdict, [reason], name, same?.node.id ?? null);
  }
  const comparison = compareRuns(before, run);
  const twin = comparison.counterpart(expr);
  const counterpart = before.steps.find((other) => other.expr === twin)?.node.id ?? null;
  return twin === undefined
    ? say('never-seen', ['never seen: new since that run', ...comparison.causes(expr)], name)
    : say('changed', comparison.causes(expr), name, counterpart);
}

/** The same step was there before; only where its result went is open. */
function lostReason(
  run: LoadedRun,
  before: LoadedRun,
  { node }: Step,
  same: Step | undefined,
): [Verdict, string] {
  if (node.state === 'fused') {
    return [
      'not-kept',
      'it was evaluated within the pass of the step that reads it, and is never kept by itself',
    ];
  }
  const where = same === undefined ? '' : ` (its step ${same.node.id})`;
  const seen = `${before.record.run} has the same step${where}`;
  const store = before.program.store;
  if (store === null) {
    return ['not-kept', `${seen}, but kept no results beyond its process (--no-store)`];
  }
  if (run.program.store === null) {
    return ['not-kept', `${seen} and used the store ${store}, but this run used none`];
  }
  if (store !== run.program.store) {
    return ['not-kept', `${seen}, in the store ${store}; this run used ${run.program.store}`];
  }
  const rule = same?.node.state === 'computed' ? notKeptBy(same) : undefined;
  if (rule !== undefined) return ['not-kept', `${seen}, but its result was not kept: ${rule}`];
  return [
    'evicted',
    `${seen}, but the store ${store} no longer had its result: evicted, put aside as damaged, or never kept for its size or for files that changed while they were read`,
  ];
}

/** The durable store's rule that leaves out a computed result, in words; undefined for none. */
export function notKeptBy({ expr, node }: Step): string | undefined {
  if (!isWorthLooking(expr)) return 'it is so little work that looking for it would cost more';
  const bytes = denseBytes(expr);
  if (!isWorthItsRoom(bytes, node.seconds)) {
    return `it took ${(node.seconds * 1000).toPrecision(3)} ms, little for the ${formatBytes(bytes)} it would take`;
  }
  if (reducesFrameData(expr) || node.seconds >= STORE_SECONDS) return undefined;
  return `it took ${(node.seconds * 1000).toPrecision(3)} ms; results of less than ${STORE_SECONDS * 1000} ms are kept only when they reduce the data of files`;
}
