/** Plans as text, one line a node, for `explain`, `reprise plan` and plan tests. */
import { type Expr, shapeText } from '../ir/expr.js';
import { exprLine, inputList } from '../ir/print.js';
import type { Plan, PlanNode } from './plan.js';

/** As `printExprs`, but nodes of equal operator, shape and input forms are one counted line. */
export function printForms(order: readonly Expr[]): string {
  const forms = new FormList();
  for (const expr of order) forms.add(expr, '');
  return forms.text();
}

/**
 * The placed plan: each line also says backend, wave and what is kept. Nodes of one form (same
 * operator, shape, place and forms of the inputs), such as the fits of many trials, are one line
 * with their number.
 */
export function printPlan(plan: Plan): string {
  const forms = new FormList();
  for (const expr of plan.available.keys()) {
    forms.add(expr, expr.inputs.length === 0 ? 'leaf' : 'cached');
  }
  for (const node of plan.nodes) forms.add(node.expr, placeText(node, plan));
  const names = (exprs: readonly Expr[]): string =>
    inputList([...new Set(exprs.map((expr) => `#${forms.numberOf(expr)}`))]);
  const lines = [forms.text()];
  if (plan.prefetch !== undefined) lines.push(`prefetch ${names(plan.prefetch)}`);
  for (const { backend, nodes } of plan.segments ?? []) {
    lines.push(`segment of ${backend.name} ${names(nodes.map(({ expr }) => expr))}`);
  }
  return lines.join('\n');
}

/** Lines of nodes, equal forms counted. */
class FormList {
  readonly #forms = new Map<string, { readonly line: string; suffix: string; count: number }>();
  readonly #numbers = new Map<Expr, number>();

  add(expr: Expr, suffix: string): void {
    const inputs = expr.inputs.map((input) => this.#numbers.get(input) ?? '?').join(',');
    const signature = `${expr.op.name} ${shapeText(expr)} ${suffix} ${inputs}`;
    const known = this.#forms.get(signature);
    if (known !== undefined) {
      known.count++;
      this.#numbers.set(expr, Number(known.line.slice(1, known.line.indexOf(' '))));
      return;
    }
    this.#numbers.set(expr, this.#forms.size + 1);
    this.#forms.set(signature, { line: exprLine(expr, this.#numbers), suffix, count: 1 });
  }

  numberOf(expr: Expr): number | undefined {
    return this.#numbers.get(expr);
  }

  text(): string {
    return [...this.#forms.values()]
      .map(({ line, suffix, count }) => {
        const place = suffix === '' ? '' : `  ${suffix}`;
        return `${line}${place}${count > 1 ? ` x${count}` : ''}`;
      })
      .join('\n');
  }
}

function placeText({ expr, backend, wave, how, stays }: PlanNode, { broadcast }: Plan): string {
  const words = [backend.name, `wave ${wave}`];
  if (how.kind === 'reduce') words.push('sink');
  else if (how.kind === 'rows') words.push('row blocks');
  if (stays.at === 'host' && stays.parts !== undefined) words.push(`${stays.parts.length} parts`);
  if (how.kind === 'whole' && stays.at === 'there') words.push('stays there');
  if (stays.at !== 'nowhere' && !stays.isKept) words.push('transient');
  if (how.kind === 'fused') words.push('fused');
  if (how.kind === 'chain') words.push(`chain of ${how.nodes.length}`);
  if (!expr.isDeterministic) words.push('non-deterministic');
  if (how.kind === 'rows') {
    if (stays.at === 'host') words.push('kept on host');
    if (stays.at === 'there') words.push('persist');
    if (how.checkpoint !== undefined) {
      words.push(`${how.checkpoint.reason} x${how.checkpoint.reads}`);
    }
  }
  if (broadcast?.has(expr)) words.push('broadcast');
  return `[${words.join(', ')}]`;
}
