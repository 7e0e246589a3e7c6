/** Tells values that come row by row from a frame: the data themselves, wherever they are held. */
import type { Expr } from '../ir/expr.js';

/** Whether a node is an encoded frame, or row-wise operators over one. */
export function isFrameData(expr: Expr): boolean {
  let node = expr;
  for (;;) {
    if (node.op.source === 'scan') return true;
    const rule = node.op.rowRule(node.inputs, node.attrs);
    if (rule.kind !== 'map') return false;
    const below = node.inputs.find((input, i) => rule.blocked[i] && input.inputs.length > 0);
    if (below === undefined) return false;
    node = below;
  }
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
