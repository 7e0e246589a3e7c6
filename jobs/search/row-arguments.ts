/**
 * What fits that read rows are given: shared matrices, those of their own training rows, and made of
 * both the rows as an estimator takes them. Invariant: a model's own are small, whatever the data.
 */
import { type Matrix, matrix, takeRows } from '../../driver/index.js';
import type { RowData, RowDesign } from '../estimators/estimator.js';
import {
  type ColumnMoments,
  columnMoments,
  columnScales,
  designMoments,
  type TrainingRows,
} from '../estimators/linear-design.js';
import { trainingMoments } from '../estimators/moments.js';

/** Matrices by name: what a fit reads, or is made of. */
export type FitMatrices = Readonly<Record<string, Matrix>>;

/** The rows of one fit: those of some groups. */
export interface RowsOfFit {
  readonly X: Matrix;
  readonly y: Matrix;
  /** Absent where all rows count alike: [n, 1]. */
  readonly weight?: Matrix;
  readonly classes: number;
  readonly groupOf: Matrix;
  readonly training: TrainingRows;
}

/** What all models of a stack read. */
export function sharedArguments({
  X,
  y,
  weight,
  groupOf,
  training,
}: RowsOfFit): Record<string, Matrix> {
  const all = preparedMoments({ ...training, train: undefined });
  return {
    X,
    y,
    groupOf,
    ...(weight ? { sampleWeight: weight } : {}),
    allCount: all.count.asMatrix(),
    allMean: all.mean,
    allScatter: all.scatter,
  };
}

/** What models on the same training rows read. */
export function trainingArguments(training: TrainingRows): Record<string, Matrix> {
  const { gram, groups, train } = training;
  const isTraining = new Float64Array(groups).fill(train === undefined ? 1 : 0);
  for (const group of train ?? []) isTraining[group] = 1;
  const d = training.design.encoded;
  const { scatter, mean } = trainingMoments(training.weighted ?? gram, groups, train);
  const { raw, scale, variances, ...own } = preparedMoments(training);
  const { map, imputed } = raw;
  const cross = scatter.slice([0, d], d);
  const ofDesign = map === null ? cross : map.t().matmul(cross);
  return {
    trains: matrix(gram.session, groups, 1, isTraining),
    count: own.count.asMatrix(),
    mean: own.mean,
    scatter: own.scatter,
    target: mean.at(d, 0).asMatrix(),
    targetScatter: scale === null ? ofDesign : ofDesign.div(scale.t()),
    ...(training.weighted ? { variances } : {}),
    ...(scale === null ? {} : { scale, center: raw.mean }),
    ...(map === null ? {} : { map, imputed: imputed! }),
  };
}

/** Moments of design columns as a model has them: imputed, and standardised where it is said. */
function preparedMoments(training: TrainingRows): Pick<
  ColumnMoments,
  'count' | 'mean' | 'scatter'
> & {
  readonly raw: ColumnMoments;
  /** With all rows alike: [1, design]. */
  readonly variances: Matrix;
  /** [1, design]; null where nothing is standardised. */
  readonly scale: Matrix | null;
} {
  const raw = columnMoments(training);
  const { weighted, groups, train, design } = training;
  const own = weighted
    ? designMoments(trainingMoments(weighted, groups, train), raw, design.encoded)
    : raw;
  const { count, mean, scatter } = own;
  const variances = raw.scatter.diag().t().div(raw.count);
  if (!training.standardize) return { count, mean, scatter, raw, variances, scale: null };
  const scale = columnScales(raw);
  return {
    count,
    variances: variances.div(scale.square()),
    mean: weighted ? mean.sub(raw.mean).div(scale.t()) : mean.mul(0),
    scatter: scatter.div(scale).div(scale.t()),
    raw,
    scale,
  };
}

export function rowData(given: FitMatrices, facts: Pick<RowData, 'classes' | 'models'>): RowData {
  const { X, y, groupOf, trains, sampleWeight } = given;
  const isTraining = takeRows(groupOf!, trains!);
  return {
    X: X!,
    y: y!,
    weight: sampleWeight === undefined ? isTraining : isTraining.mul(sampleWeight),
    ...facts,
    design: rowDesign(given, X!.cols),
  };
}

function rowDesign(given: FitMatrices, encoded: number): RowDesign {
  const { scale, center, map, imputed } = given;
  const columns = given.mean!.rows;
  const unscaled = (weights: Matrix) => {
    const own = weights.slice([0, columns]);
    const intercept = weights.slice(columns);
    if (scale === undefined) return { coefficients: own, intercept };
    const coefficients = own.div(scale.t());
    return { coefficients, intercept: intercept.sub(center!.t().matmul(coefficients)) };
  };
  return {
    columns,
    expand: (weights) => {
      if (scale === undefined && map === undefined) return weights;
      const { coefficients, intercept } = unscaled(weights);
      return (map === undefined ? coefficients : map.matmul(coefficients)).rbind(intercept);
    },
    contract: (gradient) => {
      if (scale === undefined && map === undefined) return gradient;
      const ofIntercept = gradient.slice(encoded);
      let own = gradient.slice([0, encoded]);
      if (map !== undefined) own = map.t().matmul(own);
      if (scale !== undefined) own = own.sub(center!.matmul(ofIntercept)).div(scale.t());
      return own.rbind(ofIntercept);
    },
    outputs: (weights) => ({ ...unscaled(weights), ...(imputed ? { imputed } : {}) }),
    moments: {
      count: given.count!.asScalar(),
      mean: given.mean!,
      scatter: given.scatter!,
      target: given.target!.asScalar(),
      targetScatter: given.targetScatter!,
      ...(given.variances ? { variances: given.variances } : {}),
    },
    all: {
      count: given.allCount!.asScalar(),
      mean: given.allMean!,
      scatter: given.allScatter!,
    },
  };
}
