/**
 * Sums by class of design columns, which naive Bayes and centroids are made of. Mean imputation is
 * a linear map T on encoded columns, so sums of design columns are S T. A missing cell is encoded as
 * 0 beside an indicator of 1, so squares and comparisons of imputed columns are linear maps of
 * squares and comparisons of encoded ones.
 */
import * as z from 'zod';
import { ConfigError, type Matrix, matrix, type Scalar, scalar } from '../../driver/index.js';
import { type Basis, basisColumns } from './basis.js';
import type { ClassRows, Fit } from './estimator.js';
import { columnScales, imputedColumns, preparedMoments } from './linear-design.js';

export interface ClassSums {
  /** Weights of training rows by class, and whether there are any: [classes, 1]. */
  readonly counts: Matrix;
  readonly isPresent: Matrix;
  readonly total: Scalar;
  /** Of the basis of design columns, by weight: [classes, basis]. */
  readonly sums: Matrix;
  /** Means of the basis over the training rows of all classes, which count alike: [1, basis]. */
  readonly overall: Matrix;
  /** Sums of the columns that were asked for beside them, rows counting alike: [classes, c]. */
  readonly beside: Matrix | null;
  /** 0 for a design column without values in the training rows, else 1; null for all 1. */
  readonly kept: Matrix | null;
  /** Standard deviations to divide design columns by: [1, design]; null for none. */
  readonly scales: Matrix | null;
  /** The fit whose decision values are B(design columns) t(U) + b. @shape U: [classes, basis] */
  readonly fit: (coefficients: Matrix, intercepts: Matrix) => Fit;
}

/** Decision value of a class that the training rows lack. */
export const NEVER = -1e300;

/** @param beside columns to sum as they are, in the same pass: [n, c] */
export function classSums(rows: ClassRows, basis: Basis, beside?: Matrix): ClassSums {
  const { X, all } = rows;
  const { design } = all;
  const e = design.encoded;
  const isImputing = design.select !== null;
  const asked = basisColumns(basis, X);
  const isAbove = typeof basis === 'object';
  const others = [...(isImputing && isAbove ? [X] : []), ...(beside ? [beside] : [])];
  const { weighted, alike } = rows.sums(asked.cbind(...others));
  const counts = rows.counts.weighted;
  const rowsOfAll = rows.counts.alike.sum();
  const from = isImputing && isAbove ? e : 0;
  const encoded = alike.slice(null, [from, from + e]);
  const columns = imputedColumns(encoded.colSums().div(rowsOfAll), rowsOfAll, design);
  const maps = basisMaps(basis, columns, design.carry, e);
  const ofDesign = (summed: Matrix): Matrix => {
    const own = summed.slice(null, [0, asked.cols]);
    return maps === null ? own : mapped(own, maps, (part, map) => part.matmul(map));
  };
  const { imputed, leftOut } = columns;
  const isPresent = counts.gt(0);
  return {
    counts,
    isPresent,
    total: counts.sum(),
    sums: ofDesign(weighted),
    overall: ofDesign(alike).colSums().div(rowsOfAll),
    beside: beside ? alike.slice(null, [alike.cols - beside.cols]) : null,
    kept: leftOut === null ? null : scalar(X.session, 1).sub(leftOut),
    scales: all.standardize ? columnScales(preparedMoments(all)) : null,
    fit: (coefficients, intercepts) => {
      const U = isPresent.ifelse(coefficients, 0);
      const intercept = isPresent.ifelse(intercepts, NEVER).t();
      const weights = maps === null ? U : mapped(U, maps, (part, map) => part.matmul(map.t()));
      return {
        weights: weights.t().rbind(intercept),
        outputs: { coefficients: U.t(), intercept, ...(imputed ? { imputed } : {}) },
      };
    },
  };
}

/** From the basis of encoded columns to that of design columns, by part; null for identities. */
function basisMaps(
  basis: Basis,
  { map, imputed }: ReturnType<typeof imputedColumns>,
  carry: Matrix | null,
  encoded: number,
): readonly Matrix[] | null {
  if (map === null || imputed === null || carry === null) return null;
  if (basis === 'linear') return [map];
  // Carries are the rows of indicators, and a left-out column's imputed value is 0.
  if (basis === 'squares') return [map, map.add(carry.mul(imputed.square().sub(imputed)))];
  if (!(basis.above >= 0 && basis.above < 1)) {
    throw new ConfigError(
      `binarize: expected a number from 0 and below 1 where means stand for missing values, got ${basis.above}; say impute: zero or a number for the ${encoded} columns`,
      { key: 'model.binarize', value: basis.above },
    );
  }
  return [map.add(carry.mul(imputed.gt(basis.above).sub(imputed)))];
}

/** Applies each part's map to its columns. */
function mapped(
  rows: Matrix,
  maps: readonly Matrix[],
  apply: (part: Matrix, map: Matrix) => Matrix,
): Matrix {
  const width = rows.cols / maps.length;
  const parts = maps.map((map, k) => apply(rows.slice(null, [k * width, (k + 1) * width]), map));
  return parts[0]!.cbind(...parts.slice(1));
}

/** A list for `priors`: probabilities that sum to 1, or null. */
export const priorsList = z
  .array(z.number().positive().max(1))
  .refine(
    (list) => Math.abs(list.reduce((sum, one) => sum + one, 0) - 1) <= 1e-5,
    'expected numbers that sum to 1',
  )
  .nullable();

/** How likely classes are: numbers by class number, their shares of the rows, or all alike. */
export type Priors = readonly number[] | 'empirical' | 'uniform';

/** Logarithms of how likely each class is; of absent classes any number. @shape [classes, 1] */
export function logPriors({ counts, isPresent, total }: ClassSums, priors: Priors): Matrix {
  if (priors === 'uniform') return isPresent.div(isPresent.sum()).log();
  if (priors === 'empirical') return isPresent.ifelse(counts, 1).div(total).log();
  return matrix(counts.session, counts.rows, 1, priors.map(Math.log));
}

/** Means of the columns by class; 0 for absent classes. @shape sums: [classes, c] -> same */
export function classMeans({ counts, isPresent }: ClassSums, sums: Matrix): Matrix {
  return sums.div(isPresent.ifelse(counts, 1));
}
