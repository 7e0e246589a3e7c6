/** Tells values that come row by row from a frame: the data themselves, wherever they are held. */
import type { Expr } from '../ir/expr.js';

const known = new WeakMap<Expr, boolean>();

/** Whether a node is an encoded frame, or row-wise operators over one. */
export function isFrameData(expr: Expr): boolean {
  let found = known.get(expr);
  if (found === undefined) {
    found = reachesFrame(expr);
    known.set(expr, found);
  }
  return found;
}

function reachesFrame(expr: Expr): boolean {
  const open = [expr];
  const seen = new Set(open);
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.op.source === 'scan') return true;
    const own = known.get(node);
    if (own === true) return true;
    if (own === false) continue;
    const rule = node.op.rowRule(node.inputs, node.attrs);
    if (rule.kind !== 'map') continue;
    for (const [i, input] of node.inputs.entries()) {
      if (!rule.blocked[i] || seen.has(input)) continue;
      seen.add(input);
      open.push(input);
    }
  }
  // Nor do they.
  for (const node of seen) known.set(node, false);
  return false;
}

/** Whether a node makes less of data of a frame: what a pass over the data is made for. */
export function reducesFrameData(expr: Expr): boolean {
  const rule = expr.op.rowRule(expr.inputs, expr.attrs);
  if (rule.kind === 'whole') {
    // What has to see all rows at once: ranks, medians.
    return expr.inputs.some((input) => input.rows > expr.rows && isFrameData(input));
  }
  return (
    rule.kind === 'reduce' && expr.inputs.some((input, i) => rule.blocked[i] && isFrameData(input))
  );
}

/** Rows that evaluating these nodes reads from files: each frame below them is read once. */
export function rowsScanned(nodes: readonly Expr[]): number {
  const frames = new Set<Expr>();
  for (const { op, inputs } of nodes) if (op.source === 'scan') frames.add(inputs[0]!);
  let rows = 0;
  for (const frame of frames) rows += frame.rows;
  return rows;
}
