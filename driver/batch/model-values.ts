/**
 * One value of each model of a stack, as data: the same for all, cells on the host side by side, or
 * nodes. Invariant: models are named by their number in the stack as it began; `of` gives a node of
 * just those asked for, in that order, so that models leave a stack by leaving the list.
 */
import type { BatchLayout, BatchValue } from '../ir/batch-rule.js';
import type { DType } from '../ir/dtype.js';
import type { Evaluator } from '../ir/evaluator.js';
import type { Expr } from '../ir/expr.js';
import type { LargeState } from '../ir/loop-end.js';
import { cellsOf, copyRun, type DenseMatrix, dense } from '../ir/value.js';
import { matrix } from '../matrix/create.js';
import { ops } from '../operators/index.js';
import { boundModels } from './transform.js';

export interface ModelValues {
  /** The value of these models. */
  of(models: readonly number[]): BatchValue;
  /** One value for all of these, several, where their cells are equal. */
  alike?(models: readonly number[]): BatchValue | undefined;
}

export function sharedValue(expr: Expr): ModelValues {
  return { of: () => ({ layout: 'shared', expr }) };
}

/** Cells on the host, columns of each model beside one another. */
export class HostColumns implements ModelValues {
  readonly #session: Evaluator;
  readonly value: DenseMatrix;
  /** Of one model. */
  readonly cols: number;

  constructor(session: Evaluator, value: DenseMatrix, cols: number) {
    this.#session = session;
    this.value = value;
    this.cols = cols;
  }

  /** One model's cells each. */
  static beside(session: Evaluator, parts: readonly DenseMatrix[]): HostColumns {
    const [first] = parts;
    const all = HostColumns.#empty(session, first!, parts.length);
    for (const [k, part] of parts.entries()) {
      all.set([k], new HostColumns(session, part, first!.cols), [0]);
    }
    return all;
  }

  /** A number each. */
  static ofNumbers(session: Evaluator, numbers: Float64Array): HostColumns {
    return new HostColumns(session, dense(1, numbers.length, numbers), 1);
  }

