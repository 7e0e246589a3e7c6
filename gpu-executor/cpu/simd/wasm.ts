/**
 * Writes WebAssembly modules: one function `run` of 32-bit integers over an imported memory.
 * Source: WebAssembly Core Specification 2.0, chapter 5.
 */

/** What is used of the engine, whose types are not among Node's. */
export const engine = (
  globalThis as unknown as {
    WebAssembly: {
      Module: new (bytes: Uint8Array) => WasmModule;
      Instance: new (
        module: WasmModule,
        imports: { readonly m: { readonly memory: WasmMemory } },
      ) => { readonly exports: { readonly run: (...args: readonly number[]) => void } };
      Memory: new (pages: { readonly initial: number }) => WasmMemory;
    };
  }
).WebAssembly;

/** Compiled code, which threads may share. */
export interface WasmModule {
  readonly [Symbol.toStringTag]: string;
}

export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** Opcodes of single bytes. */
export const op = {
  block: 0x02,
  loop: 0x03,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  select: 0x1b,
  localGet: 0x20,
  localSet: 0x21,
  i32Load: 0x28,
  i32Const: 0x41,
  i32Eqz: 0x45,
  i32LtS: 0x48,
  i32LtU: 0x49,
  i32GtS: 0x4a,
  i32GeS: 0x4e,
  i32GeU: 0x4f,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32Mul: 0x6c,
  i32DivS: 0x6d,
  i32And: 0x71,
  i32Shl: 0x74,
} as const;

/** Opcodes of vectors of 128 bits, which follow the byte 0xfd. */
export const simd = {
  load: 0,
  load32Splat: 9,
  load64Splat: 10,
  store: 11,
  const: 12,
  shuffle: 13,
  and: 0x4e,
  andNot: 0x4f,
  or: 0x50,
  bitselect: 0x52,
  load32Lane: 0x56,
  load64Lane: 0x57,
  store32Lane: 0x5a,
  store64Lane: 0x5b,
  demote: 0x5e,
  promoteLow: 0x5f,
  i64Shl: 0xcb,
  i64ShrU: 0xcd,
} as const;

const I32 = 0x7f;
const V128 = 0x7b;
const EMPTY = 0x40;

/** Unsigned LEB128. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  do {
    const byte = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? byte : byte | 0x80);
  } while (rest !== 0);
  return bytes;
}

/** Signed LEB128. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    const isLast = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0);
    bytes.push(isLast ? byte : byte | 0x80);
    if (isLast) return bytes;
  }
}

/** The body of the function, and its locals: the parameters first. */
export class WasmFunction {
  readonly #parameters: number;
  readonly #locals: number[] = [];
  readonly #start: number[] = [];
  #code: number[] = [];

  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  integer(): number {
    return this.#parameters + this.#locals.push(I32) - 1;
  }

  vector(): number {
    return this.#parameters + this.#locals.push(V128) - 1;
  }

  get(...locals: readonly number[]): this {
    for (const local of locals) this.#code.push(op.localGet, ...unsigned(local));
    return this;
  }

  set(local: number): this {
    this.#code.push(op.localSet, ...unsigned(local));
    return this;
  }

  int(value: number): this {
    this.#code.push(op.i32Const, ...signed(value));
    return this;
  }

  do(...codes: readonly number[]): this {
    this.#code.push(...codes);
    return this;
  }

  /** Writes what runs once, before everything else. */
  atStart(write: (code: this) => void): void {
    const body = this.#code;
    this.#code = this.#start;
    write(this);
    this.#code = body;
  }

  /** A vector operation, with what follows its code. */
  simd(code: number, ...immediates: readonly number[]): this {
    this.#code.push(0xfd, ...unsigned(code), ...immediates);
    return this;
  }

  /** Loads from, or stores to, the address on the stack, which need not be aligned. */
  memory(code: number, ...lane: readonly number[]): this {
    return this.simd(code, 0, 0, ...lane);
  }

  /** Runs the body over and over, until it jumps to `exit`; it is not run where `exit` holds. */
  loopUntil(exit: () => void, body: () => void): void {
    this.do(op.block, EMPTY, op.loop, EMPTY);
    exit();
    this.do(op.brIf, 1);
    body();
    this.do(op.br, 0, op.end, op.end);
  }

  module(): Uint8Array<ArrayBuffer> {
    const section = (id: number, ...bytes: readonly number[]): number[] => [
      ...[id, ...unsigned(bytes.length)],
      ...bytes,
    ];
    const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
    const type = [0x60, ...unsigned(this.#parameters), ...Array(this.#parameters).fill(I32), 0];
    const locals = this.#locals.flatMap((kind) => [1, kind]);
    const body = [
      ...unsigned(this.#locals.length),
      ...locals,
      ...this.#start,
      ...this.#code,
      op.end,
    ];
    return Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, 1, ...type),
      ...section(2, 1, ...text('m'), ...text('memory'), 2, 0, 1),
      ...section(3, 1, 0),
      ...section(7, 1, ...text('run'), 0, 0),
      ...section(10, 1, ...unsigned(body.length), ...body),
    ]);
  }
}
