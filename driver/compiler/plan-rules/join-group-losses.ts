/**
 * Losses of a grid from cached losses over the same groups, rows and target: each column of W is
 * one model, judged on the rows of its own group whatever the other columns are. So penalties added
 * to a grid are scored alone, and a grid within one scored before needs no pass over the data.
 * Columns are group-major, so they are matched group by group.
 */
import type { Expr } from '../../ir/expr.js';
import type { Loss } from '../../operators/group-loss.js';
import { ops } from '../../operators/index.js';
import type { PlanContext, PlanRule } from '../plan-rule.js';
import { sliceAttrs } from '../rules/merge-slices.js';
import {
  addPlaces,
  bindSegments,
  columnSegments,
  cover,
  cutSegments,
  joinColumns,
  type Piece,
  type Places,
  type Segment,
} from './columns.js';

export const joinGroupLosses: PlanRule = {
  name: 'join-group-losses',
  ops: [ops.groupLoss],
  algebra:
    'groupLoss(g, X, y, [U V]) -> [groupLoss(g, X, y, U)] beside groupLoss(g, X, y, V), group by group',
  apply: (expr, context) => {
    const siblings = context.siblings(ops.groupLoss, expr.inputs[1]!);
    const places = placesByGroup(expr, siblings, context);
    if (places === undefined) return undefined;
    const pieces = segmentsByGroup(expr).map((segments, g) => cover(segments, places[g]!));
    const uses = new Set<Expr>();
    for (const { source } of pieces.flat()) {
      if (source !== undefined) uses.add(source.op === ops.slice ? source.inputs[0]! : source);
    }
    if (uses.size === 0) return undefined;
    const fresh = scoreMissing(expr, pieces, context);
    const joined = pieces.flatMap((group, g) => {
      let next = g * fresh.models;
      return group.map(({ source, at, from, to }) => {
        const width = to - from;
        if (source !== undefined) return { source, at, width };
        next += width;
        return { source: fresh.losses!, at: next - width, width };
      });
    });
    return { expr: joinColumns(joined, context), uses: [...uses] };
  },
};

function segmentsByGroup(expr: Expr): Segment[][] {
  const groups = expr.attrs.groups as number;
  const models = expr.cols / groups;
  const byGroup: Segment[][] = Array.from({ length: groups }, () => []);
  let at = 0;
  for (const segment of columnSegments(expr.inputs[3]!)) {
    const width = segment.to - segment.from;
    for (let done = 0; done < width; ) {
      const group = Math.floor((at + done) / models);
      const end = Math.min(width, (group + 1) * models - at);
      byGroup[group]!.push(...cutSegments([segment], done, end));
      done = end;
    }
    at += width;
  }
  return byGroup;
}

/** Where the losses of each group's models lie; undefined when no cached node judges the same rows. */
function placesByGroup(
  expr: Expr,
  siblings: readonly Expr[],
  context: PlanContext,
): Places[] | undefined {
  const groups = expr.attrs.groups as number;
  const losses = expr.attrs.losses as readonly Loss[];
  let places: Places[] | undefined;
  for (const sibling of siblings) {
    if ([0, 1, 2].some((i) => sibling.inputs[i] !== expr.inputs[i])) continue;
    const theirs = sibling.attrs.losses as readonly Loss[];
    const row = theirs.indexOf(losses[0]!);
    if (row < 0 || losses.some((loss, l) => theirs[row + l] !== loss)) continue;
    const source =
      theirs.length === losses.length
        ? sibling
        : context.intern(
            ops.slice,
            [sibling],
            sliceAttrs([row, row + losses.length], [0, sibling.cols], sibling),
          );
    places ??= Array.from({ length: groups }, () => new Map());
    const models = sibling.cols / (sibling.attrs.groups as number);
    segmentsByGroup(sibling).forEach((segments, g) => {
      if (g < groups) addPlaces(places![g]!, segments, source, g * models);
    });
  }
  return places;
}

/** One pass for the models whose losses are nowhere; groups with fewer of them are filled up with one of the others. */
function scoreMissing(
  expr: Expr,
  pieces: readonly (readonly Piece[])[],
  context: PlanContext,
): { readonly losses: Expr | undefined; readonly models: number } {
  const missing = pieces.map((group) => group.filter(({ source }) => source === undefined));
  const widths = missing.map((group) => group.reduce((sum, { from, to }) => sum + to - from, 0));
  const models = Math.max(...widths);
  const any = missing.flat()[0];
  if (any === undefined) return { losses: undefined, models: 0 };
  const filler: Segment = { part: any.part, from: any.from, to: any.from + 1 };
  const segments = missing.flatMap((group, g) => [
    ...group,
    ...Array.from({ length: models - widths[g]! }, () => filler),
  ]);
  const inputs = [...expr.inputs.slice(0, 3), bindSegments(segments, context)];
  return { losses: context.intern(ops.groupLoss, inputs, expr.attrs), models };
}
