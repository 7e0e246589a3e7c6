/**
 * Losses of a grid from cached losses over the same groups, rows and target: each column of W is
 * one model, judged on the rows of its own group whatever the other columns are. So penalties added
 * to a grid are scored alone, and a grid within one scored before needs no pass over the data.
 * Columns are group-major, so they are matched group by group.
 */
import type { Expr, NodeMaker } from '../../ir/expr.js';
import type { Loss } from '../../operators/group-loss.js';
import { ops } from '../../operators/index.js';
import type { PlanContext, PlanRule } from '../plan-rule.js';
import type { CutPlace } from './cut.js';
import {
  bindSegments,
  covered,
  covering,
  cutSegments,
  type PartRange,
  piecesOf,
  rangeAlong,
  segmentsOf,
  sharedSpans,
} from './ranges.js';

export const joinGroupLosses: PlanRule = {
  name: 'join-group-losses',
  ops: [ops.groupLoss],
  algebra:
    'groupLoss(g, X, y, [U V]) -> [groupLoss(g, X, y, U)] beside groupLoss(g, X, y, V), group by group',
  apply: (expr, context) => {
    const wanted = modelsByGroup(expr, context);
    const found = siblingsOf(expr, context);
    const uses = new Set<Expr>();
    const pieces = wanted.map((models, g) => {
      const chosen = covering(placesIn(models, g, found), covered(models));
      for (const { sibling } of chosen) uses.add(sibling);
      return piecesOf(chosen, covered(models));
    });
    if (uses.size === 0) return undefined;
    const missing = pieces.map((group, g) =>
      group.flatMap(({ from, to, span }) => (span ? [] : cutSegments(wanted[g]!, from, to))),
    );
    const width = Math.max(...missing.map(covered));
    const fresh = width === 0 ? undefined : scored(expr, missing, width, context);
    const joined = pieces.flatMap((group, g) => {
      let next = g * width;
      return group.map(({ from, to, span }): PartRange => {
        if (span) return { part: span.source, from: span.at, to: span.at + to - from };
        next += to - from;
        return { part: fresh!, from: next - (to - from), to: next };
      });
    });
    return { expr: bindSegments(joined, 'cols', context), uses: [...uses] };
  },
};

/** The models of each group. */
function modelsByGroup(expr: Expr, maker: NodeMaker): PartRange[][] {
  const groups = expr.attrs.groups as number;
  const models = expr.cols / groups;
  const segments = segmentsOf(expr.inputs[3]!, 'cols', maker);
  return Array.from({ length: groups }, (_, g) =>
    cutSegments(segments, g * models, (g + 1) * models),
  );
}

interface Sibling {
  readonly sibling: Expr;
  /** Those of its losses that are asked for. */
  readonly source: Expr;
  readonly models: readonly (readonly PartRange[])[];
}

/** Cached losses that judge the same rows and hold the losses asked for, in their order. */
function siblingsOf(expr: Expr, context: PlanContext): Sibling[] {
  const losses = expr.attrs.losses as readonly Loss[];
  return context.siblings(ops.groupLoss, expr.inputs[1]!).flatMap((sibling) => {
    const theirs = sibling.attrs.losses as readonly Loss[];
    const row = theirs.indexOf(losses[0]!);
    const isSameRows = [0, 1, 2].every((i) => sibling.inputs[i] === expr.inputs[i]);
    if (!isSameRows || row < 0 || losses.some((loss, l) => theirs[row + l] !== loss)) return [];
    const source = rangeAlong(sibling, 'rows', row, row + losses.length, context);
    return [{ sibling, source, models: modelsByGroup(sibling, context) }];
  });
}

/** Where models of a group lie among the columns of cached losses. */
function placesIn(
  wanted: readonly PartRange[],
  g: number,
  found: readonly Sibling[],
): (CutPlace & { readonly sibling: Expr })[] {
  return found.flatMap(({ sibling, source, models }) => {
    const own = models[g] ?? [];
    return sharedSpans(wanted, own).map((span) => {
      return { ...span, at: span.at + g * covered(own), source, sibling };
    });
  });
}

/** One pass for models without cached losses; groups with fewer models repeat one of them. */
function scored(
  expr: Expr,
  missing: readonly (readonly PartRange[])[],
  width: number,
  context: PlanContext,
): Expr {
  const any = missing.flat()[0]!;
  const filler: PartRange = { part: any.part, from: any.from, to: any.from + 1 };
  const segments = missing.flatMap((group) => [
    ...group,
    ...Array.from({ length: width - covered(group) }, () => filler),
  ]);
  const inputs = [...expr.inputs.slice(0, 3), bindSegments(segments, 'cols', context)];
  return context.intern(ops.groupLoss, inputs, expr.attrs);
}
