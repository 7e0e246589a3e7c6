/** A run's lineage: as plain nodes for `lineage.json` and the report, and as a program that can run. */
import {
  attrsLabel,
  type Expr,
  lineageKey,
  type Statistics,
  serializeLineage,
} from '../../driver/index.js';
import type { LineageNode, RunProgram } from './record.js';

/**
 * What the run touched, inputs before consumers: as nodes, and as the whole lineage that computes
 * them again, whose first roots are the nodes in their order.
 * @param outputs the nodes the answer was read from, by name
 * @param store its folder, where there is one
 */
export function lineageOf(
  statistics: Statistics,
  outputs: ReadonlyMap<string, Expr>,
  store: string | null,
): { readonly lineage: LineageNode[]; readonly program: RunProgram } {
  const touched = touchedNodes(statistics);
  return {
    lineage: lineageNodes(touched, statistics),
    program: programOf(touched, outputs, store),
  };
}

function lineageNodes(order: readonly Expr[], statistics: Statistics): LineageNode[] {
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

function programOf(
  touched: readonly Expr[],
  outputs: ReadonlyMap<string, Expr>,
  store: string | null,
): RunProgram {
  const roots = [...touched];
  const places: Record<string, number> = {};
  for (const [name, expr] of outputs) {
    places[name] = roots.length;
    roots.push(expr.simplified ?? expr);
  }
  return { store, outputs: places, lineage: serializeLineage(roots) };
}

/** Nodes the run touched and their leaves. */
function touchedNodes(statistics: Statistics): Expr[] {
  const touched = new Set<Expr>(statistics.nodes.keys());
  for (const expr of statistics.nodes.keys()) for (const input of expr.inputs) touched.add(input);
  // What follows from the state of a loop is not the same each time: it has no lineage.
  const known = [...touched].filter((expr) => expr.isDeterministic);
  return known.sort((a, b) => a.height - b.height || a.id - b.id);
}
