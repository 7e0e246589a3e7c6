/**
 * Sums over rows that several nodes of one plan share, computed once: with X in folds F1 .. Fk, the
 * k sums over all folds but one are k sums over one fold each, and for each fold its prefix plus
 * its suffix,
 *   f(X without Fi) = (f(F1) + .. + f(Fi-1)) + (f(Fi+1) + .. + f(Fk)),
 * where prefixes and suffixes grow by one addition each: 3k additions, and one pass over the rows
 * in place of k - 1. Nothing is subtracted, so nothing cancels. A node alone is split the same way
 * where its parts cost no more than the whole, so that later plans find its parts. Rows are told
 * apart by operand and range, so folds may be `rbind`s or slices. Source: MEMPHIS's
 * compiler-assisted reuse (EDBT 2025) rewrites t(X) %*% X over rbind to a sum; prefixes are ours.
 */
import { type Expr, topological } from '../../ir/expr.js';
import { mergeResults } from '../../ir/op-def.js';
import { ops } from '../../operators/index.js';
import type { PlanContext, PlanRule, Proposal } from '../plan-rule.js';
import { Cut, type TrackPiece } from './cut.js';
import { mergedOps, summedRows } from './merge-parts.js';

/** A node with more pieces is left as it is. */
const MAX_PIECES = 512;
const MAX_NODES = 2048;

export const shareFoldSums: PlanRule = {
  name: 'share-fold-sums',
  ops: mergedOps,
  algebra: 'f(X without Fi) -> (f(F1) + .. + f(Fi-1)) + (f(Fi+1) + .. + f(Fk)), of every i at once',
  apply: (expr, context) => (mayShare(expr) ? context.ofPlan(sharedSums).get(expr) : undefined),
};

/** Whether a node may take part; cheap, so that plans without such nodes pay nothing. */
function mayShare(expr: Expr): boolean {
  return (
    expr.inputs.some(({ op }) => op === ops.rbind || op === ops.slice) &&
    expr.inputs[0]!.rows >= expr.cols &&
    summedRows(expr) !== undefined
  );
}

/** The sums of a plan that pay, by the node they answer. */
function sharedSums(context: PlanContext): ReadonlyMap<Expr, Proposal> {
  const families = new Map<string, Member[]>();
  const readers = new Map<Expr, Expr[]>();
  for (const expr of topological(context.roots, context.isThere)) {
    if (context.isThere(expr)) continue;
    for (const input of expr.inputs) {
      if (input.op === ops.rbind) readers.set(input, [...(readers.get(input) ?? []), expr]);
    }
    const split = expr.isDeterministic ? summedRows(expr) : undefined;
    if (split === undefined || context.estimate(expr) < context.minSeconds) continue;
    const others = expr.inputs.map((input, i) => (split.cut[i] ? '' : input.id));
    const key = `${expr.op.name} ${expr.attrsText} ${others.join(' ')}`;
    const members = families.get(key);
    const cut = new Cut(expr, split, context);
    const member = { expr, cut, pieces: cut.tracks(), isWhollyCut: !split.cut.includes(false) };
    if (member.pieces.length > MAX_PIECES) continue;
    if (members === undefined) families.set(key, [member]);
    else if (members.length < MAX_NODES) members.push(member);
  }
  const sums = new Map<Expr, Proposal>();
  const taking = new Set([...families.values()].flat().map(({ expr }) => expr));
  /** Binding the rows is saved where only nodes of families ask for it; each has its share. */
  const saved = ({ inputs }: Expr): number =>
    [...new Set(inputs)].reduce((seconds, input) => {
      const by = readers.get(input) ?? [];
      const isSaved = by.length > 0 && by.every((reader) => taking.has(reader));
      return isSaved ? seconds + context.estimate(input) / by.length : seconds;
    }, 0);
  for (const members of families.values()) addFamily(members, sums, context, saved);
  return sums;
}

interface Member {
  readonly expr: Expr;
  readonly cut: Cut;
  readonly pieces: readonly TrackPiece[];
  /** Every operand is cut, so that sums over parts serve whatever comes later. */
  readonly isWhollyCut: boolean;
}

/** A run of rows that no node of the family cuts, and its result. */
interface Fold {
  readonly expr: Expr;
  uses: number;
}

