/**
 * A chain of cells as a WebAssembly function over row blocks in one memory: each operand is read
 * once a cell, what lies between the steps stays in registers, and only the outputs are written.
 * Cells that fill no vector at the end of a row are computed one at a time by the same operations.
 */
import type { DType } from '../../../driver/ir/dtype.js';
import type { CellForm } from '../../cell-forms.js';
import { Lanes } from './lanes.js';
import { op, simd, WasmFunction } from './wasm.js';

/**
 * How an operand meets the output: cell by cell, stretched down, stretched across, one cell, or by
 * rows that lie anywhere, of which the operand lists the addresses (integers of 32 bits).
 */
export type Stretch = 'full' | 'row' | 'column' | 'scalar' | 'taken';

export interface ChainStep {
  readonly form: CellForm;
  /** Numbers of operands, then of steps after them. */
  readonly inputs: readonly number[];
}

export interface ChainCode {
  readonly dtype: DType;
  readonly operands: readonly Stretch[];
  readonly steps: readonly ChainStep[];
  /** Numbers of the steps that are written. */
  readonly outputs: readonly number[];
}

/** `run(rows, cols, operands.., outputs..)`: addresses in bytes. */
export function chainModule(chain: ChainCode): Uint8Array<ArrayBuffer> {
  return new ChainWriter(chain).write();
}

const ROWS = 0;
const COLS = 1;
const FIRST_ADDRESS = 2;

class ChainWriter {
  readonly #chain: ChainCode;
  readonly #code: WasmFunction;
  readonly #lanes: Lanes;
  readonly #isWide: boolean;
  /** Base 2 logarithm of the bytes of a cell. */
  readonly #shift: number;
  /** By operand: the vector that holds it. */
  readonly #held: number[] = [];
  /** By operand, of taken ones: where its row lies. */
  readonly #taken: (number | undefined)[] = [];
  /** Bytes from the start of a matrix to the cell. */
  readonly #at: number;
  /** The same from the start of a row. */
  readonly #along: number;

  constructor(chain: ChainCode) {
    this.#chain = chain;
    this.#isWide = chain.dtype === 'float64';
    this.#shift = this.#isWide ? 3 : 2;
    this.#code = new WasmFunction(FIRST_ADDRESS + chain.operands.length + chain.outputs.length);
    this.#lanes = new Lanes(this.#code, this.#isWide);
    for (const [i, stretch] of chain.operands.entries()) {
      this.#held.push(this.#code.vector());
      if (stretch === 'taken') this.#taken[i] = this.#code.integer();
    }
    this.#at = this.#code.integer();
    this.#along = this.#code.integer();
  }

  write(): Uint8Array<ArrayBuffer> {
    this.#load('scalar', () => this.#code.int(0), true);
    const { operands } = this.#chain;
    if (operands.some((stretch) => stretch !== 'full' && stretch !== 'scalar')) this.#rows();
    else this.#row(() => this.#code.get(ROWS, COLS).do(op.i32Mul));
    return this.#code.module();
  }

  #rows(): void {
    const code = this.#code;
    const row = code.integer();
    code.loopUntil(
      () => code.get(row, ROWS).do(op.i32GeU),
      () => {
        this.#load('column', () => code.get(row).int(this.#shift).do(op.i32Shl), true);
        for (const [i, local] of this.#taken.entries()) {
          if (local === undefined) continue;
          code
            .get(row)
            .int(2)
            .do(op.i32Shl)
            .get(FIRST_ADDRESS + i)
            .do(op.i32Add);
          code.do(op.i32Load, 2, 0).set(local);
        }
        this.#row(() => code.get(COLS));
        code.get(row).int(1).do(op.i32Add).set(row);
      },
    );
  }

  /** Cells one after another: as vectors, then one by one. */
  #row(count: () => void): void {
    const code = this.#code;
    const end = code.integer();
    const last = code.integer();
    count();
    code.int(this.#shift).do(op.i32Shl).set(end);
    code.get(end).int(-16).do(op.i32And).set(last);
    code.int(0).set(this.#along);
    for (const [to, bytes] of [
      [last, 16],
      [end, 2 ** this.#shift],
    ] as const) {
      code.loopUntil(
        () => code.get(this.#along, to).do(op.i32GeU),
        () => {
          this.#cells(to === last);
          code.get(this.#along).int(bytes).do(op.i32Add).set(this.#along);
          code.get(this.#at).int(bytes).do(op.i32Add).set(this.#at);
        },
      );
    }
  }

  #cells(isVector: boolean): void {
    const { operands, steps, outputs } = this.#chain;
    this.#load('full', () => this.#code.get(this.#at), !isVector);
    this.#load('row', () => this.#code.get(this.#along), !isVector);
    this.#load('taken', () => this.#code.get(this.#along), !isVector);
    const values = [...this.#held];
    for (const { form, inputs } of steps) {
      const own = inputs.map((input) => values[input]!);
      const [a, b = a, c = a] = own as [number, number?, number?];
      const isNative = this.#isWide || form.isExact;
      values.push(
        isNative ? form.program(this.#lanes, a, b!, c!) : this.#lanes.widened(form.program, own),
      );
    }
    for (const [i, step] of outputs.entries()) {
      const address = FIRST_ADDRESS + operands.length + i;
      this.#code
        .get(address, this.#at)
        .do(op.i32Add)
        .get(values[operands.length + step]!);
      if (isVector) this.#code.memory(simd.store);
      else this.#code.memory(this.#isWide ? simd.store64Lane : simd.store32Lane, 0);
    }
  }

  /** Reads the operands of that stretch. @param isSplat one cell into every lane */
  #load(wanted: Stretch, address: () => void, isSplat: boolean): void {
    const splat = this.#isWide ? simd.load64Splat : simd.load32Splat;
    for (const [i, stretch] of this.#chain.operands.entries()) {
      if (stretch !== wanted) continue;
      this.#code.get(this.#taken[i] ?? FIRST_ADDRESS + i);
      address();
      this.#code
        .do(op.i32Add)
        .memory(isSplat ? splat : simd.load)
        .set(this.#held[i]!);
    }
  }
}
