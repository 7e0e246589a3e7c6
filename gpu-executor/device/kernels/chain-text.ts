/**
 * A chain of cells as statements in C: what one cell of each node is, from the cells of the
 * operands that meet it. Numbers known to the plan are arguments, not operands. Kernels that
 * write the cells (`cells.ts`) and kernels that fold them (`reduce.ts`) put it in their loops.
 */
import type { DType } from '../../../driver/ir/dtype.js';
import type { Expr, Meta } from '../../../driver/ir/expr.js';
import { cellFunction, cType } from './cell-code.js';
import type { StepOperand } from './lowered.js';

export interface ChainText {
  readonly inputs: readonly Expr[];
  readonly dtype: DType;
  /** Of its nodes. */
  readonly shape: Meta;
  /** Functions of the operators. */
  readonly functions: string;
  /** Parameters of a kernel, each followed by a comma, and what to give for them. */
  readonly parameters: string;
  readonly operands: readonly StepOperand[];
  /** Statements over `at`, the number of the cell of type `place`, and `cols`. */
  readonly statements: string;
  /** The C name of a node's or an input's cell behind the statements. */
  readonly names: ReadonlyMap<Expr, string>;
}

/**
 * Cell-wise nodes, inputs before consumers, of the shape of `result`, which is one of them.
 * @returns undefined where an operator is none of cells, or shapes or dtypes of nodes differ
 */
export function chainText(nodes: readonly Expr[], result: Expr): ChainText | undefined {
  const { dtype, rows, cols } = result;
  const writer = new ChainWriter(result, dtype);
  for (const node of nodes) {
    const isSame = node.rows === rows && node.cols === cols && node.dtype === dtype;
    if (!isSame || !node.op.elementwise || !writer.add(node)) return undefined;
  }
  return writer.code();
}

/** An input that is one number, which the plan knows. */
export function numberOf({ op, attrs, rows, cols }: Expr): number | undefined {
  return rows * cols === 1 ? op.constant?.(attrs) : undefined;
}

class ChainWriter {
  readonly #shape: Meta;
  readonly #dtype: DType;
  readonly #inputs: Expr[] = [];
  readonly #functions = new Set<string>();
  readonly #operands: StepOperand[] = [];
  readonly #names = new Map<Expr, string>();
  #parameters = '';
  #statements = '';

  constructor(shape: Meta, dtype: DType) {
    this.#shape = shape;
    this.#dtype = dtype;
  }

  add(node: Expr): boolean {
    const operator = cellFunction(node.op, this.#dtype);
    if (operator === undefined) return false;
    this.#functions.add(operator.text);
    const operands = node.inputs.map((input) => this.#nameOf(input));
    this.#name(node, `${operator.name}(${operands.join(', ')})`);
    return true;
  }

  code(): ChainText {
    return {
      inputs: this.#inputs,
      dtype: this.#dtype,
      shape: this.#shape,
      functions: [...this.#functions].join(''),
      parameters: this.#parameters,
      operands: this.#operands,
      statements: this.#statements,
      names: this.#names,
    };
  }

  #nameOf(expr: Expr): string {
    const name = this.#names.get(expr);
    if (name !== undefined) return name;
    const type = cType(this.#dtype);
    const operand = this.#operands.length;
    const number = numberOf(expr);
    if (number !== undefined) {
      this.#parameters += `const ${type} n${operand}, `;
      this.#operands.push(type === 'float' ? { float32: number } : { float64: number });
      this.#names.set(expr, `n${operand}`);
      return `n${operand}`;
    }
    this.#parameters += `GLOBAL const ${type} *RESTRICT x${operand}, `;
    this.#operands.push({ input: this.#inputs.length });
    this.#inputs.push(expr);
    return this.#name(expr, `x${operand}[${this.#placeOf(expr)}]`);
  }

  #placeOf({ rows, cols }: Meta): string {
    if (rows === this.#shape.rows && cols === this.#shape.cols) return 'at';
    if (rows * cols === 1) return '0';
    return rows === 1 ? 'at % cols' : 'at / cols';
  }

  #name(expr: Expr, value: string): string {
    const name = `v${this.#names.size}`;
    this.#names.set(expr, name);
    this.#statements += `const ${cType(this.#dtype)} ${name} = ${value};\n`;
    return name;
  }
}

/** Divisions of numbers of cells are quicker in 32 bits. */
export function placeType(cells: number): 'uint32' | 'int64' {
  return cells < 2 ** 31 ? 'uint32' : 'int64';
}

/** Declares `cols` of the parameter `width` where statements of a chain need it. */
export function columnsIn(statements: string): string {
  return /\bcols\b/.test(statements) ? 'const place cols = (place)width;\n' : '';
}
