/** The lineage of a run as plain nodes for `lineage.json` and the report: what ran, what was reused, and from what. */
import { attrsLabel, type Expr, lineageKey, type Statistics } from '../../driver/index.js';
import type { LineageNode } from './record.js';

/** Nodes the run touched and their leaves, inputs before consumers. */
export function lineageNodes(statistics: Statistics): LineageNode[] {
  const touched = new Set<Expr>(statistics.nodes.keys());
  for (const expr of statistics.nodes.keys()) for (const input of expr.inputs) touched.add(input);
  const order = [...touched].sort((a, b) => a.height - b.height || a.id - b.id);
  const numbers = new Map(order.map((expr, i) => [expr, i + 1]));
  return order.map((expr) => {
    const record = statistics.nodes.get(expr);
    return {
      id: numbers.get(expr)!,
      op: expr.op.name,
      label: attrsLabel(expr),
      inputs: expr.inputs.map((input) => numbers.get(input)).filter((id) => id !== undefined),
      rows: expr.rows,
      cols: expr.cols,
      backend: record?.backend ?? null,
      state: record?.state ?? 'source',
      hits: record?.hits ?? 0,
      seconds: record?.seconds ?? 0,
      key: expr.isDeterministic ? lineageKey(expr) : null,
    };
  });
}
