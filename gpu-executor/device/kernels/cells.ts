/**
 * Cells computed one by one: a kernel for each form of chain, and one for each dtype that computes
 * any single operator, since a switch that all items take alike costs less than compiling.
 */
import type { DType } from '../../../driver/ir/dtype.js';
import type { Expr, Meta } from '../../../driver/ir/expr.js';
import { ops } from '../../../driver/operators/index.js';
import { type CellFunction, cellFunction, cType, parameterNames } from './cell-code.js';
import { chainText, columnsIn, numberOf, placeType } from './chain-text.js';
import {
  integer,
  itemsStep,
  type Lowered,
  long,
  loweredNode,
  type StepOperand,
} from './lowered.js';

/** Cell-wise nodes of one shape, of which `outputs` are written. */
export function lowerCells(nodes: readonly Expr[], outputs: readonly Expr[]): Lowered | undefined {
  const [shape] = outputs as readonly [Expr];
  const chain = chainText(nodes, shape);
  if (chain === undefined) return undefined;
  const type = cType(chain.dtype);
  const cells = shape.rows * shape.cols;
  const parameters = outputs.map((_, i) => `GLOBAL ${type} *RESTRICT y${i}, `).join('');
  const writes = outputs.map((output, i) => `y${i}[at] = ${chain.names.get(output)};`).join('\n');
  const source = `typedef ${placeType(cells)} place;
${chain.functions}KERNEL void chain(${chain.parameters}${parameters}const int64 cells,
    const int64 width) {
const place at = (place)GLOBAL_ID(0);
if (at >= (place)cells) return;
${columnsIn(chain.statements)}${chain.statements}${writes}
}
`;
  const operands = [...chain.operands, ...outputs.map((_, output) => ({ output }))];
  const sizes = [long(cells), long(shape.cols)];
  const steps = [itemsStep({ name: 'chain', source }, [...operands, ...sizes], cells)];
  return { inputs: chain.inputs, outputs, steps, scratchBytes: [] };
}

/** One cell-wise node; numbers known to the plan are no operands of a kernel, but of a chain. */
export function lowerCell(expr: Expr): Lowered | undefined {
  if (cellFunction(expr.op, expr.dtype) === undefined) return undefined;
  if (expr.inputs.some((input) => numberOf(input) !== undefined)) return lowerCells([expr], [expr]);
  const operands = expr.inputs.map((input, i) => ({ meta: input, operand: { input: i } }));
  return loweredNode(expr, [cellStep(expr.op.name, operands, { output: 0 }, expr)]);
}

interface CellOperand {
  readonly meta: Meta;
  readonly operand: StepOperand;
}

/** A step that computes one operator over operands that broadcast to `shape`. */
export function cellStep(
  op: string,
  operands: readonly CellOperand[],
  out: StepOperand,
  shape: Meta & { readonly dtype: DType },
) {
  const { rows, cols, dtype } = shape;
  const table = tableOf(dtype);
  const [a, b = unread(a!), c = unread(a!)] = operands;
  const read = [a!, b, c].flatMap(({ meta, operand }) => [
    operand,
    long(meta.rows === 1 ? 0 : meta.cols),
    long(meta.cols === 1 ? 0 : 1),
  ]);
  const code = { name: 'cells', source: table.source };
  const sizes = [integer(table.numbers.get(op)!), long(rows * cols), long(cols)];
  return itemsStep(code, [...read, out, ...sizes], rows * cols);
}

/** Every item reads the first cell, which costs nothing. */
function unread({ operand }: CellOperand): CellOperand {
  return { operand, meta: { rows: 1, cols: 1 } };
}

interface OperatorTable {
  readonly source: string;
  readonly numbers: ReadonlyMap<string, number>;
}

const tables = new Map<DType, OperatorTable>();

function tableOf(dtype: DType): OperatorTable {
  let table = tables.get(dtype);
  if (table === undefined) {
    table = writeTable(dtype);
    tables.set(dtype, table);
  }
  return table;
}

function writeTable(dtype: DType): OperatorTable {
  const numbers = new Map<string, number>();
  const all: CellFunction[] = [];
  for (const op of Object.values(ops)) {
    const own = op.elementwise ? cellFunction(op, dtype) : undefined;
    if (own === undefined) continue;
    numbers.set(op.name, all.length);
    all.push(own);
  }
  const cases = all.map(({ name, arity }, i) => {
    return `case ${i}: v = ${name}(${parameterNames(arity).join(', ')}); break;\n`;
  });
  const type = cType(dtype);
  const operand = (x: string): string =>
    `GLOBAL const ${type} *RESTRICT ${x}, const int64 ${x}_row, const int64 ${x}_col, `;
  const source = `${all.map(({ text }) => text).join('')}
KERNEL void cells(${operand('x')}${operand('y')}${operand('z')}
    GLOBAL ${type} *RESTRICT out, const int op, const int64 cells, const int64 cols) {
  const int64 at = GLOBAL_ID(0);
  if (at >= cells) return;
  const int64 i = cells < 0x7fffffff ? (int64)((uint32)at / (uint32)cols) : at / cols;
  const int64 j = at - i * cols;
  const ${type} a = x[i * x_row + j * x_col];
  const ${type} b = y[i * y_row + j * y_col];
  const ${type} c = z[i * z_row + j * z_col];
  ${type} v = a;
  switch (op) {
${cases.join('')}  }
  out[at] = v;
}
`;
  return { source, numbers };
}
