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
import { splitOps } from './bind-parts.js';
import { mergedOps } from './merge-parts.js';

/** With fewer cached rows it is simpler to read all. */
const MIN_CACHED = 0.5;

export const mergeFileParts: PlanRule = {
  name: 'merge-file-parts',
  ops: [...new Set([...mergedOps, ...splitOps])],
  algebra: 'f(rbind(A, B, C)) -> [f(A)] + [f(B)] + f(C) for A, B, C the rows of one file each',
  savesReading: true,
  apply: (expr, context) => context.ofPlan(answersByFile).get(expr),
};

/** The nodes of a plan that are answered from parts, by node. */
function answersByFile(context: PlanContext): ReadonlyMap<Expr, Proposal> {
  const { estimate, maxRatio } = context;
  const { readings, readers } = readingsOf(context);
  const files = new FileParts(context);
  const answers = new Map<Expr, Proposal>();
  /** Frames that something reads whole in the first pass in any case. */
  const read = new Set<Expr>();
  for (const reader of readers) {
    const { frames, waits } = readings.get(reader)!;
    const answer = answerOf(reader, files, context);
    if (answer !== undefined) answers.set(reader, answer);
    else if (!waits) for (const frame of frames) read.add(frame);
  }
  const total = (nodes: Iterable<Expr>): number =>
    [...nodes].reduce((seconds, node) => seconds + estimate(node), 0);
  const apart = [...answers.keys()].filter((reader) =>
    [...readings.get(reader)!.frames].every((frame) => !read.has(frame)),
  );
  const saved = topological(apart, (expr) => !readings.has(expr)).filter(
    (expr) => readings.get(expr)?.isByRows || apart.includes(expr),
  );
  const added = apart.flatMap((reader) => answers.get(reader)!.weighed!.made);
  const isWorth = total(new Set(added)) <= maxRatio * total(saved);
  for (const [reader, { weighed }] of [...answers]) {
    if (isWorth && apart.includes(reader)) continue;
    if (total(weighed!.made) > maxRatio * estimate(reader)) answers.delete(reader);
  }
  return answers;
}

/** How a node that has no value reads files. */
interface Reading {
  /** The frames it has rows of or, for reductions, takes rows of. */
  readonly frames: ReadonlySet<Expr>;
  readonly isByRows: boolean;
  /** It runs in a later pass: a whole operand of it must first be computed from files. */
  readonly waits: boolean;
}

/** Nodes over rows of frames, and those that make a pass run: reductions, and rows read whole. */
function readingsOf({ roots, isThere }: PlanContext): {
  readonly readings: ReadonlyMap<Expr, Reading>;
  readonly readers: ReadonlySet<Expr>;
} {
  const readings = new Map<Expr, Reading>();
  const readers = new Set<Expr>();
  for (const expr of topological(roots, (node) => isThere(node) || !node.readsFiles)) {
    if (!expr.readsFiles || isThere(expr)) continue;
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    const isScan = expr.op.source === 'scan';
    const frames = new Set<Expr>(isScan ? expr.inputs : []);
    let waits = false;
    for (const [i, input] of isScan ? [] : expr.inputs.entries()) {
      const below = readings.get(input);
      if (rule.blocked[i] && below?.isByRows) {
        for (const frame of below.frames) frames.add(frame);
        waits ||= below.waits;
      } else {
        if (below?.isByRows) readers.add(input);
        waits ||= input.readsFiles && !isThere(input);
      }
    }
    if (frames.size === 0) continue;
    readings.set(expr, { frames, isByRows: isScan || rule.kind === 'map', waits });
    if (rule.kind === 'reduce') readers.add(expr);
  }
  for (const root of roots) if (readings.has(root)) readers.add(root);
  return { readings, readers };
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
