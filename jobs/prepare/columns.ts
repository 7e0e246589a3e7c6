/**
 * Columns on their way through cleaning steps, as the training rows of one split have them. What has
 * happened since rows were last made is an affine map of these, z = (x scale or x mix) + shift, with
 * a fill for missing cells, so most steps cost no pass over the data. Invariants: what is fitted
 * comes from training rows alone; equal steps on equal rows are equal nodes.
 */
import {
  eye,
  type Matrix,
  matrix,
  presentQuantiles,
  type Scalar,
  scalar,
} from '../../driver/index.js';
import { trainingMoments } from '../estimators/moments.js';
import type { StepRows } from './rows.js';

/** The rows a step is fitted on. */
export interface StepSplit {
  /** [n, 1] */
  readonly groupOf: Matrix;
  readonly groups: number;
  /** Groups that train, ascending. */
  readonly train: readonly number[];
}

/** What is made of rows, but for whose they are. */
interface ColumnMap {
  /** What stands for missing cells, in units of the rows; NaN where nothing does: [1, c]. */
  readonly fill: Matrix | null;
  /** Columns of the rows that may be missing still. */
  readonly open: readonly number[];
  /** [1, c]; null for ones, and where `mix` has it. */
  readonly scale: Matrix | null;
  /** [c, d]; null where each column is one of the rows. */
  readonly mix: Matrix | null;
  /** [1, d]; null for zeros. */
  readonly shift: Matrix | null;
  /** Whether cells have other numbers than those of the rows, but for columns left out. */
  readonly isScaled: boolean;
  /** Whether a column is one of the rows, times a number from 0. */
  readonly isMonotone: boolean;
  /** 1 for columns that are left out, and 0 in every row: [1, d]; null for none. */
  readonly leftOut: Matrix | null;
  readonly width: number;
  /** Names where columns are those of the rows; undefined once they are not. */
  readonly names: readonly string[] | undefined;
}

/** Moments of columns over the training rows. */
export interface StepMoments {
  readonly count: Scalar;
  /** [d, 1] */
  readonly mean: Matrix;
  /** About the mean: [d, d]. */
  readonly scatter: Matrix;
  /** Scatter with each other operand's columns: [d, k], and what these have themselves. */
  readonly cross: Matrix;
  readonly otherMean: Matrix;
  readonly otherScatter: Matrix;
}

/** Of each column by itself, over the cells that are there: [1, d]. */
export interface ColumnSpread {
  readonly count: Matrix;
  readonly mean: Matrix;
  readonly spread: Matrix;
}

export class Columns {
  readonly rows: StepRows;
  readonly split: StepSplit;
  readonly map: ColumnMap;

  constructor(rows: StepRows, split: StepSplit, map: Partial<ColumnMap> = {}) {
    this.rows = rows;
    this.split = split;
    this.map = {
      fill: null,
      open: rows.missing,
      scale: null,
      mix: null,
      shift: null,
      isScaled: false,
      isMonotone: true,
      leftOut: null,
      width: rows.width,
      names: rows.names,
      ...map,
    };
  }

  get width(): number {
    return this.map.width;
  }

  /** Whether every cell has a number. */
  get isComplete(): boolean {
    return this.map.open.length === 0;
  }

