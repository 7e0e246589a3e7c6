/**
 * Cell programs on lanes: two cells of float64 or four of float32 at a time. Invariant: each
 * operation is the IEEE 754 one of its `CellArithmetic`, so lanes have the bits of the script.
 */
import type { CellArithmetic, CellProgram } from '../../../driver/ir/cell-program.js';
import { simd, type WasmFunction } from './wasm.js';

/** Opcodes that both widths have. */
interface Codes {
  readonly add: number;
  readonly sub: number;
  readonly mul: number;
  readonly div: number;
  readonly neg: number;
  readonly abs: number;
  readonly sqrt: number;
  readonly floor: number;
  readonly ceil: number;
  readonly nearest: number;
  readonly min: number;
  readonly max: number;
  readonly atMost: number;
  readonly atLeast: number;
  readonly eq: number;
  readonly ne: number;
  readonly lt: number;
  readonly le: number;
}

const DOUBLES: Codes = {
  ...{ add: 0xf0, sub: 0xf1, mul: 0xf2, div: 0xf3, neg: 0xed, abs: 0xec, sqrt: 0xef },
  ...{ floor: 0x75, ceil: 0x74, nearest: 0x94, min: 0xf4, max: 0xf5, atMost: 0xf6, atLeast: 0xf7 },
  ...{ eq: 0x47, ne: 0x48, lt: 0x49, le: 0x4b },
};

const SINGLES: Codes = {
  ...{ add: 0xe4, sub: 0xe5, mul: 0xe6, div: 0xe7, neg: 0xe1, abs: 0xe0, sqrt: 0xe3 },
  ...{ floor: 0x68, ceil: 0x67, nearest: 0x6a, min: 0xe8, max: 0xe9, atMost: 0xea, atLeast: 0xeb },
  ...{ eq: 0x41, ne: 0x42, lt: 0x43, le: 0x45 },
};

/** The bits of a significand. */
const LOW = 2n ** 52n - 1n;

/** Values and conditions are vector locals; a condition has all bits of its lanes set or none. */
export class Lanes implements CellArithmetic<number, number> {
  readonly #code: WasmFunction;
  readonly #codes: Codes;
  readonly #isWide: boolean;
  readonly #constants: Map<string, number>;

  /** @param constants by bit pattern, the locals that hold them; set by `constants` */
  constructor(code: WasmFunction, isWide: boolean, constants = new Map<string, number>()) {
    this.#code = code;
    this.#isWide = isWide;
    this.#codes = isWide ? DOUBLES : SINGLES;
    this.#constants = constants;
  }

  constant(value: number): number {
    const cells = this.#isWide ? Float64Array.of(value, value) : new Float32Array(4).fill(value);
    return this.#bits(new Uint8Array(cells.buffer));
  }

  add = (a: number, b: number): number => this.#two(this.#codes.add, a, b);
  sub = (a: number, b: number): number => this.#two(this.#codes.sub, a, b);
  mul = (a: number, b: number): number => this.#two(this.#codes.mul, a, b);
  div = (a: number, b: number): number => this.#two(this.#codes.div, a, b);
  min = (a: number, b: number): number => this.#two(this.#codes.min, a, b);
  max = (a: number, b: number): number => this.#two(this.#codes.max, a, b);
  atMost = (a: number, bound: number): number => this.#two(this.#codes.atMost, a, bound);
  atLeast = (a: number, bound: number): number => this.#two(this.#codes.atLeast, a, bound);
  eq = (a: number, b: number): number => this.#two(this.#codes.eq, a, b);
  ne = (a: number, b: number): number => this.#two(this.#codes.ne, a, b);
  lt = (a: number, b: number): number => this.#two(this.#codes.lt, a, b);
  le = (a: number, b: number): number => this.#two(this.#codes.le, a, b);
  both = (a: number, b: number): number => this.#two(simd.and, a, b);
  either = (a: number, b: number): number => this.#two(simd.or, a, b);
  neg = (a: number): number => this.#one(this.#codes.neg, a);
  abs = (a: number): number => this.#one(this.#codes.abs, a);
  sqrt = (a: number): number => this.#one(this.#codes.sqrt, a);
  floor = (a: number): number => this.#one(this.#codes.floor, a);
  ceil = (a: number): number => this.#one(this.#codes.ceil, a);
  nearest = (a: number): number => this.#one(this.#codes.nearest, a);

  select(condition: number, a: number, b: number): number {
    this.#code.get(a, b, condition).simd(simd.bitselect);
    return this.#keep();
  }

  truth(condition: number): number {
    return this.#two(simd.and, condition, this.constant(1));
  }

  // A sum of 2 ** 52 and a whole number has that number in its last bits.
  pow2(k: number): number {
    this.#code.get(this.add(k, this.constant(2 ** 52 + 1023))).int(52);
    this.#code.simd(simd.i64Shl);
    return this.#keep();
  }

  exponent(a: number): number {
    this.#code.get(a).int(52).simd(simd.i64ShrU);
    const written = this.#two(simd.or, this.#keep(), this.constant(2 ** 52));
    return this.sub(written, this.constant(2 ** 52 + 1023));
  }

  significand(a: number): number {
    const mask = this.#bits(new Uint8Array(BigUint64Array.of(LOW, LOW).buffer));
    return this.#two(simd.or, this.#two(simd.and, a, mask), this.constant(1));
  }

  /** The program in float64 over the float32 lanes, its results rounded. */
  widened(program: CellProgram, operands: readonly number[]): number {
    const wide = new Lanes(this.#code, true, this.#constants);
    const pairs = operands.map((a) => this.promoted(a));
    const half = (which: 0 | 1): number => {
      const [a, b = a, c = a] = pairs.map((pair) => pair[which]) as [number, number?, number?];
      return program(wide, a, b!, c!);
    };
    return this.demoted([half(0), half(1)]);
  }

  /** Float32 lanes as two pairs of float64. */
  promoted(a: number): readonly [low: number, high: number] {
    return [this.#one(simd.promoteLow, a), this.#one(simd.promoteLow, this.#halves(a, a, 8))];
  }

  /** Two pairs of float64, rounded to float32 lanes. */
  demoted([low, high]: readonly [low: number, high: number]): number {
    return this.#halves(this.#one(simd.demote, low), this.#one(simd.demote, high), 0);
  }

  /** Eight bytes of each, from that byte on. */
  #halves(a: number, b: number, from: number): number {
    const bytes = Array.from({ length: 16 }, (_, i) => (i < 8 ? from + i : 16 + from + i - 8));
    this.#code.get(a, b).simd(simd.shuffle, ...bytes);
    return this.#keep();
  }

  #bits(pattern: Uint8Array): number {
    const key = pattern.join();
    let local = this.#constants.get(key);
    if (local === undefined) {
      local = this.#code.vector();
      this.#constants.set(key, local);
      this.#code.atStart((code) => code.simd(simd.const, ...pattern).set(local!));
    }
    return local;
  }

  #one(code: number, a: number): number {
    this.#code.get(a).simd(code);
    return this.#keep();
  }

  #two(code: number, a: number, b: number): number {
    this.#code.get(a, b).simd(code);
    return this.#keep();
  }

  #keep(): number {
    const local = this.#code.vector();
    this.#code.set(local);
    return local;
  }
}
