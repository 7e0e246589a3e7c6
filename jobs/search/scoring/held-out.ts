/**
 * What models say of the rows they were not fitted on: decision values of all candidates under the
 * models of the split that tests each row, and predictions and probabilities made of them. All of
 * it is written row by row, so that it is computed in the pass that sums it up and never stands
 * whole unless a measure has to sort it.
 */
import {
  fill,
  foldCols,
  heldOut,
  type Matrix,
  matrix,
  nonnegative,
  takeRows,
} from '../../../driver/index.js';
import { type Basis, basisColumns } from '../../estimators/basis.js';
import type { Link, Nonnegative, Projection } from '../../estimators/estimator.js';
import { heldOutNetworks, type Layers } from '../../estimators/networks/layers.js';

/** Models of one kind: their decision values are read alike. */
export interface ModelKind {
  readonly basis: Basis;
  readonly link: Link;
  /** Columns of decision values of a model. */
  readonly outputs: number;
  /** What areas under curves rank rows by. */
  readonly ranksBy: 'decision' | 'probability';
  readonly projects: Projection;
  /** Columns of weights of a model: `outputs`, or more of a network. */
  readonly columns: number;
  readonly network?: Layers;
  /** Decision values are not below 0. */
  readonly nonnegative?: Nonnegative;
}

export interface HeldOutRows {
  readonly kind: ModelKind;
  readonly X: Matrix;
  /** Numbers or class numbers: [n, 1]. */
  readonly y: Matrix;
  /** The split that tests each row; others from `splits` on: [n, 1]. */
  readonly splitOf: Matrix;
  readonly splits: number;
  /** 0 without classes. */
  readonly classes: number;
  /** Models a split. */
  readonly models: number;
  /** By split, model and column: [basis + 1, splits * models * columns]. */
  readonly weights: Matrix;
  /** By split, what gives squared distances of rows: [2 * columns + 1, splits]. */
  readonly lengths: (isAboutMean: boolean) => Matrix;
  /** By split, what gives rows as its models see them: [columns + 1, splits * design]. */
  readonly prepare: () => Matrix;
}

export class HeldOut {
  readonly splits: number;
  readonly classes: number;
  readonly models: number;
  readonly kind: ModelKind;
  readonly splitOf: Matrix;
  /** [n, 1] */
  readonly y: Matrix;
  /** [n, models * outputs] */
  readonly decisions: Matrix;
  readonly #rows: HeldOutRows;

  constructor(rows: HeldOutRows) {
    const { kind, y, splitOf, splits, classes, models } = rows;
    this.#rows = rows;
    this.splits = splits;
    this.classes = classes;
    this.models = models;
    this.kind = kind;
    this.splitOf = splitOf;
    this.y = y.cast('float64');
    this.decisions = this.#decisions();
  }

  #decisions(): Matrix {
    const { kind, splitOf, splits, models } = this;
    const { X, weights } = this.#rows;
    if (kind.nonnegative) return this.#parts(kind.nonnegative, 'parts');
    const { network } = kind;
    if (network) return heldOutNetworks(splitOf, X, weights, { network, splits, models });
    return heldOut(splitOf, basisColumns(kind.basis, X), weights, splits);
  }

  #parts(own: Nonnegative, gives: 'parts' | 'error'): Matrix {
    const { X, weights, splits, kind } = this.#rows;
    const shape = { groups: splits, width: kind.outputs };
    const wide = X.cast('float64');
    return nonnegative(this.splitOf, wide, weights.slice([0, X.cols]), { ...shape, ...own, gives });
  }

  /** Squared distances of rows from what their parts add up to; undefined where there are none. */
  get partsError(): Matrix | undefined {
    const { nonnegative: own } = this.kind;
    return own && this.#parts(own, 'error');
  }

  /** What a regression predicts. @shape [n, models] */
  get mean(): Matrix {
    return this.kind.link === 'log' ? this.decisions.exp() : this.decisions;
  }

  /** The number of the class that is predicted, or of the cluster. @shape [n, models] */
  get winner(): Matrix {
    const { outputs } = this.kind;
    return outputs === 1
      ? this.decisions.gt(0)
      : foldCols(this.decisions, { width: outputs, fold: 'indexMax' });
  }

  /** Squared distances of rows from the mean, or origin, of their split's models. @shape [n, 1] */
  get lengths(): Matrix {
    const { X, lengths } = this.#rows;
    const weights = lengths(this.kind.projects === 'about the mean');
    return heldOut(this.splitOf, basisColumns('squares', X), weights, this.splits);
  }

  /** Rows as the models of their split see them: imputed, standardised. @shape [n, design] */
  get prepared(): Matrix {
    const { X, prepare } = this.#rows;
    return heldOut(this.splitOf, X, prepare(), this.splits);
  }

  /** The number of the cluster of each row. @shape [n, models] */
  get clusters(): Matrix {
    return this.kind.outputs === 1 ? this.decisions.mul(0) : this.winner;
  }

  /** All rows under the models of one split. */
  under(split: number): HeldOut {
    const { session, rows } = this.splitOf;
    return new HeldOut({ ...this.#rows, splitOf: fill(session, rows, 1, split) });
  }

  /** Columns of probabilities of a model: 1, that of class 1 of two; or one a class. */
  get probabilityWidth(): number {
    return this.kind.link === 'logit' || this.classes === 2 ? 1 : this.classes;
  }

  /** @shape [n, models * probabilityWidth] */
  get probabilities(): Matrix {
    if (this.kind.link === 'logit') return this.decisions.sigmoid();
    if (this.kind.link === 'shares') {
      return this.classes === 2 ? this.decisions.add(0.5) : this.decisions;
    }
    const all = this.decisions.softmax(this.classes);
    return this.classes === 2 ? weighted(all, [0, 1]) : all;
  }

  /** A column a class; of two classes one, the greater the surer of class 1. */
  get scoreWidth(): number {
    return this.classes === 2 ? 1 : this.classes;
  }

  /** What areas under curves are taken of. @shape [n, models * scoreWidth] */
  get scores(): Matrix {
    if (this.kind.ranksBy === 'probability') return this.probabilities;
    if (this.classes > 2 || this.kind.outputs === 1) return this.decisions;
    return weighted(this.decisions, [-1, 1]);
  }

  /** 1 for the row's own class beside 0 for others, for each model. @shape [n, models * classes] */
  get ownClass(): Matrix {
    const { session } = this.y;
    const table = new Float64Array(this.classes * this.classes * this.models);
    const width = this.classes * this.models;
    for (let c = 0; c < this.classes; c++) {
      for (let m = 0; m < this.models; m++) table[c * width + m * this.classes + c] = 1;
    }
    return takeRows(this.y, matrix(session, this.classes, width, table));
  }
}

/** Sums over the outputs of each model, by these weights. @shape A: [n, models * k] -> [n, models] */
function weighted(A: Matrix, weights: readonly number[]): Matrix {
  const row = Float64Array.from({ length: A.cols }, (_, j) => weights[j % weights.length]!);
  return foldCols(A.mul(matrix(A.session, 1, A.cols, row)), { width: weights.length, fold: 'sum' });
}