  #with(changed: Partial<ColumnMap>): Columns {
    return new Columns(this.rows, this.split, { ...this.map, ...changed });
  }

  /** (z - center) / scale. @param center, scale [1, d] */
  scaled(center: Matrix | null, scale: Matrix | null): Columns {
    const { mix, shift, leftOut } = this.map;
    const over = (own: Matrix | null): Matrix | null => {
      if (scale === null) return own;
      return own === null ? scale.recip() : own.div(scale);
    };
    const moved = center === null ? shift : (shift?.sub(center) ?? center.neg());
    const next = moved === null || scale === null ? moved : moved.div(scale);
    return this.#with({
      ...(mix === null ? { scale: over(this.map.scale) } : { mix: over(mix) }),
      isScaled: true,
      // What is left out stays 0.
      shift: next === null || leftOut === null ? next : next.mul(leftOut.not()),
    });
  }

  /**
   * z V.
   * @param V [d, k]
   * @param isPick whether each column of V has one cell, which is 1
   * @param names of the columns, where these are known ones of the rows
   */
  mixed(V: Matrix, isPick = false, names?: readonly string[]): Columns {
    const { scale, mix, shift, isMonotone, leftOut } = this.map;
    const own = mix === null ? (scale === null ? V : scale.t().mul(V)) : mix.matmul(V);
    return this.#with({
      scale: null,
      mix: own,
      shift: shift?.matmul(V) ?? null,
      isMonotone: isMonotone && isPick,
      leftOut: isPick ? (leftOut?.matmul(V) ?? null) : null,
      width: V.cols,
      names,
    });
  }

  /** Columns that are 1 in `leftOut` become 0 in every row. @param leftOut [1, d] */
  without(leftOut: Matrix): Columns {
    const kept = leftOut.not();
    const { scale, mix, shift, leftOut: before } = this.map;
    return this.#with({
      ...(mix === null
        ? { scale: scale === null ? kept : scale.mul(kept) }
        : { mix: mix.mul(kept) }),
      shift: shift?.mul(kept) ?? null,
      leftOut: before === null ? leftOut : before.or(leftOut),
    });
  }

  /**
   * Missing cells of some columns become numbers, in units of the columns as they are now.
   * @param values [1, d]; NaN for a column without values, which is left out
   * @param of numbers of columns, none of which has been mixed
   */
  filled(values: Matrix, of: readonly number[]): Columns {
    const { scale, shift, fill, open } = this.map;
    const { session } = values;
    const isOf = rowOf(session, this.width, of);
    const isEmpty = isOf.and(values.isNaN());
    const moved = shift === null ? values : values.sub(shift);
    const own = isEmpty.ifelse(0, scale === null ? moved : moved.div(scale));
    const others = fill ?? scalar(session, Number.NaN);
    return this.#with({
      fill: isOf.ifelse(own, others),
      open: open.filter((column) => !of.includes(column)),
    }).without(isEmpty);
  }

  /** The cells, NaN where they are missing: [n, d]. */
  cells(): Matrix {
    const { fill, scale, mix, shift } = this.map;
    const own = fill === null ? this.rows.cells : this.rows.cells.isNaN().ifelse(fill, this.rows.cells); // biome-ignore format: a choice
    const made = mix === null ? (scale === null ? own : own.mul(scale)) : own.matmul(mix);
    return shift === null ? made : made.add(shift);
  }

  /** What encoded rows are times, to be these columns without the shift: [e, d]. */
  encodedMap(): Matrix {
    const { fill, scale, mix, width } = this.map;
    const { select, carry } = this.rows;
    const { session } = this.rows.encoded;
    const own = mix ?? (scale === null ? eye(session, width) : scale.t().diag());
    if (select === null || carry === null) return own;
    // A column that is never missing has no fill.
    const all = fill === null ? select : select.add(carry.mul(fill.isNaN().ifelse(0, fill)));
    return mix === null && scale === null ? all : all.matmul(own);
  }

  /** Over the training rows. @param others of as many rows, such as the target. No cell is missing */
  moments(...others: readonly Matrix[]): StepMoments {
    return this.momentsOver(this.split.train, others);
  }

  /** @param weight of the rows: [n, 1] */
  momentsOver(some: readonly number[], others: readonly Matrix[], weight?: Matrix): StepMoments {
    const { count, mean, scatter } = this.#encodedMoments(some, others, weight);
    const e = this.rows.encoded.cols;
    const { shift, scale, mix } = this.map;
    const own = {
      mean: mean.slice([0, e]),
      scatter: scatter.slice([0, e], [0, e]),
      cross: scatter.slice([0, e], [e]),
    };
    // B' S B: where B is a diagonal, products of its cells.
    if (mix !== null || this.rows.select !== null) {
      const B = this.encodedMap();
      own.mean = B.t().matmul(own.mean);
      own.scatter = B.t().matmul(own.scatter.matmul(B));
      own.cross = B.t().matmul(own.cross);
    } else if (scale !== null) {
      own.mean = own.mean.mul(scale.t());
      own.scatter = own.scatter.mul(scale).mul(scale.t());
      own.cross = own.cross.mul(scale.t());
    }
    return {
      count,
      ...own,
      ...(shift === null ? {} : { mean: own.mean.add(shift.t()) }),
      otherMean: mean.slice([e]),
      otherScatter: scatter.slice([e], [e]),
    };
  }

  #encodedMoments(some: readonly number[], others: readonly Matrix[], weight?: Matrix) {
    const { groups } = this.split;
    const gram = this.rows.gram(this.split, others, weight);
    return trainingMoments(gram, groups, some.length === groups ? undefined : some);
  }

  /** Of each column by itself, missing cells left out. @param target the same as of `moments` */
  spread(target: Matrix): ColumnSpread {
    if (this.isComplete) {
      const { count, mean, scatter } = this.moments(target);
      return {
        count: count.asMatrix().add(mean.t().mul(0)),
        mean: mean.t(),
        spread: scatter.diag().t(),
      };
    }
    // Nothing is mixed while cells are missing, so columns are those of the rows. A missing cell is
    // 0 in the encoded column x and 1 in its indicator m.
    const { count, mean, scatter } = this.#encodedMoments(this.split.train, [target]);
    const { select, carry } = this.rows;
    const e = this.rows.encoded.cols;
    const [own, squares] = [mean.slice([0, e]).t(), scatter.diag().slice([0, e]).t()];
    const missing = own.matmul(carry!);
    const fill = this.#knownFill();
    const present = scalar(missing.session, 1).sub(missing);
    // Half a row: the share is a multiple of one row's but for rounding.
    const share = present.mul(count).lt(0.5).ifelse(0, present);
    const all = own.matmul(select!);
    const filledMean = all.add(missing.mul(fill.value));
    const isFilled = fill.isKnown;
    const presentMean = isFilled.ifelse(filledMean, all.div(share));
    // About the present mean; of filled columns about the mean of all rows, x m being 0.
    const presentSpread = squares
      .matmul(select!)
      .sub(all.square().mul(count).mul(missing).div(share));
    const filledSpread = squares
      .matmul(select!)
      .add(squares.matmul(carry!).mul(fill.value.square()))
      .sub(all.mul(missing).mul(fill.value).mul(count).mul(2));
    const { scale, shift } = this.map;
    const spread = isFilled.ifelse(filledSpread, presentSpread).maximum(0);
    const center = scale === null ? presentMean : presentMean.mul(scale);
    return {
      count: isFilled.ifelse(count, share.mul(count)),
      mean: shift === null ? center : center.add(shift),
      spread: scale === null ? spread : spread.mul(scale.square()),
    };
  }

  #knownFill(): { readonly value: Matrix; readonly isKnown: Matrix } {
    const { fill } = this.map;
    const { session } = this.rows.encoded;
    const closed = Array.from({ length: this.rows.width }, (_, j) => j).filter((j) => !this.map.open.includes(j)); // biome-ignore format: a list
    const isKnown = rowOf(session, this.rows.width, closed);
    return { value: fill === null ? isKnown.mul(0) : fill.isNaN().ifelse(0, fill), isKnown };
  }
}

