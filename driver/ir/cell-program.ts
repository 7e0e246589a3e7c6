/**
 * A cell's value as a straight line of basic operations, written once over an arithmetic and run in
 * any: on numbers here, on several cells at a time in a backend. Invariant: every arithmetic does
 * exactly these IEEE 754 operations in this order (none contracted to a fused multiply-add), so a
 * cell has the same bits whoever computes it.
 */
import { endianness } from 'node:os';

/** The value of a cell from the operands' cells; those of fewer operands ignore the rest. */
export type Cell = (a: number, b: number, c: number) => number;

/** Basic operations on values `T` and conditions `C`. */
export interface CellArithmetic<T, C> {
  constant(value: number): T;
  add(a: T, b: T): T;
  sub(a: T, b: T): T;
  mul(a: T, b: T): T;
  div(a: T, b: T): T;
  neg(a: T): T;
  abs(a: T): T;
  sqrt(a: T): T;
  floor(a: T): T;
  ceil(a: T): T;
  /** The nearest whole number, ties to even; of cells below 2 ** 51. */
  nearest(a: T): T;
  /** As `Math.min`: NaN where either is. */
  min(a: T, b: T): T;
  max(a: T, b: T): T;
  /** `bound` where a is below it, else a: NaN stays. */
  atLeast(a: T, bound: T): T;
  atMost(a: T, bound: T): T;
  eq(a: T, b: T): C;
  ne(a: T, b: T): C;
  lt(a: T, b: T): C;
  le(a: T, b: T): C;
  both(a: C, b: C): C;
  either(a: C, b: C): C;
  /** a where the condition holds, else b. */
  select(condition: C, a: T, b: T): T;
  /** 1 where the condition holds, else 0. */
  truth(condition: C): T;
  /** 2 ** k for a whole k from -1022; Infinity for 1024. */
  pow2(k: T): T;
  /** e of a = m * 2 ** e with 1 <= m < 2, for a normal a above 0. */
  exponent(a: T): T;
  /** That m. */
  significand(a: T): T;
}

export type CellProgram = <T, C>(m: CellArithmetic<T, C>, a: T, b: T, c: T) => T;

/** The program on numbers. */
export function cellOf(program: CellProgram): Cell {
  const script = new ScriptArithmetic();
  const result = program(script, 'a', 'b', 'c');
  // The text holds nothing but names and numbers of the program's own.
  const make = new Function(
    ...['bits', 'words', 'powers'],
    `return function cell(a, b, c) { ${script.lines.join(' ')} return ${result}; };`,
  ) as (bits: Float64Array, words: Uint32Array, powers: Float64Array) => Cell;
  return make(bits, new Uint32Array(bits.buffer), powers);
}

const bits = new Float64Array(1);
/** The word of a float64 that has sign and exponent. */
const HIGH = endianness() === 'LE' ? 1 : 0;
/** 2 ** (i - 1022). */
const powers = Float64Array.from({ length: 2047 }, (_, i) => 2 ** (i - 1022));

/** Writes the program as a script: a value is the name of a constant or a literal. */
class ScriptArithmetic implements CellArithmetic<string, string> {
  readonly lines: string[] = [];

  constant(value: number): string {
    return Object.is(value, -0) ? '(-0)' : `(${value})`;
  }

  add = (a: string, b: string): string => this.#name(`${a} + ${b}`);
  sub = (a: string, b: string): string => this.#name(`${a} - ${b}`);
  mul = (a: string, b: string): string => this.#name(`${a} * ${b}`);
  div = (a: string, b: string): string => this.#name(`${a} / ${b}`);
  neg = (a: string): string => this.#name(`-${a}`);
  abs = (a: string): string => this.#name(`Math.abs(${a})`);
  sqrt = (a: string): string => this.#name(`Math.sqrt(${a})`);
  floor = (a: string): string => this.#name(`Math.floor(${a})`);
  ceil = (a: string): string => this.#name(`Math.ceil(${a})`);
  // The sum has no bits below 1; the machine rounds ties to even.
  nearest = (a: string): string => this.#name(`${a} + ${1.5 * 2 ** 52} - ${1.5 * 2 ** 52}`);
  min = (a: string, b: string): string => this.#name(`Math.min(${a}, ${b})`);
  max = (a: string, b: string): string => this.#name(`Math.max(${a}, ${b})`);
  atLeast = (a: string, b: string): string => this.#name(`${a} < ${b} ? ${b} : ${a}`);
  atMost = (a: string, b: string): string => this.#name(`${b} < ${a} ? ${b} : ${a}`);
  eq = (a: string, b: string): string => this.#name(`${a} === ${b}`);
  ne = (a: string, b: string): string => this.#name(`${a} !== ${b}`);
  lt = (a: string, b: string): string => this.#name(`${a} < ${b}`);
  le = (a: string, b: string): string => this.#name(`${a} <= ${b}`);
  both = (a: string, b: string): string => this.#name(`${a} && ${b}`);
  either = (a: string, b: string): string => this.#name(`${a} || ${b}`);
  select = (c: string, a: string, b: string): string => this.#name(`${c} ? ${a} : ${b}`);
  truth = (c: string): string => this.#name(`${c} ? 1 : 0`);
  // NaN takes any entry: what it is multiplied with is NaN too.
  pow2 = (k: string): string => this.#name(`powers[(${k} + 1022) | 0]`);

  exponent(a: string): string {
    this.lines.push(`bits[0] = ${a};`);
    return this.#name(`(words[${HIGH}] >>> 20) - 1023`);
  }

  significand(a: string): string {
    const high = `words[${HIGH}]`;
    this.lines.push(`bits[0] = ${a}; ${high} = (${high} & 0xfffff) | 0x3ff00000;`);
    return this.#name('bits[0]');
  }

  #name(expression: string): string {
    const name = `v${this.lines.length}`;
    this.lines.push(`const ${name} = ${expression};`);
    return name;
  }
}
