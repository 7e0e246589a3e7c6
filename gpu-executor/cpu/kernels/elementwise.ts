/**
 * One kernel maker for the whole element-wise family: a loop compiled for each operator and each
 * way of broadcasting and dtype. Compiling gives every operator its own loop, so the engine
 * inlines the operator's `cell` into it; a shared loop that calls `cell` as an argument measured 6
 * times slower once two operators had gone through it. Operators that are more than a few
 * instructions have a form on lanes as well, of the same bits.
 */
import type { DType } from '../../../driver/ir/dtype.js';
import type { Meta } from '../../../driver/ir/expr.js';
import type { OpDef } from '../../../driver/ir/op-def.js';
import { type Cells, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { cellForm } from '../../cell-forms.js';
import type { Stretch } from '../simd/chain-code.js';
import { type CellLoop, fitsTiles, tiledLoop } from '../simd/tiles.js';
import type { Kernel } from './kernel.js';

type Loop = (out: Cells, rows: number, cols: number, a: Cells, b: Cells, c: Cells) => void;

export function elementwiseKernel(op: OpDef): Kernel<Cells> {
  const loops = new Map<string, Loop>();
  const lanes = new Map<DType, CellLoop>();
  return {
    op,
    run: ({ inputs, out }, context) => {
      const cells = context.allocate(out.rows * out.cols, out.dtype);
      if (op.program !== undefined && fitsTiles(1, out.rows * out.cols)) {
        laneLoop(op, out.dtype, lanes)(cells, out.rows, out.cols, [inputs[0]!.data]);
        return dense(out.rows, out.cols, cells);
      }
      const stretches = inputs.map((input) => stretchOf(input, out.rows, out.cols));
      const key = `${out.dtype},${stretches.join()}`;
      let loop = loops.get(key);
      if (loop === undefined) {
        loop = compile(op, stretches);
        loops.set(key, loop);
      }
      const [a, b = a, c = a] = inputs as [DenseMatrix, DenseMatrix?, DenseMatrix?];
      loop(cells, out.rows, out.cols, a.data, b!.data, c!.data);
      return dense(out.rows, out.cols, cells);
    },
  };
}

/** Of an operator of one operand. @param loops those that are known, by dtype */
function laneLoop(op: OpDef, dtype: DType, loops: Map<DType, CellLoop>): CellLoop {
  let loop = loops.get(dtype);
  if (loop === undefined) {
    const steps = [{ form: cellForm(op)!, inputs: [0] }];
    loop = tiledLoop({ dtype, operands: ['full'], steps, outputs: [0] });
    loops.set(dtype, loop);
  }
  return loop;
}

export function stretchOf(input: Meta, rows: number, cols: number): Stretch {
  if (input.rows === rows && input.cols === cols) return 'full';
  if (input.rows * input.cols === 1) return 'scalar';
  return input.rows === rows ? 'column' : 'row';
}

function compile(op: OpDef, stretches: readonly Stretch[]): Loop {
  const names = ['a', 'b', 'c'].slice(0, stretches.length);
  const isFlat = stretches.every((stretch) => stretch === 'full' || stretch === 'scalar');
  const term = (stretch: Stretch, i: number): string => {
    if (stretch === 'scalar') return `${names[i]}0`;
    if (stretch === 'column') return `${names[i]}i`;
    return stretch === 'row' ? `${names[i]}[j]` : `${names[i]}[at]`;
  };
  const cell = `cell(${stretches.map(term).join(', ')})`;
  const declare = (wanted: Stretch, suffix: string, index: string): string =>
    stretches
      .map((stretch, i) =>
        stretch === wanted ? `const ${names[i]}${suffix} = ${names[i]}[${index}];` : '',
      )
      .join(' ');
  const body = isFlat
    ? `const cells = rows * cols; for (let at = 0; at < cells; at++) out[at] = ${cell};`
    : `let at = 0;
      for (let i = 0; i < rows; i++) {
        ${declare('column', 'i', 'i')}
        for (let j = 0; j < cols; j++, at++) out[at] = ${cell};
      }`;
  // The text holds nothing but the names above; the operator itself comes in as a function.
  const make = new Function(
    'cell',
    `return function ${op.name}Loop(out, rows, cols, a, b, c) {
      ${declare('scalar', '0', '0')}
      ${body}
    };`,
  ) as (cell: NonNullable<OpDef['cell']>) => Loop;
  return make(op.cell!);
}
