/**
 * One value of each model of a stack, as data: the same for all, cells on the host side by side, or
 * a node of all models. Invariant: models are named by their number in the stack as it began; `of`
 * gives a node of just those asked for, in that order, so that models leave a stack by leaving the
 * list.
 */
import type { BatchLayout, BatchValue } from '../ir/batch-rule.js';
import type { DType } from '../ir/dtype.js';
import type { Evaluator } from '../ir/evaluator.js';
import type { Expr } from '../ir/expr.js';
import { type Cells, cellsOf, type DenseMatrix, dense } from '../ir/value.js';
import { matrix } from '../matrix/create.js';
import { ops } from '../operators/index.js';

export interface ModelValues {
  /** The value of these models. */
  of(models: readonly number[]): BatchValue;
}

export function sharedValue(expr: Expr): ModelValues {
  return { of: () => ({ layout: 'shared', expr }) };
}

/** Cells on the host, columns of each model beside one another. */
export class HostColumns implements ModelValues {
  readonly #session: Evaluator;
  readonly rows: number;
  readonly cols: number;
  readonly models: number;
  readonly dtype: DType;
  readonly data: Cells;

  /** @param cols columns of one model */
  constructor(session: Evaluator, value: DenseMatrix, cols: number) {
    this.#session = session;
    this.rows = value.rows;
    this.cols = cols;
    this.models = value.cols / cols;
    this.dtype = value.dtype;
    this.data = value.data;
  }

  /** One model's cells each. */
  static beside(session: Evaluator, parts: readonly DenseMatrix[]): HostColumns {
    const { rows, cols, dtype } = parts[0]!;
    const width = cols * parts.length;
    const value = dense(rows, width, cellsOf(dtype, rows * width));
    const all = new HostColumns(session, value, cols);
    for (const [k, part] of parts.entries()) all.copy(new HostColumns(session, part, cols), 0, k);
    return all;
  }

  /** Column ranges of `from`, given by place, written over those of `to`. */
  copy(from: HostColumns, place: number, to: number): void {
    const { rows, cols } = this;
    const [stride, width] = [from.models * cols, this.models * cols];
    for (let i = 0; i < rows; i++) {
      const start = i * stride + place * cols;
      const target = i * width + to * cols;
      if (cols === 1) this.data[target] = from.data[start]!;
      else this.data.set(from.data.subarray(start, start + cols), target);
    }
  }

  /** The cells of these models. */
  pick(models: readonly number[]): HostColumns {
    const { rows, cols, dtype } = this;
    const cells = cellsOf(dtype, rows * cols * models.length);
    const picked = new HostColumns(this.#session, dense(rows, cols * models.length, cells), cols);
    for (const [place, model] of models.entries()) picked.copy(this, model, place);
    return picked;
  }

  of(models: readonly number[]): BatchValue {
    const isAll = models.length === this.models && models.every((model, i) => model === i);
    const { rows, cols, data } = isAll ? this : this.pick(models);
    const value = dense(rows, cols * models.length, data);
    return { layout: 'columns', expr: matrix(this.#session, value, { copy: false }).expr };
  }
}

/** A node of all models, or one node a model. */
export class NodeValues implements ModelValues {
  readonly #session: Evaluator;
  readonly #layout: Exclude<BatchLayout, 'shared'>;
  readonly #whole: Expr | undefined;
  readonly #parts: readonly Expr[];
  readonly #size: number;

  /** @param size columns, or rows of a stack, of one model */
  constructor(
    session: Evaluator,
    layout: Exclude<BatchLayout, 'shared'>,
    value: Expr | readonly Expr[],
    size: number,
  ) {
    this.#session = session;
    this.#layout = layout;
    this.#size = size;
    this.#whole = 'op' in value ? value : undefined;
    this.#parts = 'op' in value ? [] : value;
  }

  of(models: readonly number[]): BatchValue {
    const layout = this.#layout;
    const parts = this.#whole === undefined ? this.#alone(models) : this.#runs(this.#whole, models);
    const bind = layout === 'columns' ? ops.cbind : ops.rbind;
    const expr = parts.length === 1 ? parts[0]! : this.#session.intern(bind, parts);
    return { layout, expr };
  }

  #alone(models: readonly number[]): Expr[] {
    return models.map((model) => this.#parts[model]!);
  }

  /** Models that follow one another are one part. */
  #runs(whole: Expr, models: readonly number[]): Expr[] {
    const runs: [from: number, to: number][] = [];
    for (const model of models) {
      const last = runs.at(-1);
      if (last?.[1] === model) last[1]++;
      else runs.push([model, model + 1]);
    }
    const all = (this.#layout === 'columns' ? whole.cols : whole.rows) / this.#size;
    return runs.map(([from, to]) => {
      if (from === 0 && to === all) return whole;
      const range = [from * this.#size, to * this.#size] as const;
      const attrs =
        this.#layout === 'columns' ? { rows: null, cols: range } : { rows: range, cols: null };
      return this.#session.intern(ops.slice, [whole], attrs);
    });
  }
}

/** A matrix whose every cell is its model's number of something. */
export function countColumns(session: Evaluator, counts: readonly number[]): HostColumns {
  return new HostColumns(session, dense(1, counts.length, Float64Array.from(counts)), 1);
}