/** 1 for some columns: [1, width]. */
export function rowOf(
  session: Matrix['session'],
  width: number,
  columns: readonly number[],
): Matrix {
  const cells = new Float64Array(width);
  for (const column of columns) cells[column] = 1;
  return matrix(session, 1, width, cells);
}

/**
 * Quantiles of columns over their training rows, missing cells left out; one pass for all splits.
 * @param all columns of the same steps, one a split
 * @returns for each, in order: [at, d]
 */
export function quantilesOf(all: readonly Columns[], at: readonly number[]): Matrix[] {
  const found = new Array<Matrix>(all.length);
  for (const places of onSameRows(all)) {
    const { rows } = all[places[0]!]!;
    const some = places.map((i) => all[i]!);
    // Of columns that are mixed, the rows themselves are sorted.
    const isMonotone = some.every(({ map }) => map.isMonotone);
    if (!isMonotone) {
      for (const i of places) found[i] = quantileNode([all[i]!], all[i]!.cells(), at, null);
      continue;
    }
    const fills = some.flatMap(({ map }) => map.fill ?? []);
    const fill = fills.length === some.length ? fills[0]!.rbind(...fills.slice(1)) : null;
    const node = quantileNode(some, rows.cells, at, fill);
    for (const [k, i] of places.entries()) {
      const own = node.slice([k * at.length, (k + 1) * at.length]);
      const { scale, mix, shift } = all[i]!.map;
      const made = mix === null ? (scale === null ? own : own.mul(scale)) : own.matmul(mix);
      found[i] = shift === null ? made : made.add(shift);
    }
  }
  return found;
}

/** Places of columns made of the same rows, split by the same groups. */
function onSameRows(all: readonly Columns[]): number[][] {
  const shared: number[][] = [];
  for (const [i, { rows, split }] of all.entries()) {
    const own = shared.find(([first]) => {
      const other = all[first!]!;
      return other.rows === rows && other.split.groupOf.expr === split.groupOf.expr;
    });
    if (own === undefined) shared.push([i]);
    else own.push(i);
  }
  return shared;
}

function quantileNode(
  some: readonly Columns[],
  cells: Matrix,
  at: readonly number[],
  fill: Matrix | null,
): Matrix {
  const { groupOf, groups } = some[0]!.split;
  const sets = some.map(({ split }) => split.train);
  return presentQuantiles(groupOf, cells, { groups, sets, at, ...(fill ? { fill } : {}) });
}
