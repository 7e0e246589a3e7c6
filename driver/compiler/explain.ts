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

/** As `printExprs`, but nodes of one form (same operator, shape and forms of the inputs) are one line with their number. */
export function printForms(order: readonly Expr[]): string {
  const forms = new FormList();
  for (const expr of order) forms.add(expr, '');
  return forms.text();
}

/**
 * The placed plan: each line also says backend, wave and what is kept. Nodes of one form (same operator, shape, place and
 * forms of the inputs), such as the fits of many trials, are one line with their number.
 */
export function printPlan(plan: Plan): string {
  const forms = new FormList();
  for (const expr of plan.available.keys()) {
    forms.add(expr, expr.inputs.length === 0 ? 'leaf' : 'cached');
  }
  for (const node of plan.nodes) forms.add(node.expr, placeText(node));
  const names = (plan.prefetch ?? []).map((expr) => `#${forms.numberOf(expr)}`);
  return names.length > 0 ? `${forms.text()}\nprefetch ${inputList(names)}` : forms.text();
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

function placeText(node: PlanNode): string {
  const words = [node.backend.name, `wave ${node.wave}`];
  if (node.sink) words.push('sink');
  else if (node.blocked) words.push('row blocks');
  if (node.parts !== undefined) words.push(`${node.parts.length} parts`);
  if (node.staysThere) words.push('stays there');
  if (node.transient) words.push('transient');
  if (node.isFused) words.push('fused');
  if (node.chain !== undefined) words.push(`chain of ${node.chain.nodes.length}`);
  if (!node.expr.isDeterministic) words.push('non-deterministic');
  if (node.materialise) words.push('kept on host');
  if (node.persist) words.push('persist');
  if (node.checkpoint !== undefined) {
    words.push(`${node.checkpoint.reason} x${node.checkpoint.reads}`);
  }
  if (node.transfer !== undefined) words.push(node.transfer);
  return `[${words.join(', ')}]`;
}

function exprLine(expr: Expr, numbers: ReadonlyMap<Expr, number>): string {
  // What is not computed is no line of a placed plan (the frame that an encoding reads): its name says enough.
  const nameOf = (input: Expr): string => {
    const number = numbers.get(input);
    return number === undefined ? input.op.name : `#${number}`;
  };
  const inputs = inputList(expr.inputs.map(nameOf));
  return `#${numbers.get(expr)} ${expr.op.name}${attrsLabel(expr)} (${inputs}) ${shapeText(expr)}`;
}

/** Attributes in short: `{groups:10,center:true}`; long ones are cut. */
export function attrsLabel(expr: Expr): string {
  if (expr.attrsText === '' || expr.attrsText === '{}') return '';
  const text = expr.attrsText.replaceAll('"', '');
  return text.length > MAX_ATTRS ? `${text.slice(0, MAX_ATTRS)}..}` : text;
}

/** `#3, #5 x40`: a run of equal inputs is one entry. */
function inputList(names: readonly string[]): string {
  const runs: { readonly name: string; count: number }[] = [];
  for (const name of names) {
    const last = runs.at(-1);
    if (last?.name === name) last.count++;
    else runs.push({ name, count: 1 });
  }
  return runs
    .map(({ name, count }) =>
      count > 2 ? `${name} x${count}` : Array(count).fill(name).join(', '),
    )
    .join(', ');
}
