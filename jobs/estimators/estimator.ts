/**
 * What an estimator is to a search, a job file and a report. Invariant: nothing outside this folder
 * knows an estimator by name; what it can do stands in its `Estimator` value, and `index.ts` lists
 * them all.
 */
import type { z } from 'zod';
import type { Loss, Matrix } from '../../driver/index.js';
import type { TrainingRows } from './linear-design.js';

export type ParamValue = number | string | boolean | null;
/** Values by parameter name, every parameter of the estimator present. */
export type Params = Readonly<Record<string, ParamValue>>;

export interface Estimator {
  /** As job files name it: `model.type`. */
  readonly name: string;
  readonly description: string;
  /** Names, ranges, defaults and docs of its parameters. The job schema is made from it. */
  readonly parameters: z.ZodObject;
  /** What a fit reads: the moments of the training rows, which cost no pass over the data. */
  readonly reads: 'moments';
  /** The losses its predictions can be scored by. */
  readonly losses: readonly Loss[];
  /** Whether moments have to be about the means. */
  readonly centers: (params: Params) => boolean;
  /** One model on the training rows. Equal parts of different fits are one node. */
  readonly fit: (training: TrainingRows, params: Params) => LinearFit;
  /** The model to keep, from the values of `LinearFit.outputs`. */
  readonly store: (values: FitValues, design: StoredDesign) => LinearModel;
  /** What a kept model predicts for encoded rows. @shape X: [n, columns] -> [n, 1] */
  readonly predict: (model: LinearModel, X: Matrix) => Matrix;
}

/** A fit from moments: its predictions are linear in the encoded columns. */
export interface LinearFit {
  /** Coefficients of the encoded columns, intercept last: [encoded + 1, 1]. */
  readonly weights: Matrix;
  readonly outputs: {
    /** Of the design columns: [design, 1]. */
    readonly coefficients: Matrix;
    /** [1, 1] */
    readonly intercept: Matrix;
    /** Training means over present cells of design columns: [1, design]. Absent: not imputed. */
    readonly imputed?: Matrix;
  };
  /** The last cell says how the fit ended, `warn` what to say; absent where all end alike. */
  readonly ending?: Matrix;
  readonly warn?: (ending: number) => string | undefined;
}

/** The cells of each output of a fit. */
export type FitValues = Readonly<Record<string, Float64Array>>;

export interface StoredDesign {
  /** Names of the design columns. */
  readonly columns: readonly string[];
  /** Which of them are imputed. */
  readonly imputed: readonly number[];
}

/** A linear model in the units of the encoded columns (standardising already undone). */
export interface LinearModel {
  readonly kind: 'linear';
  readonly columns: readonly string[];
  readonly coefficients: readonly number[];
  readonly intercept: number;
  /** Values that replace missing numbers, by column; fitted on the model's own rows. */
  readonly imputed: Readonly<Record<string, number>>;
}
