/**
 * Cell-by-cell nodes as one loop of script: each operand is read once a cell, what lies between the
 * steps stays in registers, and only the outputs are written.
 */
import type { Expr } from '../../../driver/ir/expr.js';
import type { OpDef } from '../../../driver/ir/op-def.js';
import type { Cells } from '../../../driver/ir/value.js';
import { cast } from '../../../driver/operators/cast.js';
import type { Stretch } from '../simd/chain-code.js';

type Cell = NonNullable<OpDef['cell']>;

export type ScriptLoop = (
  outs: readonly Cells[],
  rows: number,
  cols: number,
  operands: readonly Cells[],
) => void;

/** Whether an operator does nothing but what every step of a loop does: round to its dtype. */
export function isRounding(op: OpDef): boolean {
  return op === cast;
}

/**
 * @param nodes of one shape, inputs before consumers, each an operator of cells or a rounding
 * @param operands what they read from outside, in the order in which the loop takes it
 * @param outputs the nodes whose values are written, in the order of `outs`
 */
export function scriptLoop(
  nodes: readonly Expr[],
  operands: ReadonlyMap<Expr, Stretch>,
  outputs: readonly Expr[],
): ScriptLoop {
  const names = new Map<Expr, string>([...operands.keys()].map((input, i) => [input, `x${i}`]));
  const stretches = [...operands.values()];
  const take = (wanted: Stretch, index: string): string =>
    stretches
      .map((stretch, i) => (stretch === wanted ? `const x${i} = operands${i}[${index}];` : ''))
      .join(' ');
  const steps = nodes
    .map((node, i) => {
      names.set(node, `v${i}`);
      const own = node.inputs.map((input) => names.get(input)).join(', ');
      const cell = isRounding(node.op) ? own : `cell${i}(${own})`;
      return `const v${i} = ${node.dtype === 'float32' ? `Math.fround(${cell})` : cell};`;
    })
    .join('\n');
  const writes = outputs.map((node, i) => `outs${i}[at] = ${names.get(node)};`).join(' ');
  const body = stretches.some((stretch) => stretch === 'row' || stretch === 'column')
    ? `let at = 0;
      for (let i = 0; i < rows; i++) {
        ${take('column', 'i')}
        for (let j = 0; j < cols; j++, at++) {
          ${take('full', 'at')} ${take('row', 'j')} ${steps} ${writes}
        }
      }`
    : `const cells = rows * cols;
      for (let at = 0; at < cells; at++) { ${take('full', 'at')} ${steps} ${writes} }`;
  // The text holds nothing but the names above; the operators come in as functions, which the
  // engine inlines.
  const make = new Function(
    ...nodes.map((_, i) => `cell${i}`),
    `return function cellChain(outs, rows, cols, operands) {
      ${outputs.map((_, i) => `const outs${i} = outs[${i}];`).join(' ')}
      ${stretches.map((_, i) => `const operands${i} = operands[${i}];`).join(' ')}
      ${take('scalar', '0')}
      ${body}
    };`,
  ) as (...cells: readonly (Cell | undefined)[]) => ScriptLoop;
  return make(...nodes.map(({ op }) => op.cell));
}
