/** Expressions as text, one line a node: what plans, messages and `toString` of a matrix show. */
import { type Expr, shapeText } from './expr.js';

const MAX_ATTRS = 60;

/** `#7 matmul{transposeA:true} (#3, #5) 100x1`; numbers are list positions, so plans compare. */
export function printExprs(order: readonly Expr[]): string {
  const numbers = new Map<Expr, number>();
  return order
    .map((expr) => {
      numbers.set(expr, numbers.size + 1);
      return exprLine(expr, numbers);
    })
    .join('\n');
}

/** One node; `numbers` are those of the nodes already listed. */
export function exprLine(expr: Expr, numbers: ReadonlyMap<Expr, number>): string {
  // What is not computed is no line of a placed plan (the frame that an encoding reads): its name
  // says enough.
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
export function inputList(names: readonly string[]): string {
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
