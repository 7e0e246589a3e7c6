/**
 * Results over data of many files from cached results over their files: f(rbind(A, B, C)) = [f(A)]
 * + [f(B)] + f(C). Decided for a whole plan at once, since leaving out files saves reading them
 * only if nothing else reads all of them in the same pass; then even a cheap sum is worth it.
 * Invariant: parts are merged in the order of rows whatever is cached, so the answer has the bits
 * of any other run that keeps results by file.
 */
import { type Expr, topological } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import { type FilePart, FileParts } from '../file-parts.js';
import type { PlanContext, PlanRule, Proposal } from '../plan-rule.js';
import { mergedOps } from './merge-row-parts.js';
import { rowWise } from './stack-row-parts.js';

/** With fewer cached rows it is simpler to read all. */
const MIN_CACHED = 0.5;

export const mergeFileParts: PlanRule = {
  name: 'merge-file-parts',
  ops: [...new Set([...mergedOps, ...rowWise])],
  algebra: 'f(rbind(A, B, C)) -> [f(A)] + [f(B)] + f(C) for A, B, C the rows of one file each',
  savesReading: true,
  apply: (expr, context) => context.ofPlan(answersByFile).get(expr),
};

/** The nodes of a plan that are answered from parts, by node. */
function answersByFile(context: PlanContext): ReadonlyMap<Expr, Proposal> {
  const { roots, isThere, estimate, maxRatio } = context;
  const order = topological(roots, (expr) => isThere(expr) || !expr.readsFiles).filter(
    (expr) => expr.readsFiles && !isThere(expr),
  );
  const data = rowData(order);
  const readers = readersOf(roots, order, data);
  const files = new FileParts(context);
  const answers = new Map<Expr, Proposal>();
  /** Frames that something reads whole in the first pass in any case. */
  const read = new Set<Expr>();
  for (const reader of readers) {
    const answer = answerOf(reader, files, context);
    if (answer !== undefined) answers.set(reader, answer);
    else if (!waitsForData(reader, isThere)) for (const frame of data.get(reader)!) read.add(frame);
  }
  const total = (nodes: Iterable<Expr>): number =>
    [...nodes].reduce((seconds, node) => seconds + estimate(node), 0);
  const apart = [...answers].filter(([reader]) =>
    [...data.get(reader)!].every((frame) => !read.has(frame)),
  );
  const saved = apart.flatMap(([reader]) => [reader, ...rowsBelow(reader, data)]);
  const added = apart.flatMap(([, { weighed }]) => weighed!.made);
  const isWorth = total(new Set(added)) <= maxRatio * total(new Set(saved));
  for (const [reader, { weighed }] of [...answers]) {
    if (isWorth && apart.some(([one]) => one === reader)) continue;
    if (total(weighed!.made) > maxRatio * estimate(reader)) answers.delete(reader);
  }
  return answers;
}

/** The frames each node has rows of or, for reductions, takes rows of. */
function rowData(order: readonly Expr[]): ReadonlyMap<Expr, ReadonlySet<Expr>> {
  const data = new Map<Expr, ReadonlySet<Expr>>();
  for (const expr of order) {
    if (expr.op === ops.encode) {
      data.set(expr, new Set(expr.inputs));
      continue;
    }
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    if (!('blocked' in rule)) continue;
    const frames = new Set<Expr>();
    for (const [i, input] of expr.inputs.entries()) {
      if (!rule.blocked[i] || !hasRows(input)) continue;
      for (const frame of data.get(input) ?? []) frames.add(frame);
    }
    if (frames.size > 0) data.set(expr, frames);
  }
  return data;
}

/** Whether a node comes row by row, as far as its operator goes. */
function hasRows(expr: Expr): boolean {
  const { kind } = expr.op.rowRule(expr.inputs, expr.attrs);
  return kind === 'map' || kind === 'source';
}

/** What makes a pass run: reductions of rows, and rows that are asked for or read whole. */
function readersOf(
  roots: readonly Expr[],
  order: readonly Expr[],
  data: ReadonlyMap<Expr, ReadonlySet<Expr>>,
): ReadonlySet<Expr> {
  const readers = new Set<Expr>();
  for (const root of roots) if (data.has(root)) readers.add(root);
  for (const expr of order) {
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    if (data.has(expr) && rule.kind === 'reduce') readers.add(expr);
    for (const [i, input] of expr.inputs.entries()) {
      if (!data.has(input) || !hasRows(input)) continue;
      if (!('blocked' in rule && rule.blocked[i])) readers.add(input);
    }
  }
  return readers;
}

/** Whether the node runs in a later pass: a whole operand of it or of its rows is still to be computed from files. */
function waitsForData(reader: Expr, isThere: (expr: Expr) => boolean): boolean {
  const seen = new Set<Expr>();
  const stack = [reader];
  while (stack.length > 0) {
    const expr = stack.pop()!;
    if (seen.has(expr) || isThere(expr) || expr.op === ops.encode) continue;
    seen.add(expr);
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    for (const [i, input] of expr.inputs.entries()) {
      if ('blocked' in rule && rule.blocked[i]) stack.push(input);
      else if (input.readsFiles && !isThere(input)) return true;
    }
  }
  return false;
}

function answerOf(reader: Expr, files: FileParts, context: PlanContext): Proposal | undefined {
  const parts = files.of(reader);
  if (parts === undefined) return undefined;
  const rowsOf = (some: readonly FilePart[]): number =>
    some.reduce((rows, { from, to }) => rows + to - from, 0);
  const cached = parts.filter(({ expr }) => context.isCached(expr));
  if (rowsOf(cached) < MIN_CACHED * rowsOf(parts)) return undefined;
  const uses = cached.map(({ expr }) => expr);
  const expr = files.merged(
    reader,
    parts.map((part) => part.expr),
  );
  const known = new Set(uses);
  const made = topological([expr], (node) => known.has(node) || context.isThere(node)).filter(
    (node) => !known.has(node) && !context.isThere(node) && node.op !== ops.frame,
  );
  // No other answer is cheaper than not to read.
  return { expr, uses, weighed: { made, seconds: 0 } };
}

/** Rows a reader is made from that nothing has yet. */
function rowsBelow(reader: Expr, data: ReadonlyMap<Expr, ReadonlySet<Expr>>): Expr[] {
  return topological([reader], (expr) => expr !== reader && !data.has(expr)).filter(
    (expr) => expr !== reader && data.has(expr) && hasRows(expr),
  );
}
