/**
 * Large values of the host that only reductions over their rows read, through cells and products by
 * rows, are made in the pass of those reductions: block by block, in the cache, never whole.
 * Invariants: nothing is made in two passes for it, and a product that was asked for again is made
 * whole from then on.
 */
import { denseBytes, type Expr } from '../ir/expr.js';
import type { PassContext } from './pass.js';
import { NOWHERE, type Plan, type PlanNode, REDUCE, ROWS, readersOf } from './plan.js';
import { makesMoreThanItReads, takesByRows } from './row-blocks.js';

/** Smaller values stay in the cache of the machine anyway. @units bytes */
const MIN_BYTES = 4 * 1024 * 1024;
/** Of products of large values, which run on all threads in a pass. @units flops */
const LONG_FLOPS = 1e8;
/** Of wider ones a block of few rows would be as large as the value. */
const MIN_ROWS_PER_COLUMN = 8;
/** Values of a kind are made whole once this part of them was asked for again. */
const MAX_AGAIN_SHARE = 1 / 32;

export function walkHostRows(plan: Plan, context: PassContext): void {
  if (context.local.capabilities.blocks !== 'stream') return;
  if (!plan.nodes.some(({ expr }) => isLarge(expr) || isLongProduct(expr))) return;
  const waves = reductionsBelow(plan);
  const readers = readersOf(plan);
  const roots = new Set(plan.roots);
  /** By value: the reductions before the pass it would be made in. */
  const passOf = new Map<Expr, number>();
  for (let i = plan.nodes.length - 1; i >= 0; i--) {
    const node = plan.nodes[i]!;
    if (!canWalk(node, context)) continue;
    const reading = readers.get(node.expr) ?? [];
    const pass = sharedPass(node, reading, waves, passOf, context);
    if (pass === undefined) continue;
    passOf.set(node.expr, pass);
    node.how = ROWS;
    // One that is asked for as well is written whole on the way.
    if (!roots.has(node.expr)) node.stays = NOWHERE;
    for (const reader of reading) if (reader.how.kind === 'whole') reader.how = REDUCE;
  }
}

/**
 * Made by rows whenever it is read: cells are made again for less than reading them takes, and what
 * differs each time is not asked for again.
 */
export function isAlwaysMade({ op, isDeterministic }: Expr): boolean {
  return !isDeterministic || op.work === 'cells' || op.work === 'move';
}

/** Whether a value that is not kept is, as far as is known, not asked for again. */
export function mayBeLetGo(expr: Expr, transients: PassContext['transients']): boolean {
  if (isAlwaysMade(expr)) return true;
  return !expr.wasTransient && transients.share(expr) <= MAX_AGAIN_SHARE;
}

function isLarge(expr: Expr): boolean {
  return denseBytes(expr) >= MIN_BYTES && expr.rows >= MIN_ROWS_PER_COLUMN * expr.cols;
}

/** A product that takes long over large rows, however little it makes of them. */
function isLongProduct(expr: Expr): boolean {
  const { op, inputs, attrs } = expr;
  return (
    op.work === 'product' && inputs.some(isLarge) && op.flops(inputs, attrs, expr) >= LONG_FLOPS
  );
}

function isMap({ op, inputs, attrs }: Expr): boolean {
  return op.rowRule(inputs, attrs).kind === 'map';
}

function canWalk({ expr, backend, how }: PlanNode, { local, transients }: PassContext): boolean {
  if (how.kind !== 'whole' || backend !== local) return false;
  // What is made of large values in the same pass goes with them: sums of their rows.
  const isOfLarge = expr.inputs.some((input) => isMap(input) && isLarge(input));
  if (!isLarge(expr) && !isOfLarge && !isLongProduct(expr)) return false;
  if (!isMap(expr)) return false;
  return mayBeLetGo(expr, transients);
}

/** The one pass in which all readers take the value by rows. */
function sharedPass(
  { expr, backend }: PlanNode,
  reading: readonly PlanNode[],
  waves: ReadonlyMap<Expr, number>,
  passOf: ReadonlyMap<Expr, number>,
  context: PassContext,
): number | undefined {
  let shared: number | undefined;
  for (const reader of reading) {
    if (reader.backend !== backend || !takesByRows(reader.expr, expr, context.local)) return;
    const rule = reader.expr.op.rowRule(reader.expr.inputs, reader.expr.attrs);
    const isSink = rule.kind === 'reduce' && !makesMoreThanItReads(reader.expr, rule.blocked);
    const pass = isSink ? waves.get(reader.expr) : passOf.get(reader.expr);
    if (pass === undefined || (shared !== undefined && shared !== pass)) return undefined;
    shared = pass;
  }
  return shared;
}

/** By node, how many reductions follow one another before it. */
function reductionsBelow(plan: Plan): Map<Expr, number> {
  const waves = new Map<Expr, number>();
  for (const { expr } of plan.nodes) {
    let wave = 0;
    for (const input of expr.inputs) {
      const below = waves.get(input);
      if (below === undefined) continue;
      const isReduction = input.op.rowRule(input.inputs, input.attrs).kind === 'reduce';
      wave = Math.max(wave, isReduction ? below + 1 : below);
    }
    waves.set(expr, wave);
  }
  return waves;
}
