/**
 * Transients: results of the host and of devices that are not kept when their plan has ended,
 * because keeping them costs too much of what making them again would: fresh memory for each
 * result, where one that is let go leaves its memory to the next, and on a device the writing of
 * what could stay in registers. Invariant: what keeping costs is at most a sixty-fourth part of the
 * work it saves, and what is lost by not keeping is bounded: a chain of transients is cut by a kept
 * value once it has grown dear, its end is kept unless it is large, and so is a result made a
 * second time and what is of a form of which one in 32 was. Ends and other operators' results
 * (products of mini-batches, say) are let go once keeping them costs more than is expected to be
 * saved, by what became of those of their form: at most the time of some such results is lost to
 * learning it. Source: delayed caching of MEMPHIS (EDBT 2025) 5.2; and measurements
 * (`bench reuse-overhead`, `workload-translation`).
 */
import type { Backend } from '../backend/backend.js';
import { Likelihood } from '../cost/likelihood.js';
import { denseBytes, type Expr } from '../ir/expr.js';
import type { OpDef } from '../ir/op-def.js';
import type { Pass, PassContext } from './pass.js';
import { FREED_HERE, FREED_THERE, isOverRows, isWhole, type Plan, type PlanNode } from './plan.js';

/** Results of at most this many cells are always kept: they cost little and often steer a loop. */
const SMALL_CELLS = 64;
/** Ends of chains up to this size are kept at once. @units bytes */
const MAX_END_BYTES = 1024 * 1024;
/** The same where all that is read of them is one number. @units bytes */
const MAX_SUMMED_BYTES = 64 * 1024;
/** Keeping pays at once where it costs at most this part of making the value again. */
const KEEPING_SHARE = 1 / 64;
/** Steps of an operator and shape are not kept while at most this part of them was made again. */
const MAX_AGAIN_SHARE = 1 / 32;
/** Bookkeeping of one entry, measured. @units seconds */
const ENTRY_SECONDS = 1e-6;
/** Writing to memory that no earlier result has left warm, measured. @units bytes/s */
const FRESH_BYTES_PER_SECOND = 1.4e9;
/** Planning and starting one operator. @units seconds */
const START_SECONDS = 2e-6;

/** So many results of a form are kept before it shows anything, and count as asked for again. */
const TRUSTED = 8;

/** Whether a loop carries a cheap step on: how often steps that were not kept were asked again. */
export function transientHistory(): Likelihood<Expr> {
  return new Likelihood({
    // Two forms that share a number only share their counts.
    kindOf: ({ op, rows, cols }) => (op.id * 8191 + rows) * 131_071 + cols,
    kinds: 1 << 14,
    memory: 4096,
  });
}

export const transients: Pass = {
  name: 'transients',
  summary: 'lets go of cheap intermediate results, where keeping them would slow the plan down',
  run: (state, context) => {
    const { plan } = state;
    if (plan === undefined) return state;
    markTransients(plan, context);
    return { ...state };
  },
};

function markTransients(plan: Plan, context: PassContext): void {
  const looked = plan.partial?.lookups?.wholes ?? [];
  const needed = new Set([...plan.roots, ...context.held, ...looked]);
  const ends = new Set<Expr>();
  for (const node of plan.nodes) {
    const { expr } = node;
    const byRows = isOverRows(node);
    if (expr.op.elementwise && !byRows) continue;
    // The end of a chain is what later plans go on from: the weights of a loop, say. Large ones
    // have to show it first, and those that are only summed up sooner.
    const most = expr.rows * expr.cols === 1 ? MAX_SUMMED_BYTES : MAX_END_BYTES;
    for (const input of expr.inputs) {
      const source = plan.nodeOf.get(input);
      if (source === undefined || !context.keepsIn(source.backend)) continue;
      // No later plan can ask for what follows from a loop's state.
      if (!input.isDeterministic) continue;
      if (byRows) needed.add(input);
      else if (denseBytes(input) <= most) ends.add(input);
    }
  }
  const steps = new Map<OpDef, Step>();
  /** Making a transient again, from what is kept. @units seconds */
  const again = new Map<Expr, number>();
  for (const node of plan.nodes) {
    const { expr, stays } = node;
    if (needed.has(expr) || stays.at === 'nowhere') continue;
    if (context.keepsIn(node.backend) && expr.isDeterministic) {
      if (!keepsWhole(node, context) || expr.wasTransient) continue;
      if (expr.rows * expr.cols <= SMALL_CELLS) continue;
      const { elementwise } = expr.op;
      let step = steps.get(expr.op);
      const isKnown = elementwise && step?.backend === node.backend && isOfShape(step, expr);
      if (step === undefined || !isKnown) {
        step = stepOf(node, context);
        steps.set(expr.op, step);
      }
      let { seconds } = step;
      for (const input of expr.inputs) seconds += again.get(input) ?? 0;
      const isStep = elementwise && !ends.has(expr);
      const isLetGo = isStep
        ? step.pays && step.keeping > seconds * KEEPING_SHARE
        : node.backend === context.local &&
          step.keeping > (seconds + step.keeping) * likelihood(expr, context);
      if (!isLetGo) continue;
      again.set(expr, seconds);
    }
    node.stays = stays.at === 'host' ? FREED_HERE : FREED_THERE;
  }
}

/** The cost of a step; of cell-by-cell ones equal for one operator and shape: plans have thousands. */
interface Step {
  readonly backend: Backend;
  readonly rows: number;
  readonly cols: number;
  /** Not keeping such steps has paid so far. */
  readonly pays: boolean;
  /** To make it. @units seconds */
  readonly seconds: number;
  /** To keep it. @units seconds */
  readonly keeping: number;
}

/** How likely a result is asked for again, by those of its form so far. */
function likelihood(expr: Expr, { results }: PassContext): number {
  const { seen, returned } = results.counts(expr);
  return seen < TRUSTED ? Number.POSITIVE_INFINITY : (returned + TRUSTED) / (seen + TRUSTED);
}

/** Whole values on the host, or on a device. */
function keepsWhole(node: PlanNode, { local, devices }: PassContext): boolean {
  return isWhole(node) && (node.backend === local || devices.includes(node.backend));
}

function isOfShape(step: Step, { rows, cols }: Expr): boolean {
  return step.rows === rows && step.cols === cols;
}

function stepOf({ expr, backend }: PlanNode, { transients }: PassContext): Step {
  const { rows, cols } = expr;
  const { seconds: alone, chainSeconds = alone } = backend.estimate(expr);
  return {
    backend,
    rows,
    cols,
    pays: transients.share(expr) <= MAX_AGAIN_SHARE,
    seconds: START_SECONDS + chainSeconds,
    keeping: ENTRY_SECONDS + denseBytes(expr) / FRESH_BYTES_PER_SECOND,
  };
}
