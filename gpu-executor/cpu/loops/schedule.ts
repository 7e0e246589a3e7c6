/**
 * The order in which a compiled loop's body runs, and which cell-by-cell nodes run as one loop.
 * Nodes sink as late as their readers let them, into the loop of a reader where shapes agree, so
 * that what only one loop reads is never written. Invariants: a unit comes after all it reads; a
 * node in a loop reads others of it cell for cell.
 */
import type { LoopPass } from '../../../driver/backend/loop-program.js';
import type { Expr } from '../../../driver/ir/expr.js';
import { cellForm } from '../../cell-forms.js';
import { kernelOf } from '../kernels/index.js';
import { isRounding } from '../kernels/script-loop.js';

/** Up to so many cells a script's loop is as quick as lanes, and takes steps of either dtype. */
export const SMALL_CELLS = 64;
/** Steps of one loop over many cells; a little more than there are registers. */
const MAX_STEPS = 32;

/** What runs at once: one kernel, a loop over cells, or a pass over rows. */
export interface Unit {
  readonly isCells: boolean;
  /** What it may write: nodes of a loop, inputs before consumers; outputs of a pass. */
  readonly nodes: readonly Expr[];
  readonly pass?: LoopPass;
}

/** What a unit reads, and on whose behalf. */
export function unitReads({ nodes, pass }: Unit): (readonly [reader: Expr, input: Expr])[] {
  const reading = (node: Expr) => node.inputs.map((input) => [node, input] as const);
  if (pass === undefined) return nodes.flatMap(reading);
  return pass.operands.map((input) => [pass.outputs[0]!, input] as const);
}

/** Cells of another value, from `offset` on. */
export interface ViewOf {
  readonly of: Expr;
  /** @units cells */
  readonly offset: number;
}

/** The value that holds a node's cells; itself where it has cells of its own. */
export function holderOf(expr: Expr, isMade: (expr: Expr) => boolean): ViewOf {
  let [of, offset] = [expr, 0];
  while (isMade(of)) {
    const from = kernelOf.get(of.op.name)?.view?.(of);
    if (from === undefined) break;
    offset += from;
    of = of.inputs[0]!;
  }
  return { of, offset };
}

/** Operands whose cells make up the node's, and from which cell on; undefined for other nodes. */
export function joinedBy(expr: Expr): readonly (readonly [Expr, offset: number])[] | undefined {
  if (kernelOf.get(expr.op.name)?.joins?.(expr) !== true) return undefined;
  let end = 0;
  return expr.inputs.map((input) => {
    const offset = end;
    end += input.rows * input.cols;
    return [input, offset] as const;
  });
}

export function isCells({ op, rows, cols }: Expr): boolean {
  return op.cell !== undefined || (isRounding(op) && rows * cols <= SMALL_CELLS);
}

/** Loops hold nodes of one key: one shape, and what lanes can and can't compute apart. */
function keyOf(expr: Expr): string {
  const { rows, cols, dtype, op } = expr;
  const shape = `${rows},${cols}`;
  if (rows * cols <= SMALL_CELLS) return shape;
  return `${shape},${dtype},${cellForm(op) !== undefined}`;
}

/**
 * @param steps what is to be computed, inputs before consumers
 * @param held see `holderOf`
 */
export function scheduled(
  steps: readonly (Expr | LoopPass)[],
  held: (expr: Expr) => ViewOf,
): readonly Unit[] {
  /** The last first. */
  const units: (Unit & { readonly nodes: Expr[] })[] = [];
  const open = new Map<string, number[]>();
  /** By value: the unit, counted from the last, that it may run in at the latest. */
  const latest = new Map<Expr, number>();
  for (let i = steps.length - 1; i >= 0; i--) {
    const step = steps[i]!;
    if ('outputs' in step) {
      for (const input of step.operands) latest.set(held(input).of, units.length + 1);
      units.push({ isCells: false, nodes: [...step.outputs], pass: step });
      continue;
    }
    if (held(step).of !== step) continue;
    let at = latest.get(step) ?? 0;
    const cells = isCells(step);
    const key = cells ? keyOf(step) : '';
    const most = step.rows * step.cols <= SMALL_CELLS ? Infinity : MAX_STEPS;
    const known = cells
      ? open.get(key)?.find((unit) => unit >= at && units[unit]!.nodes.length < most)
      : undefined;
    if (known !== undefined) at = known;
    else {
      at = units.length;
      units.push({ isCells: cells, nodes: [] });
      if (cells) open.set(key, [...(open.get(key) ?? []), at]);
    }
    units[at]!.nodes.push(step);
    for (const input of step.inputs) {
      const { of } = held(input);
      const isAlong = cells && of === input && isSameShape(input, step);
      latest.set(of, Math.max(latest.get(of) ?? 0, isAlong ? at : at + 1));
    }
  }
  return units
    .reverse()
    .map((unit) => (unit.pass ? unit : { ...unit, nodes: unit.nodes.reverse() }));
}

export function isSameShape(a: Expr, b: Expr): boolean {
  return a.rows === b.rows && a.cols === b.cols;
}
