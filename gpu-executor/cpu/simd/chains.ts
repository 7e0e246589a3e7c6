/** Expressions of a chain as the code of its loop on lanes. */
import type { Expr } from '../../../driver/ir/expr.js';
import { cellForm } from '../../cell-forms.js';
import type { ChainCode, ChainStep, Stretch } from './chain-code.js';

/** From so many steps of float32 on, each of which a script rounds, lanes pay for copying. */
const LONG_FLOAT32 = 4;

/** Whether some step, or all of them, take so many instructions that lanes pay for copying. */
export function paysOnLanes(nodes: readonly Expr[]): boolean {
  const isLong = nodes.length >= LONG_FLOAT32 && nodes[0]!.dtype === 'float32';
  return isLong || nodes.some(({ op }) => op.program !== undefined);
}

/**
 * Nodes of one shape, inputs before consumers. Undefined where one of them has no form on lanes.
 * @param operands what they read from outside, in the order in which the loop takes it
 * @param outputs the nodes whose values are written
 */
export function chainCode(
  nodes: readonly Expr[],
  operands: ReadonlyMap<Expr, Stretch>,
  outputs: readonly Expr[],
): ChainCode | undefined {
  const numbers = new Map([...operands.keys()].map((expr, i) => [expr, i]));
  const steps: ChainStep[] = [];
  for (const node of nodes) {
    const form = cellForm(node.op);
    if (form === undefined) return undefined;
    steps.push({ form, inputs: node.inputs.map((input) => numbers.get(input)!) });
    numbers.set(node, numbers.size);
  }
  return {
    dtype: nodes[0]!.dtype,
    operands: [...operands.values()],
    steps,
    outputs: outputs.map((expr) => nodes.indexOf(expr)),
  };
}
