/** Plans as text: what `explain` and `reprise plan` print and what plan tests compare. One line a node. */
import { type Expr, shapeText } from '../ir/expr.js';
import type { Plan, PlanNode } from './plan.js';

const MAX_ATTRS = 60;

/** `#7 matmul{transposeA:true} (#3, #5) 100x1`; numbers are positions in the list, so plans compare across runs. */
export function printExprs(order: readonly Expr[]): string {
  const numbers = new Map<Expr, number>();
  return order
    .map((expr) => {
      numbers.set(expr, numbers.size + 1);
      return exprLine(expr, numbers);
    })
    .join('\n');
}

/** The placed plan: each line also says backend, wave and what is kept. Runs of like nodes are folded. */
export function printPlan(plan: Plan): string {
  const numbers = new Map<Expr, number>();
  const lines: string[] = [];
  for (const expr of plan.available.keys()) {
    numbers.set(expr, numbers.size + 1);
    const kind = expr.inputs.length === 0 ? 'leaf' : 'cached';
    if (expr.op.name !== 'scalar') lines.push(`${exprLine(expr, numbers)}  ${kind}`);
  }
  let run: { readonly signature: string; readonly first: string; count: number } | undefined;
  const flush = (): void => {
    if (run === undefined) return;
    lines.push(run.count > 1 ? `${run.first}  (x${run.count})` : run.first);
    run = undefined;
  };
  for (const node of plan.nodes) {
    numbers.set(node.expr, numbers.size + 1);
    const suffix = placeText(node);
    const signature = `${node.expr.op.name} ${shapeText(node.expr)} ${suffix}`;
    if (run?.signature === signature) run.count++;
    else {
      flush();
      run = { signature, first: `${exprLine(node.expr, numbers)}  ${suffix}`, count: 1 };
    }
  }
  flush();
  return lines.join('\n');
}

function placeText(node: PlanNode): string {
  const words = [node.backend.name, `wave ${node.wave}`];
  if (node.sink) words.push('sink');
  else if (node.blocked) words.push('row blocks');
  if (node.materialise) words.push('kept on host');
  if (node.persist) words.push('persist');
  return `[${words.join(', ')}]`;
}

function exprLine(expr: Expr, numbers: ReadonlyMap<Expr, number>): string {
  const inputs = expr.inputs.map((input) => `#${numbers.get(input) ?? '?'}`).join(', ');
  return `#${numbers.get(expr)} ${expr.op.name}${attrsLabel(expr)} (${inputs}) ${shapeText(expr)}`;
}

/** Attributes in short: `{groups:10,center:true}`; long ones are cut. */
export function attrsLabel(expr: Expr): string {
  if (expr.attrsText === '' || expr.attrsText === '{}') return '';
  const text = expr.attrsText.replaceAll('"', '');
  return text.length > MAX_ATTRS ? `${text.slice(0, MAX_ATTRS)}..}` : text;
}
