/** Expressions of a chain as the code of its loop on lanes. */
import type { Expr } from '../../../driver/ir/expr.js';
import type { ChainCode, ChainStep, Stretch } from './chain-code.js';
import { laneForm } from './forms.js';

/** Whether some step takes so many instructions that lanes pay for copying. */
export function hasPrograms(nodes: readonly Expr[]): boolean {
  return nodes.some(({ op }) => op.program !== undefined);
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
    const form = laneForm(node.op);
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
