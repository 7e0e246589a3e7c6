/**
 * A reduction over consecutive parts of the rows that also leaves the result of each part.
 * Invariant: every part is reduced by a reducer of its own over rows numbered from the data's
 * first, and the result is the parts' combined in order.
 */

import type { SegmentPart } from '../../driver/backend/backend.js';
import { InternalError } from '../../driver/errors.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { BlockContext } from '../../driver/ir/op-def.js';
import {
  type Cells,
  converted,
  type DenseMatrix,
  type Float64Matrix,
  rowsView,
} from '../../driver/ir/value.js';
import type { Reducer } from './kernels/kernel.js';

export class PartReducer implements Reducer<Cells> {
  readonly parts: readonly SegmentPart[];
  /** By part, complete once `result` was asked for. */
  readonly results: DenseMatrix[] = [];
  readonly #expr: Expr;
  readonly #make: () => Reducer<Cells>;
  readonly #blocked: readonly boolean[];
  #open: Reducer<Cells> | undefined;

  constructor(expr: Expr, parts: readonly SegmentPart[], make: () => Reducer<Cells>) {
    this.#expr = expr;
    this.parts = parts;
    this.#make = make;
    this.#blocked = expr.op.rowRule(expr.inputs, expr.attrs).blocked;
  }

  async add(inputs: readonly DenseMatrix[], block: BlockContext): Promise<void> {
    const end = block.rowOffset + block.rows;
    for (let row = block.rowOffset; row < end; ) {
      const { to } = this.#part;
      const rows = Math.min(end, to) - row;
      const first = row - block.rowOffset;
      const own = inputs.map((input, i) =>
        this.#blocked[i] && rows < block.rows ? rowsView(input, first, first + rows) : input,
      );
      this.#open ??= this.#make();
      await this.#open.add(own, { rowOffset: row, rows });
      row += rows;
      if (row === to) await this.#close();
    }
  }

  async result(): Promise<DenseMatrix> {
    const { op, attrs } = this.#expr;
    const [first, ...rest] = this.results;
    if (first === undefined || this.results.length !== this.parts.length || !op.combine) {
      throw new InternalError(
        `${op.name}: expected ${this.parts.length} parts, got ${this.results.length}`,
      );
    }
    const wide = (part: DenseMatrix): Float64Matrix => converted(part, 'float64');
    const combined = rest.reduce<Float64Matrix>(
      (total, part) => op.combine!(total, wide(part), attrs),
      wide(first),
    );
    return converted(combined, this.#expr.dtype);
  }

  get #part(): SegmentPart {
    const part = this.parts[this.results.length];
    if (part === undefined) {
      throw new InternalError(`${this.#expr.op.name}: expected no rows after the last part`);
    }
    return part;
  }

  async #close(): Promise<void> {
    this.results.push(await this.#open!.result());
    this.#open = undefined;
  }
}