  static #empty(
    session: Evaluator,
    { rows, cols, dtype }: Pick<DenseMatrix, 'rows' | 'cols' | 'dtype'>,
    models: number,
  ): HostColumns {
    const cells = cellsOf(dtype, rows * cols * models);
    return new HostColumns(session, dense(rows, cols * models, cells), cols);
  }

  get dtype(): DType {
    return this.value.dtype;
  }

  get #models(): number {
    return this.value.cols / this.cols;
  }

  /** Takes the cells of models over from others, where they are in those places. */
  set(models: readonly number[], from: ModelValues, places: readonly number[]): void {
    const source = (from as HostColumns | SharedCells).value;
    const { cols, value } = this;
    const standing = from instanceof SharedCells ? places.map(() => 0) : places;
    for (const [k, length] of stretches(models, standing)) {
      const [read, written, cells] = [standing[k]! * cols, models[k]! * cols, length * cols];
      // All of both is one copy.
      const isWhole = cells === source.cols && cells === value.cols;
      const [rows, run] = isWhole ? [1, value.data.length] : [value.rows, cells];
      for (let i = 0; i < rows; i++) {
        const [start, target] = [i * source.cols + read, i * value.cols + written];
        copyRun(value.data, target, source.data, start, run);
      }
    }
  }

  /** Adds the places of models with a cell that is no number. */
  addNaN(places: Set<number>): void {
    const { cols, value } = this;
    const { data } = value;
    for (let at = 0; at < data.length; at++) {
      if (Number.isNaN(data[at])) places.add(Math.floor((at % value.cols) / cols));
    }
  }

  isAlike([first, ...others]: readonly number[]): boolean {
    const { cols, value } = this;
    for (let row = 0; row < value.data.length; row += value.cols) {
      const from = row + first! * cols;
      for (const other of others) {
        const to = row + other * cols;
        for (let j = 0; j < cols; j++) {
          if (!Object.is(value.data[from + j], value.data[to + j])) return false;
        }
      }
    }
    return true;
  }

  alike(models: readonly number[]): BatchValue | undefined {
    if (models.length === 1 || !this.isAlike(models)) return undefined;
    return new SharedCells(this.#session, this.endOf(models[0]!)).of();
  }

  /** The cells of these models. */
  pick(models: readonly number[]): HostColumns {
    const { rows, dtype } = this.value;
    const picked = HostColumns.#empty(
      this.#session,
      { rows, cols: this.cols, dtype },
      models.length,
    );
    picked.set([...models.keys()], this, models);
    return picked;
  }

  /** For the last state of each model. */
  toEnd(): HostColumns {
    return this.pick(Array.from({ length: this.#models }, (_, k) => k));
  }

  /** The cells of one. */
  endOf(model: number): DenseMatrix {
    return this.pick([model]).value;
  }

  of(models: readonly number[]): BatchValue {
    const isAll = models.length === this.#models && models.every((model, i) => model === i);
    const { value } = isAll ? this : this.pick(models);
    return { layout: 'columns', expr: matrix(this.#session, value, { copy: false }).expr };
  }
}

/** Cells on the host that all models of a stack have. */
export class SharedCells implements ModelValues {
  readonly #session: Evaluator;
  readonly value: DenseMatrix;

  constructor(session: Evaluator, value: DenseMatrix) {
    this.#session = session;
    this.value = value;
  }

  get dtype(): DType {
    return this.value.dtype;
  }

  get hasNaN(): boolean {
    return this.value.data.some(Number.isNaN);
  }

  pick(): SharedCells {
    return this;
  }

  /** The cells of one. */
  endOf(): DenseMatrix {
    const { rows, cols, data } = this.value;
    return dense(rows, cols, data.slice());
  }

  of(): BatchValue {
    return { layout: 'shared', expr: matrix(this.#session, this.value, { copy: false }).expr };
  }
}

/** A node of all models, or one node a model. */
export class NodeValues implements ModelValues {
  readonly #session: Evaluator;
  readonly #layout: Exclude<BatchLayout, 'shared'>;
  readonly #nodes: Expr | readonly Expr[];
  readonly #size: number;

  /** @param size columns, or rows of a stack, of one model */
  constructor(
    session: Evaluator,
    layout: Exclude<BatchLayout, 'shared'>,
    nodes: Expr | readonly Expr[],
    size: number,
  ) {
    this.#session = session;
    this.#layout = layout;
    this.#size = size;
    this.#nodes = nodes;
  }

  get dtype(): DType {
    return ('op' in this.#nodes ? this.#nodes : this.#nodes[0]!).dtype;
  }

  pick(models: readonly number[]): NodeValues {
    return new NodeValues(this.#session, this.#layout, this.of(models).expr, this.#size);
  }

  /** For the last state of each model. */
  toEnd(): Pieces {
    return new Pieces(this.#session);
  }

  /** The part of one, and what it is a part of. */
  endOf(model: number): LargeState {
    const nodes = this.#nodes;
    const { expr } = this.of([model]);
    return { expr, of: 'op' in nodes ? nodes : expr };
  }

  of(models: readonly number[]): BatchValue {
    const layout = this.#layout;
    const nodes = this.#nodes;
    const parts = 'op' in nodes ? this.#runs(nodes, models) : models.map((model) => nodes[model]!);
    return { layout, expr: boundModels(this.#session, layout, parts) };
  }

  /** Models that follow one another are one part. */
  #runs(whole: Expr, models: readonly number[]): Expr[] {
    const isColumns = this.#layout === 'columns';
    const all = (isColumns ? whole.cols : whole.rows) / this.#size;
    return runsOf(models).map(([from, to]) => {
      if (from === 0 && to === all) return whole;
      const range = [from * this.#size, to * this.#size] as const;
      const attrs = isColumns ? { rows: null, cols: range } : { rows: range, cols: null };
      return this.#session.intern(ops.slice, [whole], attrs);
    });
  }
}

/** Of each model its part of some node. */
export class Pieces implements ModelValues {
  readonly #session: Evaluator;
  readonly #places = new Map<number, { readonly from: ModelValues; readonly place: number }>();

  constructor(session: Evaluator) {
    this.#session = session;
  }

  set(models: readonly number[], from: ModelValues, places: readonly number[]): void {
    for (const [k, model] of models.entries()) this.#places.set(model, { from, place: places[k]! });
  }

  endOf(model: number): LargeState {
    const { from, place } = this.#places.get(model)!;
    return (from as NodeValues).endOf(place);
  }

  of(models: readonly number[]): BatchValue {
    const parts: Expr[] = [];
    for (let at = 0; at < models.length; ) {
      const { from } = this.#places.get(models[at]!)!;
      const places: number[] = [];
      for (; at < models.length; at++) {
        const next = this.#places.get(models[at]!)!;
        if (next.from !== from) break;
        places.push(next.place);
      }
      parts.push(from.of(places).expr);
    }
    return { layout: 'columns', expr: boundModels(this.#session, 'columns', parts) };
  }
}

function runsOf(models: readonly number[]): (readonly [from: number, to: number])[] {
  return stretches(models, models).map(([k, length]) => [models[k]!, models[k]! + length]);
}

/** Where both lists go up by one: first entry and length of each such part. */
function stretches(
  models: readonly number[],
  places: readonly number[],
): (readonly [first: number, length: number])[] {
  const found: [first: number, length: number][] = [];
  for (const [k, model] of models.entries()) {
    const last = found.at(-1);
    if (last && model === models[k - 1]! + 1 && places[k] === places[k - 1]! + 1) last[1]++;
    else found.push([k, 1]);
  }
  return found;
}
