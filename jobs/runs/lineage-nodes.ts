/** A run's lineage as plain nodes for `lineage.json` and the report: what ran or was reused. */
import {
  attrsLabel,
  type Expr,
  lineageKey,
  type Statistics,
  serializeLineage,
} from '../../driver/index.js';
import type { LineageNode, RunProgram } from './record.js';

/** Nodes the run touched and their leaves, inputs before consumers. */
export function lineageNodes(statistics: Statistics): LineageNode[] {
  const order = touchedNodes(statistics);
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

/**
 * The whole lineage of what the run touched, enough to compute it again. The first roots are the
 * nodes of `lineageNodes`, in their order.
 * @param outputs the nodes the answer was read from, by name
 */
export function programOf(
  statistics: Statistics,
  outputs: ReadonlyMap<string, Expr>,
  store: string | null,
): RunProgram {
  const roots = touchedNodes(statistics);
  const places: Record<string, number> = {};
  for (const [name, expr] of outputs) {
    places[name] = roots.length;
    roots.push(expr.simplified ?? expr);
  }
  return { store, outputs: places, lineage: serializeLineage(roots) };
}

function touchedNodes(statistics: Statistics): Expr[] {
  const touched = new Set<Expr>(statistics.nodes.keys());
  for (const expr of statistics.nodes.keys()) for (const input of expr.inputs) touched.add(input);
  // What follows from the state of a loop is not the same each time: it has no lineage.
  const known = [...touched].filter((expr) => expr.isDeterministic);
  return known.sort((a, b) => a.height - b.height || a.id - b.id);
}
