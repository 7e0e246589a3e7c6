/**
 * A program traced without running it: its parts before, in and after each loop, for what a model of
 * a stack takes in memory and for plans as text.
 */

import type { BatchValue } from '../ir/batch-rule.js';
import type { Evaluator } from '../ir/evaluator.js';
import { denseBytes, type Expr, topological } from '../ir/expr.js';
import { isLeafValue } from '../ir/leaf-value.js';
import { memoryShares } from '../support/memory.js';
import { checkStep } from './iterate.js';
import type { Matrices, Program, StackArguments } from './stack-run.js';
import { slotLeaf, Trace } from './trace.js';
import { Transform } from './transform.js';

/** A part of a program that is planned at once. */
interface Section {
  readonly title: string;
  /** An iteration of a loop. */
  readonly isLoop: boolean;
  readonly roots: readonly Expr[];
}

export interface DryRun {
  readonly sections: readonly Section[];
  /** Leaves that are not the same for all models. */
  readonly own: ReadonlySet<Expr>;
  /** The state of the loop that carries most, of a model. @units bytes */
  readonly stateBytes: number;
  /** What the other leaves stand for. */
  readonly shared: ReadonlyMap<Expr, Expr>;
}

export async function dryRun(args: StackArguments, program: Program<Matrices>): Promise<DryRun> {
  const sections: Section[] = [];
  const own = new Set<Expr>();
  const shared = new Map<Expr, Expr>();
  let stateBytes = 0;
  const trace: Trace = new Trace(async (state, step) => {
    const names = Object.keys(state);
    const leaves = names.map((name) => trace.placeholder(state[name]!));
    for (const { expr } of leaves) own.add(expr);
    stateBytes = Math.max(
      stateBytes,
      leaves.reduce((sum, { expr }) => sum + denseBytes(expr), 0),
    );
    const placed = Object.fromEntries(names.map((name, i) => [name, leaves[i]!]));
    const next = step(placed as unknown as typeof state);
    checkStep(state, next);
    sections.push({
      title: 'before the loop',
      isLoop: false,
      roots: names.map((name) => state[name]!.expr),
    });
    const roots = [...names.map((name) => next.state[name]!.expr), next.done.expr];
    sections.push({ title: `an iteration of ${names.join(', ')}`, isLoop: true, roots });
    const count = { rows: 1, cols: 1, dtype: 'float64' } as const;
    const ending = { iterations: trace.placeholder(count), finished: trace.placeholder(count) };
    for (const { expr } of Object.values(ending)) own.add(expr);
    return { ...(placed as unknown as typeof state), ...ending };
  });
  const given = Object.entries(args).map(([name, { like, values }]) => {
    const leaf = trace.placeholder(like);
    const { layout, expr } = values.of([0]);
    if (layout === 'shared') shared.set(leaf.expr, expr);
    else own.add(leaf.expr);
    return [name, leaf] as const;
  });
  const result = await program(Object.fromEntries(given));
  sections.push({
    title: 'the result',
    isLoop: false,
    roots: Object.values(result).map(({ expr }) => expr),
  });
  return { sections, own, shared, stateBytes };
}

/** Rows of data that are not whole in memory, of which values are made at a time, at most. */
const BLOCK_ROWS = 65_536;
/** Values of the largest size that are there at once: what is made, and what it is made of. */
const LIVE_VALUES = 3;

/** What a model of a stack takes. @units bytes */
export function bytesPerModel({ sections, own, shared, stateBytes }: DryRun): number {
  const streamed = new Set<number>();
  for (const expr of shared.values()) if (!isLeafValue(expr)) streamed.add(expr.rows);
  const isOwn = new Set<Expr>(own);
  let largest = 0;
  for (const expr of topological(sections.flatMap(({ roots }) => roots))) {
    if (expr.inputs.some((input) => isOwn.has(input))) isOwn.add(expr);
    if (!isOwn.has(expr)) continue;
    const share = streamed.has(expr.rows) ? Math.min(1, BLOCK_ROWS / expr.rows) : 1;
    largest = Math.max(largest, denseBytes(expr) * share);
  }
  // The state before a step and after it.
  return LIVE_VALUES * largest + 2 * stateBytes;
}

/** How many stacks of about equal size models take: the last one costs as many passes as the others. */
function stackCount(
  models: number,
  run: DryRun,
  maxBytes = memoryShares().materialiseBytes,
): number {
  const most = Math.max(1, Math.floor(maxBytes / bytesPerModel(run)));
  // Models with nothing of their own take no memory.
  return Math.max(1, Math.ceil(models / most));
}

/** So many stacks at most, of so many models at least, are there for devices to share. */
const DEVICE_STACKS = 4;
const DEVICE_MODELS = 4;

/** Stacks where devices train them: by the models alone, so that results don't tell how many. */
function deviceStackCount(models: number, leastStacks: number): number {
  return Math.max(leastStacks, Math.min(DEVICE_STACKS, Math.floor(models / DEVICE_MODELS)));
}

/** Devices that an iteration of a stack of all would run on, each by itself, and all stacks. */
export function stacksOn(
  session: Evaluator,
  models: number,
  run: DryRun,
  maxBytes?: number,
): { readonly lanes: readonly Evaluator[]; readonly stacks: number } {
  const stacks = stackCount(models, run, maxBytes);
  const iteration = (): Expr[] => {
    const sections = stackedSections(session, Math.ceil(models / stacks), run);
    const loops = sections.filter(({ isLoop }) => isLoop);
    return (loops.length > 0 ? loops : sections).flatMap(({ exprs }) => exprs);
  };
  const lanes = session.lanes?.(iteration) ?? [];
  return { lanes, stacks: lanes.length === 0 ? stacks : deviceStackCount(models, stacks) };
}

/** A part for a stack of models, and the nodes that are made model by model in it. */
interface StackedSection extends Omit<Section, 'roots'> {
  readonly exprs: readonly Expr[];
  /** How many, by operator. */
  readonly singly: ReadonlyMap<string, number>;
}

/** All parts for so many models. */
export function stackedSections(session: Evaluator, models: number, run: DryRun): StackedSection[] {
  const leaves = new Map<Expr, BatchValue>();
  for (const [leaf, expr] of run.shared) leaves.set(leaf, { layout: 'shared', expr });
  for (const leaf of run.own) {
    const { rows, cols, dtype } = leaf;
    const expr = slotLeaf(session, { rows, cols: cols * models, dtype });
    leaves.set(leaf, { layout: 'columns', expr });
  }
  return run.sections.map(({ title, isLoop, roots }) => {
    const transform = new Transform(session, models, leaves);
    const exprs = roots.map((root) => transform.columns(transform.valueOf(root)));
    return { title, isLoop, exprs, singly: transform.singly };
  });
}

/** Plans of all parts for so many models, and what is made model by model in each. */
export function planText(session: Evaluator, models: number, run: DryRun): string {
  return stackedSections(session, models, run)
    .map(({ title, isLoop, exprs, singly }) => {
      const made = [...singly].map(([op, count]) => `model by model: ${op} x${count}`);
      const form = isLoop ? session.explainLoop?.(exprs) : undefined;
      if (form !== undefined) made.push(form);
      return [`== ${title}, ${models} models`, session.explain(exprs), ...made].join('\n');
    })
    .join('\n\n');
}
