/**
 * Operators on cells as functions in C, written from the one definition that lanes and scripts have
 * too. Invariant: the operations are those of the program, in its order and in float64 unless the
 * operator is exact, so a cell has the same bits as on the host (`pow` within its last digits).
 */
import type { CellArithmetic, CellProgram } from '../../../driver/ir/cell-program.js';
import type { DType } from '../../../driver/ir/dtype.js';
import type { OpDef } from '../../../driver/ir/op-def.js';
import * as cells from '../../../driver/operators/cells.js';
import { cellForm } from '../../cell-forms.js';

export interface CellFunction {
  readonly name: string;
  readonly arity: number;
  readonly text: string;
}

/** How a dtype is called in C. */
export function cType(dtype: DType): 'double' | 'float' {
  return dtype === 'float32' ? 'float' : 'double';
}

const sources = { float64: new Map<string, string>(), float32: new Map<string, string>() };

/**
 * A text over cells of that dtype, which it calls `cell`. The same string each time: kernels are
 * found by their source at every launch, and a string that was written anew is hashed anew.
 */
export function cellSource(text: string, dtype: DType): string {
  let source = sources[dtype].get(text);
  if (source === undefined) {
    source = `typedef ${cType(dtype)} cell;\n${text}`;
    sources[dtype].set(text, source);
  }
  return source;
}

/** What C has under its own name where there is no program, in float64. */
const ofLibrary = new Map<OpDef, (name: string) => string>([
  [
    // What is rounded to 0 from below is 0.
    cells.round,
    (name) => body(name, 1, 'const double r = rint(a); return r == 0.0 && a != 0.0 ? 0.0 : r;'),
  ],
  [
    cells.mod,
    (name) =>
      body(
        name,
        2,
        'const double r = fmod(a, b); return r != 0.0 && (r < 0.0) != (b < 0.0) ? r + b : r;',
      ),
  ],
  [
    // C gives 1 for 1 ** NaN and for (+-1) ** (+-Infinity).
    cells.pow,
    (name) =>
      body(
        name,
        2,
        'return b != b || (fabs(a) == 1.0 && fabs(b) == INFINITE) ? NOT_A_NUMBER : pow(a, b);',
      ),
  ],
]);

const functions = new Map<string, CellFunction | undefined>();

/** Of cells of that dtype; undefined for an operator that has none. */
export function cellFunction(op: OpDef, dtype: DType): CellFunction | undefined {
  const key = `${op.id} ${dtype}`;
  if (!functions.has(key)) functions.set(key, written(op, dtype));
  return functions.get(key);
}

function written(op: OpDef, dtype: DType): CellFunction | undefined {
  const name = `${op.name}_${cType(dtype)}`;
  const arity = op.arity.max;
  const form = cellForm(op);
  const native = ofLibrary.get(op);
  if (form === undefined && native === undefined) return undefined;
  if (form?.isExact) {
    return { name, arity, text: programText(name, arity, form.program, cType(dtype)) };
  }
  const wideName = `${op.name}_double`;
  const wide =
    form === undefined ? native!(wideName) : programText(wideName, arity, form.program, 'double');
  if (dtype === 'float64') return { name, arity, text: wide };
  const call = `return (float)${wideName}(${parameterNames(arity).join(', ')});`;
  return { name, arity, text: `${wide}${body(name, arity, call, 'float')}` };
}

/** What its parameters are called. */
export function parameterNames(arity: number): readonly string[] {
  return ['a', 'b', 'c'].slice(0, arity);
}

function body(name: string, arity: number, statements: string, type = 'double'): string {
  const parameters = parameterNames(arity).map((one) => `const ${type} ${one}`);
  return `FUNCTION ${type} ${name}(${parameters.join(', ')}) { ${statements} }\n`;
}

function programText(
  name: string,
  arity: number,
  program: CellProgram,
  type: 'double' | 'float',
): string {
  const writer = new CArithmetic(type);
  const result = program(writer, 'a', 'b', 'c');
  return body(name, arity, `${writer.lines.join(' ')} return ${result};`, type);
}

/** A number as C reads it back to the same bits. */
export function cNumber(value: number, type: 'double' | 'float'): string {
  if (Number.isNaN(value)) return 'NOT_A_NUMBER';
  if (!Number.isFinite(value)) return value > 0 ? 'INFINITE' : '-INFINITE';
  const text = Object.is(value, -0) ? '-0' : String(value);
  return `(${/[.e]/.test(text) ? text : `${text}.0`}${type === 'float' ? 'f' : ''})`;
}

/** Writes a program as C: a value is the name of a constant or a literal, a condition an `int`. */
class CArithmetic implements CellArithmetic<string, string> {
  readonly lines: string[] = [];
  readonly #type: 'double' | 'float';

  constructor(type: 'double' | 'float') {
    this.#type = type;
  }

  constant = (value: number): string => cNumber(value, this.#type);
  add = (a: string, b: string): string => this.#value(`${a} + ${b}`);
  sub = (a: string, b: string): string => this.#value(`${a} - ${b}`);
  mul = (a: string, b: string): string => this.#value(`${a} * ${b}`);
  div = (a: string, b: string): string => this.#value(`${a} / ${b}`);
  neg = (a: string): string => this.#value(`-${a}`);
  abs = (a: string): string => this.#value(`fabs(${a})`);
  sqrt = (a: string): string => this.#value(`sqrt(${a})`);
  floor = (a: string): string => this.#value(`floor(${a})`);
  ceil = (a: string): string => this.#value(`ceil(${a})`);
  nearest = (a: string): string => this.#value(`rint(${a})`);
  min = (a: string, b: string): string => this.#value(`LEAST(${a}, ${b})`);
  max = (a: string, b: string): string => this.#value(`GREATEST(${a}, ${b})`);
  atLeast = (a: string, b: string): string => this.#value(`${a} < ${b} ? ${b} : ${a}`);
  atMost = (a: string, b: string): string => this.#value(`${b} < ${a} ? ${b} : ${a}`);
  eq = (a: string, b: string): string => this.#condition(`${a} == ${b}`);
  ne = (a: string, b: string): string => this.#condition(`${a} != ${b}`);
  lt = (a: string, b: string): string => this.#condition(`${a} < ${b}`);
  le = (a: string, b: string): string => this.#condition(`${a} <= ${b}`);
  both = (a: string, b: string): string => this.#condition(`${a} && ${b}`);
  either = (a: string, b: string): string => this.#condition(`${a} || ${b}`);
  select = (c: string, a: string, b: string): string => this.#value(`${c} ? ${a} : ${b}`);
  truth = (c: string): string => this.select(c, this.constant(1), this.constant(0));

  // A sum of 2 ** 52 and a whole number has that number in its last bits.
  pow2 = (k: string): string =>
    this.#value(`DOUBLE_OF_BITS(BITS_OF_DOUBLE(${k} + ${2 ** 52 + 1023}.0) << 52)`);

  exponent = (a: string): string =>
    this.#value(`(double)((int)(BITS_OF_DOUBLE(${a}) >> 52) - 1023)`);

  significand(a: string): string {
    const bits = `(BITS_OF_DOUBLE(${a}) & 0xfffffffffffffUL) | 0x3ff0000000000000UL`;
    return this.#value(`DOUBLE_OF_BITS(${bits})`);
  }

  #value(expression: string): string {
    return this.#name(this.#type, expression);
  }

  #condition(expression: string): string {
    return this.#name('int', expression);
  }

  #name(type: string, expression: string): string {
    const name = `v${this.lines.length}`;
    this.lines.push(`const ${type} ${name} = ${expression};`);
    return name;
  }
}