function addFamily(
  members: readonly Member[],
  sums: Map<Expr, Proposal>,
  context: PlanContext,
  saved: (expr: Expr) => number,
): void {
  if (members.length === 1 && !members[0]!.isWhollyCut) return;
  const cuts = cutsByTrack(members.flatMap(({ pieces }) => pieces));
  const folds = new Map<string, Fold>();
  const lists = members.map((member) => foldsOf(member, cuts, folds));
  const order = new Map([...folds.values()].map((fold, i) => [fold, i]));
  const [{ expr: first }] = members as [Member];
  const adder = new RunSums([...folds.values()], (a, b) =>
    mergeResults(first.op.merge!, first, [a, b], context),
  );
  const made = new Set<Expr>();
  const found: { expr: Expr; sum: Expr; nodes: readonly Expr[] }[] = [];
  let before = 0;
  members.forEach(({ expr }, m) => {
    const list = lists[m]!;
    const isShared = list.some((fold) => fold.uses > 1);
    if (list.length < 2 || list.length > MAX_PIECES) return;
    if (!isShared && !expr.inputs.some(({ op }) => op === ops.rbind)) return;
    const places = list.map((fold) => order.get(fold)!).sort((a, b) => a - b);
    const sum = adder.sum(places);
    const nodes = sumNodes(sum, list);
    for (const node of nodes) made.add(node);
    before += context.estimate(expr) + saved(expr);
    found.push({ expr, sum, nodes });
  });
  // Ranges of rows that are bound are made either way.
  const bound = new Set(members.flatMap(({ expr }) => expr.inputs.flatMap(boundBy)));
  let after = 0;
  for (const node of made) {
    if (context.isThere(node)) continue;
    after += context.estimate(node);
    for (const input of node.inputs) {
      if (input.op !== ops.slice || bound.has(input)) continue;
      if (!context.isThere(input)) after += context.estimate(input);
    }
  }
  // Alone nothing is saved but the binding; what the parts are worth comes later.
  const ratio = members.length === 1 ? 1 : context.maxRatio;
  if (found.length > 0 && after <= ratio * before) {
    const seconds = after / found.length;
    for (const { expr, sum, nodes } of found) {
      sums.set(expr, { expr: sum, uses: [], weighed: { made: nodes, seconds } });
    }
  }
}

function boundBy({ op, inputs }: Expr): readonly Expr[] {
  return op === ops.rbind ? inputs : [];
}

function cutsByTrack(pieces: readonly TrackPiece[]): Map<string, readonly number[]> {
  const cuts = new Map<string, Set<number>>();
  for (const { track, from, to } of pieces) {
    const known = cuts.get(track);
    if (known === undefined) cuts.set(track, new Set([from, to]));
    else known.add(from).add(to);
  }
  return new Map([...cuts].map(([track, set]) => [track, [...set].sort((a, b) => a - b)]));
}

function foldsOf(
  { cut, pieces }: Member,
  cuts: ReadonlyMap<string, readonly number[]>,
  folds: Map<string, Fold>,
): Fold[] {
  const list: Fold[] = [];
  for (const { track, from, to, start: first } of pieces) {
    const inside = cuts.get(track)!.filter((at) => at >= from && at <= to);
    for (let i = 1; i < inside.length; i++) {
      const [start, end] = [inside[i - 1]!, inside[i]!];
      const key = `${track} ${start} ${end}`;
      let fold = folds.get(key);
      if (fold === undefined) {
        const range = { from: first + start - from, to: first + end - from };
        fold = { expr: cut.over(range), uses: 0 };
        folds.set(key, fold);
      }
      fold.uses++;
      list.push(fold);
    }
  }
  return list;
}

/** Sums over runs of folds, built so that runs which begin or end alike share their additions. */
class RunSums {
  readonly #folds: readonly Fold[];
  readonly #add: (a: Expr, b: Expr) => Expr;
  readonly #prefixes: Expr[] = [];
  readonly #suffixes: Expr[] = [];

  constructor(folds: readonly Fold[], add: (a: Expr, b: Expr) => Expr) {
    this.#folds = folds;
    this.#add = add;
  }

  /** @param places of the folds, ascending; one may occur again */
  sum(places: readonly number[]): Expr {
    const runs: Expr[] = [];
    for (let i = 0; i < places.length; ) {
      let end = i + 1;
      while (end < places.length && places[end] === places[end - 1]! + 1) end++;
      runs.push(this.#run(places[i]!, places[end - 1]!));
      i = end;
    }
    return runs.reduce((total, run) => this.#add(total, run));
  }

  #run(first: number, last: number): Expr {
    const { length } = this.#folds;
    if (first === 0) {
      for (let i = this.#prefixes.length; i <= last; i++) {
        const fold = this.#folds[i]!.expr;
        this.#prefixes.push(i === 0 ? fold : this.#add(this.#prefixes[i - 1]!, fold));
      }
      return this.#prefixes[last]!;
    }
    if (last === length - 1) {
      for (let i = this.#suffixes.length; i <= last - first; i++) {
        const fold = this.#folds[last - i]!.expr;
        this.#suffixes.push(i === 0 ? fold : this.#add(fold, this.#suffixes[i - 1]!));
      }
      return this.#suffixes[last - first]!;
    }
    return this.#folds
      .slice(first, last + 1)
      .map(({ expr }) => expr)
      .reduce((total, expr) => this.#add(total, expr));
  }
}

/** The additions of a sum and the folds below. */
function sumNodes(sum: Expr, list: readonly Fold[]): Expr[] {
  const leaves = new Set(list.map(({ expr }) => expr));
  return topological([sum], (expr) => leaves.has(expr));
}
